"""Claims that are notified, reserved, flagged and cleared; what comes back; sums that are insured again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0007"
down_revision = "insurance_0006"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(precision=18, scale=2)
#: Table, constraint, its rule before, its rule now.
_RULES = (
    ("claims", "state", "state IN ('open', 'nil', 'paid')", "state IN ('notified', 'open', 'nil', 'paid')"),
    ("claims", "origin", "origin IN ('reversal', 'index')", "origin IN ('reversal', 'index', 'notice')"),
    ("claims", "nil_pays_nothing", "(state = 'nil') = (payable = 0)", "(state IN ('nil', 'notified')) = (payable = 0)"),
    (
        "policies", "claims_within_sum_insured", "claimed >= 0 AND claimed <= sum_insured",
        "claimed >= 0 AND claimed <= sum_insured + reinstated",
    ),
    (
        "policy_assets", "claims_within_sum", "sum_insured > 0 AND claimed >= 0 AND claimed <= sum_insured",
        "sum_insured > 0 AND claimed >= 0 AND reinstated BETWEEN 0 AND claimed AND claimed <= sum_insured + reinstated",
    ),
    ("endorsements", "kind", "kind IN ('revaluation', 'renewal')",
     "kind IN ('revaluation', 'renewal', 'reinstatement')"),
)  # fmt: skip
_DEFAULTS = {"reserve": "0", "recovered": "0", "flags": "[]", "rejected": "false"}


def _constrain(which: int) -> None:
    for table, name, *rules in _RULES:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rules[which])


def upgrade() -> None:
    kinds = (_MONEY, _MONEY, postgresql.JSONB(), sa.Boolean())
    for (name, default), kind in zip(_DEFAULTS.items(), kinds, strict=True):
        op.add_column("claims", sa.Column(name, kind, nullable=False, server_default=default))
    for name, length in (("note", 400), ("assessed_by", 128), ("cleared_by", 128)):
        op.add_column("claims", sa.Column(name, sa.String(length=length), nullable=True))
    for table in ("policies", "policy_assets"):
        op.add_column(table, sa.Column("reinstated", _MONEY, nullable=False, server_default="0"))
        op.alter_column(table, "reinstated", server_default=None)
    # What is open was set aside in full; the owner of the tables sees every row only without forced security.
    op.execute("ALTER TABLE claims NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE claims SET reserve = payable WHERE state = 'open'")
    op.execute("ALTER TABLE claims FORCE ROW LEVEL SECURITY")
    for name in _DEFAULTS:
        op.alter_column("claims", name, server_default=None)
    _constrain(1)
    op.create_check_constraint(
        op.f("ck_claims_reserve"), "claims", "reserve >= 0 AND (state IN ('notified', 'open') OR reserve = 0)"
    )
    op.create_check_constraint(
        op.f("ck_claims_recovered"), "claims", "recovered >= 0 AND recovered <= coalesce(to_bank + to_owner, 0)"
    )
    op.create_table(
        "claim_proceeds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('subrogation', 'salvage', 'third_party')", name=op.f("ck_claim_proceeds_kind")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_claim_proceeds_amount")),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_proceeds_claim_id_claims")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim_proceeds")),
        sa.UniqueConstraint("claim_id", "reference", name=op.f("uq_claim_proceeds_claim_id_reference")),
    )
    op.create_index(op.f("ix_claim_proceeds_institution"), "claim_proceeds", ["institution"], unique=False)
    for rule in private_table("insurance", "claim_proceeds"):
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("claim_proceeds")
    op.drop_constraint(op.f("ck_claims_recovered"), "claims", type_="check")
    op.drop_constraint(op.f("ck_claims_reserve"), "claims", type_="check")
    _constrain(0)
    for name in ("rejected", "flags", "recovered", "reserve", "note", "assessed_by", "cleared_by"):
        op.drop_column("claims", name)
    for table in ("policies", "policy_assets"):
        op.drop_column(table, "reinstated")

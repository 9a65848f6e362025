"""Changes of policies, instalments, breaches and what they withhold, and covers that wait for a second person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0003"
down_revision = "insurance_0002"
branch_labels = None
depends_on = None

_STATES = "state IN ('asked', 'waiting', 'quoted', 'refused', 'bound', 'void')"
_REFERRED = "state IN ('asked', 'waiting', 'referred', 'quoted', 'refused', 'bound', 'void')"
_PAID = (
    "(state = 'paid') = (paid_at IS NOT NULL) AND (state <> 'paid' OR"
    " (to_bank >= 0 AND to_owner >= 0 AND to_bank + to_owner = payable))"
)
_WITHHELD = (
    "(state = 'paid') = (paid_at IS NOT NULL) AND (state <> 'paid' OR (to_bank >= 0 AND to_owner >= 0"
    " AND coalesce(withheld, 0) >= 0 AND to_bank + to_owner + coalesce(withheld, 0) = payable))"
)


def upgrade() -> None:
    op.create_table(
        "endorsements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("expiry", sa.Date(), nullable=False),
        sa.Column("sum_insured_before", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("annual_premium_before", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("annual_premium", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("premium_change", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("split", postgresql.JSONB(), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('revaluation', 'renewal')", name=op.f("ck_endorsements_kind")),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_endorsements_policy_id_policies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endorsements")),
        sa.UniqueConstraint("policy_id", "number", name=op.f("uq_endorsements_policy_id_number")),
    )
    op.create_index(op.f("ix_endorsements_institution"), "endorsements", ["institution"], unique=False)
    op.create_table(
        "instalments",
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("split", postgresql.JSONB(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_instalments_amount")),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_instalments_policy_id_policies")),
        sa.PrimaryKeyConstraint("policy_id", "number", name=op.f("pk_instalments")),
    )
    op.create_index(op.f("ix_instalments_institution"), "instalments", ["institution"], unique=False)
    # Before, the owner paid what no level of government did.
    op.add_column("policies", sa.Column("premium_split", postgresql.JSONB(), nullable=False, server_default="{}"))
    op.alter_column("policies", "premium_split", server_default=None)
    op.add_column("policies", sa.Column("return_split", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("policies", sa.Column("breached_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("policies", sa.Column("breach", sa.String(length=200), nullable=True))
    op.add_column("covers", sa.Column("referral", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("covers", sa.Column("proposal_hash", sa.String(length=64), nullable=True))
    op.add_column("claims", sa.Column("withheld", sa.Numeric(precision=18, scale=2), nullable=True))
    op.add_column("claims", sa.Column("subrogated", sa.Numeric(precision=18, scale=2), nullable=True))
    _constrain(_REFERRED, _WITHHELD)
    for rule in [*private_table("insurance", "endorsements"), *private_table("insurance", "instalments")]:
        op.execute(rule)


def _constrain(states: str, paid: str) -> None:
    for table, name, rule in (("covers", "state", states), ("claims", "paid_in_full", paid)):
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)


def downgrade() -> None:
    _constrain(_STATES, _PAID)
    op.drop_column("covers", "proposal_hash")
    op.drop_column("covers", "referral")
    op.drop_column("claims", "subrogated")
    op.drop_column("claims", "withheld")
    for name in ("breach", "breached_at", "return_split", "premium_split"):
        op.drop_column("policies", name)
    op.drop_index(op.f("ix_instalments_institution"), table_name="instalments")
    op.drop_table("instalments")
    op.drop_index(op.f("ix_endorsements_institution"), table_name="endorsements")
    op.drop_table("endorsements")

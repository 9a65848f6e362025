"""Index covers beside policies, what was observed, and what each observation set off."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0005"
down_revision = "insurance_0004"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(precision=18, scale=2)
_RATE = sa.Numeric(precision=18, scale=8)
_MOMENT = sa.DateTime(timezone=True)
_TABLES = ("index_covers", "index_observations", "index_triggers")


def upgrade() -> None:
    op.create_table(
        "index_covers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("most", _MONEY, nullable=False),
        sa.Column("paid", _MONEY, nullable=False),
        sa.Column("annual_premium", _MONEY, nullable=False),
        sa.Column("premium", _MONEY, nullable=False),
        sa.Column("expected_payout", _MONEY, nullable=False),
        sa.Column("expected_loss", _MONEY, nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column("quantity", postgresql.JSONB(), nullable=False),
        sa.Column("basis_risk", postgresql.JSONB(), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("parameters_digest", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("price_hash", sa.String(length=64), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("quoted_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("bound_at", _MOMENT, nullable=True),
        sa.Column("bound_by", sa.String(length=128), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('area_index', 'remote_sensing', 'annual_aggregate')", name=op.f("ck_index_covers_kind")
        ),
        sa.CheckConstraint("state IN ('quoted', 'in_force', 'ended')", name=op.f("ck_index_covers_state")),
        sa.CheckConstraint(
            "most > 0 AND premium > 0 AND paid >= 0 AND paid <= most", name=op.f("ck_index_covers_paid_within_limit")
        ),
        sa.CheckConstraint("(state = 'quoted') = (bound_at IS NULL)", name=op.f("ck_index_covers_bound")),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_index_covers_policy_id_policies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_covers")),
    )
    for column in ("institution", "policy_id", "asset_id", "state"):
        op.create_index(op.f(f"ix_index_covers_{column}"), "index_covers", [column], unique=False)
    op.create_table(
        "index_observations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("observed_on", sa.Date(), nullable=False),
        sa.Column("reading", _RATE, nullable=False),
        sa.Column("arrived_at", _MOMENT, nullable=False),
        sa.Column("arrived_by", sa.String(length=128), nullable=False),
        sa.CheckConstraint("reading >= 0 AND revision >= 1", name=op.f("ck_index_observations_reading")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_observations")),
        sa.UniqueConstraint(
            "institution", "asset_id", "kind", "source", "name", "revision",
            name=op.f("uq_index_observations_institution_asset_id_kind_source_name_revision"),
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_index_observations_institution"), "index_observations", ["institution"], unique=False)
    op.create_table(
        "index_triggers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("index_cover_id", sa.Uuid(), nullable=False),
        sa.Column("observation_id", sa.Uuid(), nullable=False),
        sa.Column("index", _RATE, nullable=False),
        sa.Column("threshold", _RATE, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("owed", _MONEY, nullable=False),
        sa.Column("paid_before", _MONEY, nullable=False),
        sa.Column("paid", _MONEY, nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.CheckConstraint("owed >= 0 AND paid_before >= 0 AND paid >= 0", name=op.f("ck_index_triggers_amounts")),
        sa.CheckConstraint("(claim_id IS NOT NULL) = (paid > 0)", name=op.f("ck_index_triggers_paid_by_a_claim")),
        sa.CheckConstraint(
            "outcome IN ('below', 'paid', 'paid_before', 'overpaid', 'late')", name=op.f("ck_index_triggers_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["index_cover_id"], ["index_covers.id"], name=op.f("fk_index_triggers_index_cover_id_index_covers")
        ),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["index_observations.id"],
            name=op.f("fk_index_triggers_observation_id_index_observations"),
        ),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_index_triggers_claim_id_claims")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_triggers")),
        sa.UniqueConstraint(
            "index_cover_id", "observation_id", name=op.f("uq_index_triggers_index_cover_id_observation_id")
        ),
    )  # fmt: skip
    for column in ("institution", "observation_id"):
        op.create_index(op.f(f"ix_index_triggers_{column}"), "index_triggers", [column], unique=False)
    op.add_column("claims", sa.Column("origin", sa.String(length=16), nullable=False, server_default="reversal"))
    op.alter_column("claims", "origin", server_default=None)
    op.create_check_constraint(op.f("ck_claims_origin"), "claims", "origin IN ('reversal', 'index')")
    for table in _TABLES:
        for rule in private_table("insurance", table):
            op.execute(rule)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_claims_origin"), "claims", type_="check")
    op.drop_column("claims", "origin")
    for table in reversed(_TABLES):
        op.drop_table(table)

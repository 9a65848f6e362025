"""How much may be insured together: within a distance, in a zone, with a bank or a guarantor."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0009"
down_revision = "insurance_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aggregate_limits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("cap", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("radius_km", sa.Numeric(), nullable=True),
        sa.Column("outline", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("set_by", sa.String(length=128), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('ring', 'zone', 'bank', 'guarantor')", name=op.f("ck_aggregate_limits_kind")),
        sa.CheckConstraint("(kind = 'ring') = (radius_km IS NOT NULL)", name=op.f("ck_aggregate_limits_radius")),
        sa.CheckConstraint("(kind = 'zone') = (outline IS NOT NULL)", name=op.f("ck_aggregate_limits_outline")),
        sa.CheckConstraint("cap >= 0 AND (radius_km IS NULL OR radius_km > 0)", name=op.f("ck_aggregate_limits_cap")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregate_limits")),
        sa.UniqueConstraint("institution", "kind", "name", name=op.f("uq_aggregate_limits_institution_kind_name")),
    )
    op.create_index(op.f("ix_aggregate_limits_institution"), "aggregate_limits", ["institution"], unique=False)
    for rule in private_table("insurance", "aggregate_limits"):
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_aggregate_limits_institution"), table_name="aggregate_limits")
    op.drop_table("aggregate_limits")

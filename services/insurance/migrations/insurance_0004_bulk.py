"""Many prices at once, in batches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0004"
down_revision = "insurance_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulk_pricings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("priced", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("parameters_digest", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("summary", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('file', 'book')", name=op.f("ck_bulk_pricings_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_pricings")),
    )
    op.create_index(op.f("ix_bulk_pricings_institution"), "bulk_pricings", ["institution"], unique=False)
    op.create_table(
        "bulk_pricing_batches",
        sa.Column("pricing_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("results", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["pricing_id"], ["bulk_pricings.id"], name=op.f("fk_bulk_pricing_batches_pricing_id_bulk_pricings")
        ),
        sa.PrimaryKeyConstraint("pricing_id", "number", name=op.f("pk_bulk_pricing_batches")),
    )
    op.create_index(op.f("ix_bulk_pricing_batches_institution"), "bulk_pricing_batches", ["institution"], unique=False)
    for rule in [*private_table("insurance", "bulk_pricings"), *private_table("insurance", "bulk_pricing_batches")]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_bulk_pricing_batches_institution"), table_name="bulk_pricing_batches")
    op.drop_table("bulk_pricing_batches")
    op.drop_index(op.f("ix_bulk_pricings_institution"), table_name="bulk_pricings")
    op.drop_table("bulk_pricings")

"""Queues that were placed as a whole."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "guarantee_0002"
down_revision = "guarantee_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allocations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.LargeBinary(), nullable=False),
        sa.Column("loans", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("state", postgresql.JSONB(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("bound", sa.BigInteger(), nullable=True),
        sa.Column("gap", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("certificate", postgresql.JSONB(), nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocations")),
    )
    op.create_index(op.f("ix_allocations_institution"), "allocations", ["institution"], unique=False)
    for rule in private_table("guarantee", "allocations"):
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_allocations_institution"), table_name="allocations")
    op.drop_table("allocations")

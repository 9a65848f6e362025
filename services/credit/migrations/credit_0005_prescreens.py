"""Files of would-be applications, screened in batches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0005"
down_revision = "credit_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prescreens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("screened", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("approved", sa.Integer(), nullable=False),
        sa.Column("referred", sa.Integer(), nullable=False),
        sa.Column("declined", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prescreens")),
    )
    op.create_index(op.f("ix_prescreens_institution"), "prescreens", ["institution"], unique=False)
    op.create_table(
        "prescreen_batches",
        sa.Column("prescreen_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("results", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(
            ["prescreen_id"], ["prescreens.id"], name=op.f("fk_prescreen_batches_prescreen_id_prescreens")
        ),
        sa.PrimaryKeyConstraint("prescreen_id", "number", name=op.f("pk_prescreen_batches")),
    )
    op.create_index(op.f("ix_prescreen_batches_institution"), "prescreen_batches", ["institution"], unique=False)
    for rule in [
        *private_table("credit", "prescreens"),
        *private_table("credit", "prescreen_batches"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_prescreen_batches_institution"), table_name="prescreen_batches")
    op.drop_table("prescreen_batches")
    op.drop_index(op.f("ix_prescreens_institution"), table_name="prescreens")
    op.drop_table("prescreens")

"""A guarantee keeps the tonnes that its request pledged."""

import sqlalchemy as sa
from alembic import op

revision = "guarantee_0007"
down_revision = "guarantee_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("guarantees", sa.Column("pledged_tonnes", sa.Numeric(18, 3)))
    op.create_check_constraint(op.f("ck_guarantees_pledged_tonnes"), "guarantees", "pledged_tonnes >= 0")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_guarantees_pledged_tonnes"), "guarantees")
    op.drop_column("guarantees", "pledged_tonnes")

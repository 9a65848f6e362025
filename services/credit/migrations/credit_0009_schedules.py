"""The day count of a loan, in place of the days of its year, and the carbon's income its schedule follows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "credit_0009"
down_revision = "credit_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("loans", sa.Column("day_count", sa.String(length=8), nullable=True))
    op.add_column("loans", sa.Column("issuances", postgresql.JSONB(), nullable=True))
    op.execute("UPDATE loans SET day_count = 'ACT/' || days_per_year")
    op.create_check_constraint(op.f("ck_loans_day_count"), "loans", "day_count IN ('ACT/360', 'ACT/365', '30/360')")
    op.drop_column("loans", "days_per_year")


def downgrade() -> None:
    op.add_column("loans", sa.Column("days_per_year", sa.Integer(), nullable=True))
    op.execute("UPDATE loans SET days_per_year = substring(day_count from '[0-9]+$')::integer")
    op.drop_column("loans", "issuances")
    op.drop_column("loans", "day_count")

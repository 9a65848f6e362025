"""What claims took of the sum insured and is not insured again: what a policy still covers is less by it."""

import sqlalchemy as sa
from alembic import op

revision = "credit_0014"
down_revision = "credit_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "loan_covers", sa.Column("claimed", sa.Numeric(precision=18, scale=2), nullable=False, server_default="0")
    )
    op.alter_column("loan_covers", "claimed", server_default=None)
    op.create_check_constraint(op.f("ck_loan_covers_claimed"), "loan_covers", "claimed >= 0")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_loan_covers_claimed"), "loan_covers")
    op.drop_column("loan_covers", "claimed")

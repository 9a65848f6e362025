"""Covenant tests as they were made, and instalments as they were agreed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0006"
down_revision = "credit_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "covenant_tests",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("broken", postgresql.JSONB(), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("quantile", sa.String(length=8), nullable=False),
        sa.Column("value", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("loan_to_value", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("limit_loan_to_value", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("shortfall", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("fresh_until", sa.Date(), nullable=True),
        sa.Column("cover_state", sa.String(length=16), nullable=False),
        sa.Column("cover_until", sa.Date(), nullable=True),
        sa.Column("guarantee_state", sa.String(length=16), nullable=False),
        sa.Column("debt_service_cover", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("debt_service_year", sa.Integer(), nullable=True),
        sa.Column("pledges", postgresql.JSONB(), nullable=False),
        sa.Column("coefficients", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "cause IN ('disbursement', 'valuation', 'payment', 'cover', 'guarantee', 'pledge', 'clock')",
            name=op.f("ck_covenant_tests_cause"),
        ),
        sa.CheckConstraint("verdict IN ('kept', 'broken', 'unknown')", name=op.f("ck_covenant_tests_verdict")),
        sa.CheckConstraint(
            "verdict <> 'unknown' OR (value IS NULL AND loan_to_value IS NULL)",
            name=op.f("ck_covenant_tests_unknown_is_no_number"),
        ),
        sa.CheckConstraint(
            "(verdict = 'kept') = (jsonb_array_length(broken) = 0)", name=op.f("ck_covenant_tests_verdict_of_broken")
        ),
        sa.PrimaryKeyConstraint("loan_id", "id", name=op.f("pk_covenant_tests")),
    )
    op.create_table(
        "loan_instalments",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("principal", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("interest", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("due_in_all", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint("principal >= 0 AND interest >= 0", name=op.f("ck_loan_instalments_no_negative_money")),
        sa.PrimaryKeyConstraint("loan_id", "number", name=op.f("pk_loan_instalments")),
    )
    for rule in [
        *private_table("credit", "covenant_tests"),
        *private_table("credit", "loan_instalments"),
        # What was found and what was agreed stays as it is.
        "REVOKE UPDATE, DELETE ON covenant_tests, loan_instalments FROM credit_app, credit_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("loan_instalments")
    op.drop_table("covenant_tests")

"""Arrears, stage and class of a loan, and every change of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0011"
down_revision = "credit_0010"
branch_labels = None
depends_on = None

COLUMNS = {
    "next_due_on": sa.Date(),
    "bucket": sa.String(length=16),
    "stage": sa.SmallInteger(),
    "five_class": sa.String(length=8),
    "origin_probability": sa.Numeric(precision=18, scale=8),
    "borrower_probability": sa.Numeric(precision=18, scale=8),
    "loss_given_default": sa.Numeric(precision=18, scale=8),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("loans", sa.Column(name, kind, nullable=True))
    op.create_table(
        "loan_classes",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("days_past_due", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("five_class", sa.String(length=8), nullable=False),
        sa.Column("grounds", postgresql.JSONB(), nullable=False),
        sa.Column("exposure", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("origin_probability", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("default_probability", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("loss_given_default", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("expected_loss", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("coefficients", sa.String(length=64), nullable=False),
        sa.CheckConstraint("stage BETWEEN 1 AND 3", name=op.f("ck_loan_classes_stage")),
        sa.CheckConstraint(
            "five_class IN ('正常', '关注', '次级', '可疑', '损失')", name=op.f("ck_loan_classes_five_class")
        ),
        sa.PrimaryKeyConstraint("loan_id", "id", name=op.f("pk_loan_classes")),
    )
    for rule in [
        *private_table("credit", "loan_classes"),
        "REVOKE UPDATE, DELETE ON loan_classes FROM credit_app, credit_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("loan_classes")
    for name in COLUMNS:
        op.drop_column("loans", name)

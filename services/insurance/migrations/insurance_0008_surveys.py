"""Surveys of sites; the book renewed as a job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0008"
down_revision = "insurance_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "site_surveys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("surveyed_on", sa.Date(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("traits", postgresql.JSONB(), nullable=False),
        sa.Column("covariates", postgresql.JSONB(), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_surveys")),
    )
    for column in ("institution", "asset_id"):
        op.create_index(op.f(f"ix_site_surveys_{column}"), "site_surveys", [column], unique=False)
    for rule in private_table("insurance", "site_surveys"):
        op.execute(rule)
    _kinds("kind IN ('file', 'book', 'renewal')")


def _kinds(rule: str) -> None:
    op.drop_constraint(op.f("ck_bulk_pricings_kind"), "bulk_pricings", type_="check")
    op.create_check_constraint(op.f("ck_bulk_pricings_kind"), "bulk_pricings", rule)


def downgrade() -> None:
    _kinds("kind IN ('file', 'book')")
    op.drop_table("site_surveys")

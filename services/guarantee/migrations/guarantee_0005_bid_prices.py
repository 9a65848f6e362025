"""Prices of room by which requests are weighed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "guarantee_0005"
down_revision = "guarantee_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bid_prices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("allocation_id", sa.Uuid(), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("scale", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("spare_small", sa.Boolean(), nullable=False),
        sa.Column("objective", postgresql.JSONB(), nullable=False),
        sa.Column("prices", postgresql.JSONB(), nullable=False),
        sa.Column("set_by", sa.String(length=128), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("scale > 0 AND scale <= 1", name=op.f("ck_bid_prices_scale")),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_bid_prices_ends_after_it_starts")),
        sa.CheckConstraint(
            "(allocation_id IS NULL) = (prices = '[]'::jsonb)", name=op.f("ck_bid_prices_off_or_priced")
        ),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_bid_prices_allocation_id_allocations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bid_prices")),
    )
    op.create_index(op.f("ix_bid_prices_institution"), "bid_prices", ["institution"], unique=False)
    for rule in private_table("guarantee", "bid_prices"):
        op.execute(rule)
    # Decisions name the prices they rest on: nobody who runs the service may rewrite them.
    op.execute("REVOKE UPDATE, DELETE ON bid_prices FROM guarantee_app, guarantee_worker")
    op.add_column("guarantees", sa.Column("bid", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("guarantees", "bid")
    op.drop_index(op.f("ix_bid_prices_institution"), table_name="bid_prices")
    op.drop_table("bid_prices")

"""The growth that issued units stand on, so that no issuance goes beyond what has grown."""

import sqlalchemy as sa
from alembic import op

revision = "sink_0010"
down_revision = "sink_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "assets",
        sa.Column("credited_tonnes", sa.Numeric(precision=18, scale=3), server_default=sa.text("0"), nullable=False),
    )
    op.create_check_constraint(op.f("ck_assets_credited"), "assets", "credited_tonnes >= 0")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_assets_credited"), "assets", type_="check")
    op.drop_column("assets", "credited_tonnes")

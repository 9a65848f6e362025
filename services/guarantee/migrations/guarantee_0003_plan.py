"""The schedule of the loan that is guaranteed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "guarantee_0003"
down_revision = "guarantee_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("guarantees", sa.Column("plan", postgresql.JSONB(), nullable=False, server_default="[]"))
    op.alter_column("guarantees", "plan", server_default=None)


def downgrade() -> None:
    op.drop_column("guarantees", "plan")

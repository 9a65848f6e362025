"""The inbox keeps the newest id of each aggregate: it tells a number that is dealt twice."""

import sqlalchemy as sa
from alembic import op

revision = "plumbing_0003"
down_revision = "plumbing_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox_sequences", sa.Column("newest", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("inbox_sequences", "newest")

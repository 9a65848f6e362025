"""The journal of a call is a chain of hashes."""

import sqlalchemy as sa
from alembic import op

revision = "guarantee_0006"
down_revision = "guarantee_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("journal_rows", sa.Column("hash", sa.String(length=64), nullable=False, server_default=""))
    op.alter_column("journal_rows", "hash", server_default=None)


def downgrade() -> None:
    op.drop_column("journal_rows", "hash")

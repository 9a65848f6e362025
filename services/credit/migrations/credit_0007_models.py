"""Which card each decision was made by, in words."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "credit_0007"
down_revision = "credit_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("model", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "model")

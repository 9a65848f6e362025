"""What pricing needs of a valuation, and the price as it is shown."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "insurance_0002"
down_revision = "insurance_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("valuations", sa.Column("species", postgresql.JSONB(), nullable=True))
    op.add_column("valuations", sa.Column("spot_price", sa.Numeric(precision=18, scale=2), nullable=True))
    op.add_column("valuations", sa.Column("units", sa.Numeric(precision=18, scale=3), nullable=True))
    op.add_column("valuations", sa.Column("title_until", sa.Date(), nullable=True))
    # What was quoted before has its steps in the explanation only.
    op.add_column("covers", sa.Column("pricing", postgresql.JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("covers", "pricing")
    for name in ("title_until", "units", "spot_price", "species"):
        op.drop_column("valuations", name)

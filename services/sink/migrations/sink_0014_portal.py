"""What the portal shows of a project: its type, the organisation behind it and its province."""

import sqlalchemy as sa
from alembic import op

revision = "sink_0014"
down_revision = "sink_0013"
branch_labels = None
depends_on = None

COLUMNS = {"project_type": 16, "proponent": 120, "province": 32}


def upgrade() -> None:
    for name, length in COLUMNS.items():
        op.add_column("projects", sa.Column(name, sa.String(length), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("projects", name)

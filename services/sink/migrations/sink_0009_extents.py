"""Ground that meets other ground is found by an index of boxes, not by reading half of a register."""

import sqlalchemy as sa
from alembic import op

revision = "sink_0009"
down_revision = "sink_0008"
branch_labels = None
depends_on = None

_BOX = "box(point(min_longitude, min_latitude), point(max_longitude, max_latitude))"
_SIDES = ["min_latitude", "max_latitude", "min_longitude", "max_longitude"]
_TABLES = ("assets", "plantings")


def upgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_extent", table_name=table)
        op.create_index(f"ix_{table}_extent", table, [sa.text(_BOX)], postgresql_using="gist")


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_extent", table_name=table)
        op.create_index(f"ix_{table}_extent", table, _SIDES)

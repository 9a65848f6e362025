"""The sink's own metadata."""

from sqlalchemy import Index, text
from sqlalchemy.orm import DeclarativeBase

from shared import db

#: The box around a piece of ground; an index of boxes finds what meets another one, however many there are.
EXTENT = "box(point(min_longitude, min_latitude), point(max_longitude, max_latitude))"


class Base(DeclarativeBase):
    """The sink service's own metadata."""

    metadata = db.metadata()


def extent_index(table: str) -> Index:
    """The index of the boxes around the ground of a table's rows."""
    return Index(f"ix_{table}_extent", text(EXTENT), postgresql_using="gist")

"""The sink's own metadata."""

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The sink service's own metadata."""

    metadata = db.metadata()

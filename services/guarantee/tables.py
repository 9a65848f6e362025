"""Tables of the guarantee database."""

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The guarantee service's own metadata."""

    metadata = db.metadata()

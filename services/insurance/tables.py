"""Tables of the insurance database."""

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The insurance service's own metadata."""

    metadata = db.metadata()

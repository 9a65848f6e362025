"""What every table of insurance stands on."""

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The insurance service's own metadata."""

    metadata = db.metadata()

"""Tables of the credit database."""

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The credit service's own metadata."""

    metadata = db.metadata()

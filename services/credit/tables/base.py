"""What every table of credit stands on."""

from collections.abc import Iterable

from sqlalchemy.orm import DeclarativeBase

from shared import db


class Base(DeclarativeBase):
    """The credit service's own metadata."""

    metadata = db.metadata()


def one_of(column: str, values: Iterable[str]) -> str:
    """Say in SQL that a column holds one of some words."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"

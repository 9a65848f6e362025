"""What several doors do."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shared.web import page


def filtered(session: Session, table: Any, query: dict[str, Any], *names: str) -> dict[str, Any]:
    """One page of a table, by the filters that were given."""
    filters = {name: query[name] for name in names if query[name] is not None}
    statement: Select[Any] = select(table).where(*(getattr(table, name) == value for name, value in filters.items()))
    return page(session, statement, table.id, query, **filters)

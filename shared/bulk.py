"""Many rows at once, the way the database takes them fastest: COPY.

Row-level security refuses COPY into a table that it guards, so the rows go into a temporary table and from there, in
one statement that every rule and trigger sees, to where they belong.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session


class Json(str):
    """JSON that is written already."""

    __slots__ = ()


def insert(session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of values for these columns, after what waits in the session; their order is kept."""
    session.flush()
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    kinds = [table.c[name].type for name in columns]
    names = ", ".join(map(quote, columns))
    staged = quote(f"staged_{table.name}")
    # By types, not LIKE the table: who may only write to it may not look at it.
    described = ", ".join(f"{quote(n)} {k.compile(connection.dialect)}" for n, k in zip(columns, kinds, strict=True))
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {staged} ({described}) ON COMMIT DROP")
    json_at = [place for place, kind in enumerate(kinds) if isinstance(kind, JSONB)]
    driver: Any = connection.connection.driver_connection
    statement = f"COPY pg_temp.{staged} ({names}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(_written(row, json_at) if json_at else row)
    except psycopg.Error as error:
        # As any other statement's error comes, so that whoever waits for the database to come back knows it.
        lost = bool(driver.closed)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, psycopg.Error, False, lost, connection.dialect) from error
    connection.exec_driver_sql(
        f"INSERT INTO {quote(table.name)} ({names}) SELECT {names} FROM pg_temp.{staged}"  # noqa: S608
    )
    connection.exec_driver_sql(f"DROP TABLE pg_temp.{staged}")


def insert_mappings(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns."""
    if rows:
        columns = list(rows[0])
        insert(session, table, columns, ([row[name] for name in columns] for row in rows))


def _written(row: Sequence[Any], json_at: Sequence[int]) -> Sequence[Any]:
    values = list(row)
    for place in json_at:
        value = values[place]
        if value is not None and not isinstance(value, Json):
            values[place] = json.dumps(value, ensure_ascii=False)
    return values

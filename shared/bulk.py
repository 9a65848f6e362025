"""Many rows at once, the way the database takes them fastest: COPY.

Row-level security refuses COPY into a table that it guards, so the rows go into a temporary table and from there, in
one statement that every rule and trigger sees, to where they belong.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Table, bindparam
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

#: Rows from which on COPY is worth its temporary table.
MANY = 50

_WRITER = json.JSONEncoder(ensure_ascii=False)


class Json(str):
    """JSON that is written already."""

    __slots__ = ()


def insert(session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of values for these columns, after what waits in the session; their order is kept."""
    names = _quoted(session, columns)
    target = _quoted(session, [table.name])
    statement = f"INSERT INTO {target} ({names}) SELECT {names} FROM {{staged}}"  # noqa: S608
    _through(session, table, columns, rows, statement)


def array(values: Sequence[str]) -> str:
    """An array as PostgreSQL reads it, of values that are text already; an empty one is none at all.

    >>> print(array(["1", "", 'a "b"']), array([]))
    {"1",NULL,"a \\"b\\""} {}
    """
    joined = '","'.join(values)
    if joined.count('"') > 2 * max(0, len(values) - 1) or "\\" in joined:
        values = [one.replace("\\", "\\\\").replace('"', '\\"') for one in values]
        return "{" + ",".join([f'"{one}"' if one else "NULL" for one in values]) + "}"
    # Without a quote in any value, two of them in a row are an empty one.
    return f'{{"{joined}"}}'.replace('""', "NULL") if values else "{}"


def update(
    session: Session,
    table: Table,
    key: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    rising: bool = True,
) -> None:
    """Change rows found by their key, the first value of each; the others are the new values of the columns.

    A column `version`, where the table has one, rises with each change, as it does for a single row, unless it rose in
    this transaction already.
    """
    if not rows:
        return
    rising = rising and "version" in table.c
    if len(rows) < MANY:
        one = table.update().where(table.c[key] == bindparam("its_key"))
        one = one.values({name: bindparam(f"new_{name}") for name in columns})
        if rising:
            one = one.values(version=table.c.version + 1)
        session.flush()
        names = ["its_key", *(f"new_{name}" for name in columns)]
        session.connection().execute(one, [dict(zip(names, _read(row), strict=True)) for row in rows])
        return
    target, found = _quoted(session, [table.name]), _quoted(session, [key])
    changes = ", ".join(f"{name} = s.{name}" for name in (_quoted(session, [one]) for one in columns))
    changes += ", version = t.version + 1" if rising else ""
    statement = f"UPDATE {target} AS t SET {changes} FROM {{staged}} AS s WHERE t.{found} = s.{found}"  # noqa: S608
    _through(session, table, [key, *columns], rows, statement)


def _through(
    session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], statement: str
) -> None:
    """Copy rows into a temporary table and run a statement that takes them from there."""
    session.flush()
    connection = session.connection()
    kinds = [table.c[name].type for name in columns]
    names = _quoted(session, columns)
    staged = "pg_temp." + _quoted(session, [f"staged_{table.name}"])
    # By types, not LIKE the table: who may only write to it may not look at it.
    described = ", ".join(
        f"{_quoted(session, [n])} {k.compile(connection.dialect)}" for n, k in zip(columns, kinds, strict=True)
    )
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {staged} ({described}) ON COMMIT DROP")
    json_at = [place for place, kind in enumerate(kinds) if isinstance(kind, JSONB)]
    driver: Any = connection.connection.driver_connection
    copied = f"COPY {staged} ({names}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(copied) as copy:
            lines: list[str] = []
            for row in rows:
                values = _written(row, json_at)
                try:
                    lines.append("\t".join([_TEXT[type(value)](value) for value in values]) + "\n")
                except KeyError:
                    # A type that the driver knows how to write.
                    copy.write("".join(lines))
                    copy.write_row(values)
                    lines = []
                if len(lines) == _CHUNK:
                    copy.write("".join(lines))
                    lines = []
            copy.write("".join(lines))
    except psycopg.Error as error:
        # As any other statement's error comes, so that whoever waits for the database to come back knows it.
        lost = bool(driver.closed)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(copied, None, error, psycopg.Error, False, lost, connection.dialect) from error
    connection.exec_driver_sql(statement.format(staged=staged))
    connection.exec_driver_sql(f"DROP TABLE {staged}")


def _quoted(session: Session, names: Sequence[str]) -> str:
    return ", ".join(map(session.connection().dialect.identifier_preparer.quote, names))


def insert_rows(session: Session, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of values for these columns, in their order; few of them without the detour."""
    if len(rows) >= MANY:
        insert(session, table, columns, rows)
    elif rows:
        session.flush()
        session.connection().execute(table.insert(), [dict(zip(columns, _read(row), strict=True)) for row in rows])


def insert_mappings(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns."""
    if rows:
        columns = list(rows[0])
        insert_rows(session, table, columns, [[row[name] for name in columns] for row in rows])


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, Json) else value


def _read(row: Sequence[Any]) -> list[Any]:
    return [_plain(value) for value in row]


def _written(row: Sequence[Any], json_at: Sequence[int]) -> Sequence[Any]:
    if all(type(row[place]) is Json for place in json_at):
        return row
    values = list(row)
    for place in json_at:
        value = values[place]
        if value is not None and not isinstance(value, Json):
            values[place] = _WRITER.encode(value)
    return values


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _escape(value: str) -> str:
    return value.translate(_ESCAPED) if "\\" in value or not value.isprintable() else value


#: How COPY writes a value of each usual type, in a tenth of the driver's time. Others are left to the driver.
_TEXT: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "\\N",
    str: _escape,
    Json: _escape,
    int: int.__repr__,
    float: float.__repr__,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    UUID: UUID.__str__,
    Decimal: Decimal.__str__,
    date: date.isoformat,
    datetime: datetime.isoformat,
}
#: Lines that go to the database at a time.
_CHUNK = 500

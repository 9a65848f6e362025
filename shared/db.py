"""The database: declarative bases, sessions under a tenant, and the rules that migrations lay down."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import DateTime, Engine, MetaData, Numeric, String, Table, create_engine, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declared_attr, mapped_column, sessionmaker

from shared.errors import NotFoundError, PreconditionError
from shared.ids import uuid7

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Column types, used verbatim in every service's tables.
Id = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
Institution = Annotated[str, mapped_column(String(64), index=True)]
MoneyColumn = Annotated[Decimal, mapped_column(Numeric(18, 2))]
TonnesColumn = Annotated[Decimal, mapped_column(Numeric(18, 3))]
RateColumn = Annotated[Decimal, mapped_column(Numeric(18, 8))]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]


def metadata() -> MetaData:
    """A metadata of its own for each declarative base, with the house's names for constraints."""
    return MetaData(naming_convention=_NAMING)


class Plumbing(DeclarativeBase):
    """Tables that every service's database has: outbox, inbox, timers, audit, idempotency, approvals, jobs."""

    metadata = metadata()


class Versioned:
    """A row that several people may change: its version rises with each change and is what an ETag names."""

    version: Mapped[int]

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - a class in all but name
        """Let SQLAlchemy guard each UPDATE by the version."""
        return {"version_id_col": cls.version}


#: A database that is silently cut off is found out within half a minute, not when the kernel's own patience ends.
_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def engine(url: str, **options: Any) -> Engine:
    """Connect to PostgreSQL; sessions time out rather than hang."""
    options.setdefault("pool_size", 10)
    options.setdefault("max_overflow", 10)
    options.setdefault("connect_args", _CONNECTION)
    options.setdefault("pool_pre_ping", True)
    return create_engine(url, pool_timeout=5, **options)


def sessions(bind: Engine, **info: Any) -> sessionmaker[Session]:
    """Make a session factory; each session knows `info`. Rows stay readable after the commit, for the response."""
    return sessionmaker(bind, expire_on_commit=False, info=info)


def table_of(entity: type[DeclarativeBase]) -> Table:
    """The table of a class, for statements that need no objects."""
    return cast(Table, entity.__table__)


def act_for(session: Session, institution: str) -> None:
    """Set the tenant for what follows in this transaction; pending rows are written under the tenant before."""
    if session.info.get("institution") == institution and session.in_transaction():
        return
    session.flush()
    session.execute(text("SELECT set_config('app.institution', :i, true)"), {"i": institution})
    session.info["institution"] = institution


@contextmanager
def acting_for(session: Session, institution: str) -> Iterator[None]:
    """Act for one institution, then for the one before again."""
    before = session.info.get("institution", "")
    act_for(session, institution)
    yield
    act_for(session, before)


def tenant(session: Session) -> str:
    """The institution this transaction acts for."""
    institution = session.info.get("institution")
    if not institution:
        raise RuntimeError("no institution is set for this transaction")
    return str(institution)


Row = TypeVar("Row", bound=DeclarativeBase)


def found(session: Session, table: type[Row], key: Any) -> Row:
    """Read a row by its id, or refuse: what belongs to another institution does not exist."""
    row = session.get(table, key)
    if row is None:
        raise NotFoundError(f"no {table.__name__.lower()} has the id {key}")
    return row


def locked(session: Session, table: type[Row], key: Any, *, referred: bool = False) -> Row:
    """Read and lock a row by its id; keep the promise of If-Match if the request made one.

    With `referred`, others may enter rows that refer to it meanwhile: what belongs to many is then no knot.
    """
    row = session.get(table, key, with_for_update={"key_share": True} if referred else True, populate_existing=True)
    if row is None:
        raise NotFoundError(f"no {table.__name__.lower()} has the id {key}")
    expected = session.info.pop("expected_version", None)
    if expected is not None and expected != getattr(row, "version", expected):
        raise PreconditionError(f"you read version {expected}, the current one is {getattr(row, 'version', None)}")
    return row


def is_passing(error: BaseException) -> bool:
    """Whether repeating the transaction may help: deadlock, serialization, lock timeout, lost connection."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, OperationalError) or error.connection_invalidated
    return state[:2] in ("08", "40", "53", "57") or state in ("55P03", "25006")


def is_lost(error: BaseException) -> bool:
    """Whether the database itself is away, full or read-only, rather than this one transaction unlucky."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return is_passing(error) and (state is None or state[:2] in ("08", "53", "57") or state == "25006")


def ping(session: Session) -> None:
    """Ask the database whether it is there."""
    session.execute(select(1))


# -- rules that migrations lay down -----------------------------------------------------------------------------------

TENANT = "nullif(current_setting('app.institution', true), '')"


def private_table(service: str, table: str, *, column: str = "institution", worker_reads: bool = False) -> list[str]:
    """SQL that keeps a table's rows to their institution: row-level security, forced, and the grants.

    `worker_reads` lets the worker's own role read across institutions (never write), for tables that only say which
    institution an event concerns.
    """
    rules = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_institution ON {table} USING ({column} = {TENANT}) WITH CHECK ({column} = {TENANT})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service}_app, {service}_worker",
    ]
    if worker_reads:
        rules.append(f"CREATE POLICY worker_reads ON {table} FOR SELECT TO {service}_worker USING (true)")
    return rules


def common_table(service: str, table: str) -> list[str]:
    """SQL grants for a table that holds no institution's data: a copy of public valuations, say."""
    return [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service}_app, {service}_worker"]

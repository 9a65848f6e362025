"""Create a service's database and its three roles on a PostgreSQL cluster: owner, application, worker."""

from sqlalchemy import Connection, create_engine, text

from shared.schema import SERVICES

#: The owner migrates and owns everything; app and worker own nothing and bypass nothing.
ROLES = ("owner", "app", "worker")
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}


def create(
    superuser_url: str, service: str, database: str | None = None, passwords: dict[str, str] | None = None
) -> None:
    """Create what is missing of a service's roles and database; safe to repeat."""
    if service not in SERVICES:
        raise ValueError(f"no such service: {service}")
    database = database or service
    admin = create_engine(superuser_url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            for role in ROLES:
                _role(connection, f"{service}_{role}", (passwords or {}).get(role))
            known = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :d"), {"d": database})
            if not known:
                connection.exec_driver_sql(f'CREATE DATABASE "{database}" OWNER {service}_owner TEMPLATE template0')
            connection.exec_driver_sql(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
            connection.exec_driver_sql(
                f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO {service}_app, {service}_worker'
            )
    finally:
        admin.dispose()


def _role(connection: Connection, name: str, password: str | None) -> None:
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :n"), {"n": name}):
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
    if password is not None:
        quoted = connection.scalar(text("SELECT quote_literal(:p)"), {"p": password})
        connection.exec_driver_sql(f"ALTER ROLE {name} PASSWORD {quoted}".replace("%", "%%"))
    if not name.endswith("_owner"):
        for limit, value in _LIMITS.items():
            connection.exec_driver_sql(f"ALTER ROLE {name} SET {limit} = '{value}'")

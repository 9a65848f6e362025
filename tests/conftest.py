"""Real PostgreSQL for every test that wants one, built by the real migrations; one cluster for a test run's worker."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from deploy.embedded import EmbeddedPostgres
from services.insurance.actions import models as peril_models
from shared import audit, database, db, schema

# A busy machine is no fault of the code: no example is judged by how long it took, and what failed is told whole.
hypothesis.settings.register_profile(
    "heartwood", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("heartwood")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL cluster that forgets what it is told when the tests end."""
    with tempfile.TemporaryDirectory(prefix="hw-") as folder, EmbeddedPostgres(Path(folder), durable=False) as cluster:
        yield cluster


@dataclass
class Database:
    """A migrated database of one service, and the three ways into it."""

    service: str
    name: str
    owner: Engine
    app: Engine
    worker: Engine
    #: The superuser's way in, past row-level security: for what tests must see whole.
    admin_url: str = ""

    @property
    def sessions(self) -> sessionmaker[Session]:
        """Sessions of the application's role."""
        return db.sessions(self.app)

    @property
    def worker_sessions(self) -> sessionmaker[Session]:
        """Sessions of the worker's role."""
        return db.sessions(self.worker)

    def url(self, postgres: EmbeddedPostgres, role: str) -> str:
        """Connection URL of a role."""
        return postgres.url(f"{self.service}_{role}", self.name)

    def dispose(self) -> None:
        """Close every connection."""
        for engine in (self.owner, self.app, self.worker):
            engine.dispose()


def make_database(postgres: EmbeddedPostgres, service: str, name: str) -> Database:
    """Create and migrate a database."""
    database.create(postgres.url("postgres", "postgres"), service, name)
    engines = [db.engine(postgres.url(f"{service}_{role}", name)) for role in database.ROLES]
    schema.migrate(service, engines[0])
    return Database(service, name, *engines, postgres.url("postgres", name))


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Iterator[dict[str, Database]]:
    """One migrated database for each service."""
    made = {service: make_database(postgres, service, f"test_{service}") for service in schema.SERVICES}
    yield made
    for one in made.values():
        one.dispose()


def empty(one: Database, postgres: EmbeddedPostgres) -> None:
    """Delete every row, as the superuser; the schema stays."""
    admin = create_engine(postgres.url("postgres", one.name))
    with admin.begin() as connection:
        tables = connection.scalars(
            text(
                "SELECT quote_ident(tablename) FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ).all()
        connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
    admin.dispose()


def _fixture(service: str):
    @pytest.fixture(name=f"{service}_db")
    def service_db(databases: dict[str, Database], postgres: EmbeddedPostgres) -> Iterator[Database]:
        yield databases[service]
        empty(databases[service], postgres)
        if service == "insurance":
            # Kept for some seconds in earnest, and so for the next test here.
            peril_models._remembered.clear()

    return service_db


sink_db = _fixture("sink")
credit_db = _fixture("credit")
insurance_db = _fixture("insurance")
guarantee_db = _fixture("guarantee")


@pytest.fixture
def sealed():
    """Run a block in one transaction for an institution, as the doors do."""
    from contextlib import contextmanager

    @contextmanager
    def opened(sessions: sessionmaker[Session], institution: str, actor: str = "tester") -> Iterator[Session]:
        with sessions.begin() as session:
            db.act_for(session, institution)
            session.info["actor"] = actor
            yield session
            audit.seal(session)

    return opened

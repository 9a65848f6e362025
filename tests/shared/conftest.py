"""The service of notes, and its database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from deploy.embedded import EmbeddedPostgres
from tests.conftest import Database, empty, make_database
from tests.shared.notes import Issuer, Notes, lay_down


@pytest.fixture(scope="session")
def notes_database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    database = make_database(postgres, "sink", "test_notes")
    lay_down(database)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(Path(tmp_path_factory.mktemp("issuer")))


@pytest.fixture
def notes(notes_database: Database, issuer: Issuer, postgres: EmbeddedPostgres) -> Iterator[Notes]:
    admin = create_engine(postgres.url("postgres", notes_database.name))
    yield Notes(notes_database, issuer, admin)
    admin.dispose()
    empty(notes_database, postgres)

"""A town of four services with an empty register."""

from collections.abc import Iterator

import pytest

from deploy.embedded import EmbeddedPostgres
from tests.conftest import Database, empty
from tests.flows.invariants import Books
from tests.harness import Town


@pytest.fixture
def town(databases: dict[str, Database], postgres: EmbeddedPostgres) -> Iterator[Town]:
    """Four services and a list for a broker; every row is gone afterwards."""
    yield Town(databases)
    for database in databases.values():
        empty(database, postgres)


@pytest.fixture
def books(databases: dict[str, Database]) -> Iterator[Books]:
    """The four databases, opened to be read whole; every row is gone afterwards."""
    opened = Books(databases).open()
    yield opened
    opened.empty()
    opened.close()

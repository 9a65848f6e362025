"""Towns that live at random, from a seed: `heartwood simulate`. Needs the development extra."""

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from deploy.embedded import EmbeddedPostgres
from shared import schema
from tests.conftest import make_database
from tests.flows.invariants import ALWAYS, SETTLED, Books
from tests.flows.machine import Machine

#: What holds between any two transactions, and what once all was delivered.
RULES = (len(ALWAYS), len(SETTLED))


def simulate(seed: int, steps: int, towns: int, tell: Callable[[int], None]) -> tuple[Counter[str], str]:
    """Play so many towns of so many steps each, the same ones for the same seed.

    `tell` hears how many towns there were so far. Returns what was done, and the smallest story that breaks a rule:
    empty if none does.
    """
    with _world() as (databases, books):
        return _played(databases, books, seed, steps, towns, tell)


def planted(seeds: Sequence[int], tell: Callable[[str], None]) -> dict[str, list[int]]:
    """For each bug that tests/flows/test_mutations.py plants: in which town it was found, for each seed."""
    from tests.flows.test_mutations import PLANTED, towns_until_found

    found: dict[str, list[int]] = {}
    with _world() as (databases, books):
        for plant in PLANTED:
            name = plant.__name__.replace("_", " ")
            tell(name)
            for seed in seeds:
                with pytest.MonkeyPatch.context() as patch:
                    plant(patch)
                    found.setdefault(name, []).append(towns_until_found(plant, databases, books, seed))
    return found


@contextmanager
def _world() -> Iterator[tuple[dict[str, Any], Books]]:
    """Four databases and their books."""
    # A town is full of refusals and of servers that die; the story tells what matters of them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        tempfile.TemporaryDirectory(prefix="hw-") as folder,
        EmbeddedPostgres(Path(folder), durable=False) as postgres,
    ):
        databases = {service: make_database(postgres, service, f"town_{service}") for service in schema.SERVICES}
        books = Books(databases).open()
        try:
            yield databases, books
        finally:
            books.close()
            for database in databases.values():
                database.dispose()


def _played(
    databases: dict[str, Any], books: Books, seed: int, steps: int, towns: int, tell: Callable[[int], None]
) -> tuple[Counter[str], str]:
    class Town(Machine):
        def __init__(self) -> None:
            super().__init__()
            tell(self.done["towns"])

    Town.databases, Town.books, Town.done = databases, books, Counter()
    chosen = settings(
        max_examples=towns,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(Town), settings=chosen)
    except AssertionError as error:
        return Town.done, "\n".join([str(error), *getattr(error, "__notes__", [])])
    return Town.done, ""

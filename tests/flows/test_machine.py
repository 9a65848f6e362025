"""Whatever happens, in whatever order, the books of the four services hold and agree.

HEARTWOOD_EXAMPLES=500 plays that many towns, new ones each time; without it the same few are played.
"""

from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import Database
from tests.flows.invariants import Books
from tests.flows.machine import Machine, examples


def test_no_order_of_events_breaks_the_books(databases: dict[str, Database], books: Books) -> None:
    class Town(Machine):
        pass

    Town.databases, Town.books = databases, books
    run_state_machine_as_test(Town, settings=examples(12))

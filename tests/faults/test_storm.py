"""A short storm on the real stack, every kind of fault once; `make test-faults` is the long one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.history import Command, History
from tests.faults.storm import FAULTS, Storm, play
from tests.flows.invariants import Books


@pytest.mark.stack
@pytest.mark.xdist_group("stack")
def test_what_clients_were_told_is_what_the_databases_hold_after_every_kind_of_fault() -> None:
    told = play(0.0, clients=2, pause=1.2, afterwards=_the_reckoning_finds_what_is_planted)
    assert told.faults == []
    assert {*told.storm.harms, *told.storm.missing} == {*FAULTS}
    assert told.storm.history.outcomes()["acknowledged"] > 0
    assert told.events > 0


def _the_reckoning_finds_what_is_planted(storm: Storm, books: Books) -> None:
    """A reckoning that finds nothing would always hold."""
    # One command whose outcome the client knows, and which made a row of its own.
    known = next(c for c in storm.history.commands if c.outcome == "acknowledged" and c.mark)

    def found(command: Command) -> str:
        return " ".join(History([command]).faults(books))

    lies: dict[str, Callable[[], Any]] = {
        "was refused with 409, and something was done": lambda: replace(known, status=409),
        "was acknowledged, and nothing is there": lambda: replace(known, key="none", request_id="none"),
        "would be told something else": lambda: replace(known, answer={}),
        "0 rows of loans": lambda: replace(known, mark=("loans", "id", None)),
    }
    assert found(known) == ""
    for saying, lie in lies.items():
        assert saying in found(lie())
    credit = books.connections["credit"]
    credit.exec_driver_sql(
        """INSERT INTO audit_entries
        SELECT institution, number + 1000000, at, actor, action, subject, request_id, detail, hash FROM audit_entries
        WHERE request_id = %(request)s""",
        {"request": known.request_id},
    )
    credit.exec_driver_sql("DELETE FROM idempotent_answers WHERE key = %(key)s", {"key": known.key})
    books.faults()  # forget what was read
    assert "was done 2 times" in found(known)
    assert "no answer is kept" in found(replace(known, status=None))

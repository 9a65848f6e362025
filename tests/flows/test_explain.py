"""The trail of a loan through four services."""

from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from deploy.explain import NOT_YET, Deed, Told, Trail, explain
from shared import inbox
from shared.errors import RefusalError
from shared.events.credit import LegsRequested
from tests.flows.people import People
from tests.harness import BANK, Town, door


@pytest.fixture
def people(town: Town) -> People:
    made = People(town)
    made.set_profile()
    made.register_forests()
    town.pump()
    return made


@pytest.fixture
def workers(town: Town) -> dict[str, Engine]:
    return {service: database.worker for service, database in town.databases.items()}


def told(trail: Trail, name: str) -> Told:
    (one,) = [step for step in trail.steps if isinstance(step, Told) and step.name == name]
    return one


def test_a_loan_is_followed_through_every_service(people: People, town: Town, workers: dict[str, Engine]) -> None:
    loan = people.apply(people.assets[0])
    before = explain(workers, loan)
    assert "credit: no broker has taken LoanApplied 1 of " + loan in before.waits
    assert told(before, "LegsRequested").heard == {"insurance": NOT_YET, "guarantee": NOT_YET}
    town.pump()

    trail = explain(workers, loan)
    assert {step.service for step in trail.steps} >= {"credit", "insurance", "guarantee"}
    assert [step.at for step in trail.steps] == sorted(step.at for step in trail.steps)
    legs = told(trail, "LegsRequested")
    assert all(isinstance(seconds, float) and seconds >= 0 for seconds in legs.heard.values())
    assert not any(line.startswith(("sink: has", "credit: has", "insurance: has")) for line in trail.waits)
    # A leg answers under the request that asked for it, and so does the deed behind the answer.
    assert told(trail, "CoverQuoted").request_id == legs.request_id
    mine = explain(workers, legs.request_id)
    assert {step.service for step in mine.steps} >= {"credit", "insurance", "guarantee"}
    assert all(step.request_id == legs.request_id for step in mine.steps)
    assert any(isinstance(step, Deed) and step.institution == BANK for step in mine.steps)


def test_what_waits_and_what_died_is_told(
    people: People, town: Town, workers: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = people.apply(people.assets[0])
    town.relay()
    queue = town.waiting["insurance"]["credit.events", loan.encode()]
    consumer = door("insurance").consumer
    first, rest = queue[0], queue[1:]
    inbox.receive(workers_of(town, "insurance"), consumer, rest, "town")
    waiting = explain(workers, loan)
    assert told(waiting, "LegsRequested").heard["insurance"] == "waits for its predecessor"
    assert any("LegsRequested" in line and "waits for its predecessor" in line for line in waiting.waits)

    def refuse(*_: object) -> None:
        raise RefusalError("no room for it")

    monkeypatch.setitem(consumer.handlers, LegsRequested, refuse)
    inbox.receive(workers_of(town, "insurance"), consumer, [first], "town")
    buried = explain(workers, loan)
    assert told(buried, "LegsRequested").heard["insurance"] == "dead"
    assert any("dead letter" in line and "no room for it" in line for line in buried.waits)


def workers_of(town: Town, service: str) -> sessionmaker[Session]:
    return town.databases[service].worker_sessions


def test_an_id_that_nobody_knows_has_no_trail(workers: dict[str, Engine]) -> None:
    assert explain(workers, str(UUID(int=0))) == Trail([], [])


def test_it_only_looks(people: People, workers: dict[str, Engine]) -> None:
    loan = people.apply(people.assets[0])
    assert explain(workers, loan) == explain(workers, loan)

"""An allocation is accepted by two persons, whole or not at all, and a bank's request takes the room that it held."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from services.guarantee.actions.profile import set_profile
from services.guarantee.consumers import DOOR
from services.guarantee.tables import Profile, Reservation
from shared import clock, jobs, timers
from tests.guarantee.stories import COUNTY, asked, guarantee, ready, terms, used, withdrawn, yuan
from tests.guarantee.test_storm import at_once, reconciled
from tests.harness import GUARANTOR, OTHER_GUARANTOR, body, client, deliver

LOANS = [str(uuid4()) for _ in range(5)]
MILLION = 100_000_000


def queue(ids=LOANS, **changed):
    """Five loans of a million for two guarantors; each has room for two of them."""
    shares = {"primary": 4000, "province": 3000, "national": 0, "bank": 2000, "pool": 1000}
    loan = {"amount": MILLION, "pd_bp": 300, "lgd_bp": 4000, "carbon": 0, "weight_bp": 7500, "bank": "B"}
    loan |= {"county": COUNTY, "sector": "S", "group": None} | changed
    return {
        "format": "guarantee-queue/1",
        "unit": "fen",
        "schemes": [{"id": "4-3-2-1", **shares}],
        "guarantors": [
            {"id": name, "net_assets": 0, "leverage": 10, "single_cap": None, "counties": None}
            for name in (GUARANTOR, OTHER_GUARANTOR)
        ],
        "contracts": [{"bank": "B", "guarantor": name, "scheme": "4-3-2-1"} for name in (GUARANTOR, OTHER_GUARANTOR)],
        "buckets": [
            {"id": name, "kind": "headroom", "keys": [name], "cap": 60_000_000} for name in (GUARANTOR, OTHER_GUARANTOR)
        ],
        "loans": [loan | {"id": one, "obligor": f"o-{one}"} for one in ids],
        "objective": {"amount": 1, "carbon": 0.5, "el": 3},
    }


def person(database, name, institution=GUARANTOR):
    return client("guarantee", database, "guarantor", institution, name)


@pytest.fixture
def maker(guarantee_db, sealed):
    """A manager of a guarantor whose province quota is just enough for two of the loans."""
    ready(guarantee_db.sessions, sealed, province_quota=yuan(600_000))
    return person(guarantee_db, "maker")


def placed(database, who, given=None):
    """Where the placing of a queue is found."""
    made = body(who.send("/v1/allocations", json.dumps(given or queue()).encode()), 202)
    while jobs.run_step(database.worker_sessions, DOOR.jobs):
        pass
    return f"/v1/allocations/{made['id']}"


def accepted(database, who, where, **which):
    """Propose and accept, as two persons."""
    seen = body(who.post(f"{where}/acceptance", which))
    given = {"payload_hash": seen["payload_hash"], "approve": True}
    return person(database, "checker").post(f"{where}/approval", given)


def holds(database, sealed):
    with sealed(database.sessions, GUARANTOR) as session:
        return used(session).get(("province", ""), (0, 0))


def test_two_persons_accept_once_and_the_bank_takes_what_was_held(guarantee_db, sealed, maker):
    where = placed(guarantee_db, maker)
    shown = body(maker.get(f"{where}/acceptance"))
    assert (shown["acceptance"], len(shown["loans"]), shown["loans"][0]["state"]) == ("none", 2, None)
    seen = body(maker.post(f"{where}/acceptance", {}))
    assert (seen["acceptance"], seen["accepted_loans"]) == ("proposed", 2)
    assert seen["accepted_amount"]["amount"] == "2000000.00"
    assert body(maker.post(f"{where}/acceptance", {})) == seen
    given = {"payload_hash": seen["payload_hash"], "approve": True}
    assert maker.post(f"{where}/approval", given).status_code == 403
    other = {"payload_hash": "0" * 64, "approve": True}
    assert person(guarantee_db, "checker").post(f"{where}/approval", other).status_code == 409
    assert holds(guarantee_db, sealed) == (0, 0)
    done = body(person(guarantee_db, "checker").post(f"{where}/approval", given))
    assert (done["acceptance"], done["proposed_by"], done["decided_by"]) == ("accepted", "maker", "checker")
    assert body(person(guarantee_db, "checker").post(f"{where}/approval", given)) == done
    assert maker.post(f"{where}/acceptance", {}).status_code == 409
    assert holds(guarantee_db, sealed) == (0, 2 * 30_000_000)
    shown = body(maker.get(f"{where}/acceptance"))
    assert [one["state"] for one in shown["loans"]] == ["pending", "pending"]
    first, second = (UUID(one["loan"]) for one in shown["loans"])

    # The quota is full: only because the request takes the place of what was held is there room for it.
    deliver("guarantee", guarantee_db, asked())
    deliver("guarantee", guarantee_db, asked(first))
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        assert guarantee(session, first).state == "reserved"
        was = session.scalars(select(Reservation).where(Reservation.allocation_id.is_not(None))).all()
        assert {one.loan_id: one.state for one in was} == {first: "void", second: "pending"}
    assert holds(guarantee_db, sealed) == (0, 2 * 30_000_000)
    deliver("guarantee", guarantee_db, withdrawn(second))
    assert holds(guarantee_db, sealed) == (0, 30_000_000)
    reconciled(guarantee_db)


def test_what_no_bank_asks_for_is_given_back(guarantee_db, sealed, maker):
    where = placed(guarantee_db, maker)
    body(accepted(guarantee_db, maker, where))
    assert timers.run_due(guarantee_db.worker_sessions, DOOR.timers) == 0
    with clock.travelled(timedelta(days=31)):
        assert timers.run_due(guarantee_db.worker_sessions, DOOR.timers) == 1
    assert holds(guarantee_db, sealed) == (0, 0)
    assert {one["state"] for one in body(maker.get(f"{where}/acceptance"))["loans"]} == {"expired"}


def test_when_a_limit_has_changed_none_is_accepted_and_the_rule_is_told(guarantee_db, sealed, maker):
    where = placed(guarantee_db, maker)
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        session.info["expected_version"] = 1
        set_profile(session, terms(province_quota=yuan(599_999)))
    refused = body(accepted(guarantee_db, maker, where), 409)
    assert [one["pointer"] for one in refused["errors"]] == ["/limit.province"]
    assert "省级再担保额度" in refused["detail"]
    assert "600,000.00 CNY needed, 599,999.00 CNY left (guarantor's profile, version 2)" in refused["detail"]
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        assert session.scalars(select(Reservation)).all() == []
        assert session.scalars(select(Profile.province_quota)).one() == yuan(599_999)
    # Some of it still fits, and what was refused can be accepted when there is room again.
    one = body(maker.get(f"{where}/acceptance"))["loans"][:1]
    assert body(accepted(guarantee_db, maker, where, loans=[one[0]["loan"]]))["accepted_loans"] == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (queue(["L1"]), "is no UUID of a loan at a bank"),
        (queue(pd_bp=900), "default probability of 9.00 % is above the accepted 8.00 %"),
        (queue() | {"schemes": [queue()["schemes"][0] | {"id": "x"}],
                    "contracts": [{"bank": "B", "guarantor": GUARANTOR, "scheme": "x"}]},
         "No sharing scheme named 'x' is in force"),
        (queue() | {"schemes": [queue()["schemes"][0] | {"primary": 5000, "province": 2000}]},
         "the file's shares of 4-3-2-1 are not those in force"),
    ],
)  # fmt: skip
def test_one_loan_that_cannot_be_guaranteed_stops_all(guarantee_db, maker, given, told):
    given["contracts"] = [one for one in given["contracts"] if one["guarantor"] == GUARANTOR]
    refused = body(maker.post(f"{placed(guarantee_db, maker, given)}/acceptance", {}), 409)
    assert told in refused["errors"][0]["detail"]


def test_what_was_not_placed_here_or_was_asked_for_already_is_not_accepted(guarantee_db, maker):
    where = placed(guarantee_db, maker)
    (first, second) = (one["loan"] for one in body(maker.get(f"{where}/acceptance"))["loans"])
    elsewhere = next(one for one in LOANS if one not in (first, second))
    refused = body(maker.post(f"{where}/acceptance", {"loans": [first, elsewhere]}), 409)
    assert refused["errors"] == [{"pointer": "/loans", "detail": f"{elsewhere} was not placed with you"}]
    deliver("guarantee", guarantee_db, asked(UUID(second)))
    refused = body(maker.post(f"{where}/acceptance", {}), 409)
    assert [one["pointer"] for one in refused["errors"]] == [f"/loans/{second}"]
    nobody = queue()
    nobody["guarantors"][0]["id"] = nobody["contracts"][0]["guarantor"] = nobody["buckets"][0]["keys"][0] = "G00"
    assert (
        "placed no loan with"
        in body(maker.post(f"{placed(guarantee_db, maker, nobody)}/acceptance", {}), 409)["detail"]
    )
    waiting = body(maker.send("/v1/allocations", json.dumps(queue()).encode()), 202)["id"]
    assert maker.post(f"/v1/allocations/{waiting}/acceptance", {}).status_code == 409


def test_allocations_accepted_at_once_never_hold_more_than_there_is(guarantee_db, sealed, maker):
    ready_for = [placed(guarantee_db, maker, queue([str(uuid4()) for _ in range(5)])) for _ in range(3)]
    hashes = [body(maker.post(f"{where}/acceptance", {}))["payload_hash"] for where in ready_for]

    def accept(where, seen):
        who = person(guarantee_db, "checker")
        return who.post(f"{where}/approval", {"payload_hash": seen, "approve": True}).status_code

    pairs = zip(ready_for, hashes, strict=True)
    assert sorted(at_once(*(lambda w=w, s=s: accept(w, s) for w, s in pairs))) == [200, 409, 409]
    assert holds(guarantee_db, sealed) == (0, 2 * 30_000_000)
    reconciled(guarantee_db)

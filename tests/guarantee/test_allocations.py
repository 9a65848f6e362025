"""A queue placed as a job: started, watched, cancelled and resumed; nothing is reserved by it."""

import json

import pytest

from services.guarantee.allocation import checker
from services.guarantee.consumers import DOOR
from services.guarantee.tables import Bucket, Reservation
from shared import db, jobs
from tests.bench.queues import queue
from tests.harness import GUARANTOR, OTHER_GUARANTOR, body, client


@pytest.fixture
def manager(guarantee_db):
    return client("guarantee", guarantee_db, "guarantor", GUARANTOR)


def sent(who, given, status=202, query=""):
    return body(who.send(f"/v1/allocations{query}", json.dumps(given).encode()), status)


def step(database):
    return jobs.run_step(database.worker_sessions, DOOR.jobs)


def test_a_queue_is_placed_watched_and_its_certificate_holds(guarantee_db, manager):
    given = queue(40, 3, seed=3, tightness=0.4)
    made = sent(manager, given, query="?seed=7&what_if=quota:50,cut_off:G00")
    assert (made["loans"], made["seed"], made["bound"]) == (40, 7, None)
    assert manager.get(f"/v1/allocations/{made['id']}/certificate").status_code == 404
    gaps = []
    while step(guarantee_db):
        gaps.append(float(body(manager.get(f"/v1/allocations/{made['id']}"))["gap"]))
    assert gaps == sorted(gaps, reverse=True)
    assert body(manager.get(f"/v1/jobs/{made['id']}"))["state"] == "finished"
    answer = manager.get(f"/v1/allocations/{made['id']}/certificate")
    assert checker.faults(json.dumps(given).encode(), answer.get_data()) == []
    quota, cut_off = json.loads(answer.get_data())["what_if"]
    assert (quota["change"], cut_off["change"]) == ("quota:50", "cut_off:G00")
    assert cut_off["lost_value"] > 0
    assert cut_off["lose_their_place"]
    assert body(manager.get("/v1/allocations"))["items"][0]["finished_at"] is not None
    with guarantee_db.sessions.begin() as session:
        db.act_for(session, GUARANTOR)
        assert session.query(Reservation).count() == session.query(Bucket).count() == 0


def test_a_job_that_is_cancelled_goes_on_to_the_same_answer(guarantee_db, manager):
    given = queue(40, 3, seed=3, tightness=0.4)
    whole, broken = sent(manager, given), sent(manager, given)
    while step(guarantee_db):
        if body(manager.get(f"/v1/jobs/{broken['id']}"))["done"] == 1:
            body(manager.post(f"/v1/jobs/{broken['id']}/cancellation", {}))
            assert not step(guarantee_db)
            body(manager.post(f"/v1/jobs/{broken['id']}/resumption", {}))
    first, second = (manager.get(f"/v1/allocations/{one['id']}/certificate").get_data() for one in (whole, broken))
    assert first == second


def test_a_queue_with_a_bad_row_is_refused_at_once(manager):
    given = queue(5, 3, seed=3)
    given["loans"][1]["amount"] = 0.5
    refused = sent(manager, given, status=422)
    assert "loans, row 2 (L000001), amount: 0.5 is not a whole number of fen" in refused["detail"]
    refused = sent(manager, queue(5, 3, seed=3), status=422, query="?what_if=rain:5")
    assert "'rain:5' is none of net_assets:-20, quota:50, cut_off:GUARANTOR" in refused["detail"]
    assert body(manager.get("/v1/jobs"))["items"] == []


def test_a_queue_whose_must_serve_loans_do_not_fit_fails_with_the_limits_in_the_way(guarantee_db, manager):
    given = queue(30, 3, seed=4, tightness=0.2)
    for loan in given["loans"]:
        loan |= {"class": 0, "amount": 10**8}
    made = sent(manager, given)
    while step(guarantee_db):
        pass
    job = body(manager.get(f"/v1/jobs/{made['id']}"))
    assert job["state"] == "failed"
    assert "must be served, but" in job["log"][-1]["error"]


def test_another_guarantor_sees_nothing_of_it(guarantee_db, manager):
    made = sent(manager, queue(5, 3, seed=3))
    other = client("guarantee", guarantee_db, "guarantor", OTHER_GUARANTOR)
    assert other.get(f"/v1/allocations/{made['id']}").status_code == 404

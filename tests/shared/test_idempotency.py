"""Idempotency-Key: however often, at once, after a restart, a request with a key does its work once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared import clock, idempotency
from tests.shared.notes import NOTHING, ONE, OTHER, Notes, note, problem


def key(text: str | None = None) -> dict[str, Any]:
    return {"Idempotency-Key": text or str(uuid4())}


def shown(answer: Any) -> tuple[Any, ...]:
    return answer.status_code, answer.get_data(), answer.headers["Location"], answer.headers["ETag"], answer.mimetype


@pytest.mark.parametrize("header", [None, "", "  ", '""', "x" * 256, '"' + "x" * 256 + '"', "ключ", "a\tb", "钥匙"])
def test_a_missing_or_malformed_key_is_refused(notes: Notes, header: str | None) -> None:
    problem(notes.make(headers={"Idempotency-Key": header}), 400)
    assert notes.left() == NOTHING


def test_a_key_may_be_long_and_bare_or_quoted(notes: Notes) -> None:
    made = notes.make(headers=key("k" * 255))
    again = notes.make(headers=key('"' + "k" * 255 + '"'))
    assert shown(made) == shown(again)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert notes.left() == ONE


def test_a_repeat_gets_the_same_answer_and_does_nothing(notes: Notes) -> None:
    same = key()
    made = notes.make(headers=same)
    assert "Idempotency-Replayed" not in made.headers
    for _ in range(3):
        again = notes.make(headers=same)
        assert shown(again) == shown(made)
        assert again.headers["Idempotency-Replayed"] == "true"
    assert notes.left() == ONE
    assert notes.switch.calls == 1


def test_a_repeat_may_write_its_json_otherwise(notes: Notes) -> None:
    same = key()
    made = notes.post(body=b'{"title": "x", "amount": {"amount": "1.00", "currency": "CNY"}}', headers=same)
    again = notes.post(body=b'{"amount":{"currency":"CNY","amount":"1.00"},"title":"\\u0078"}', headers=same)
    assert shown(again) == shown(made)


def test_a_repeat_after_a_restart_gets_the_same_answer(notes: Notes) -> None:
    same = key()
    made = notes.make(headers=same)
    notes.restart()
    assert shown(notes.make(headers=same)) == shown(made)
    assert notes.left() == ONE


def test_a_repeat_gets_the_answer_of_then_not_of_now(notes: Notes) -> None:
    same = key()
    made = notes.make(headers=same)
    path = made.headers["Location"] + "/doubling"
    doubling = key()
    doubled = notes.post(path, headers=doubling | {"If-Match": '"v1"'})
    assert shown(notes.make(headers=same)) == shown(made)
    again = notes.post(path, headers=doubling | {"If-Match": '"v1"'})
    assert again.get_data() == doubled.get_data(), "a repeat is not refused for the version it has itself changed"
    assert notes.get(made.headers["Location"]).get_json()["version"] == 2


def test_another_body_or_another_path_under_a_used_key_is_refused(notes: Notes) -> None:
    same = key()
    notes.make(headers=same)
    problem(notes.make("second", headers=same), 422)
    problem(notes.post("/v1/refusals", note(), headers=same), 422)
    assert notes.left() == ONE


def test_a_used_key_does_not_excuse_a_missing_scope(notes: Notes) -> None:
    same = key()
    notes.make(headers=same)
    problem(notes.make(headers=same, who={"scope": "notes:read"}), 403)


def test_another_institution_or_client_has_keys_of_its_own(notes: Notes) -> None:
    same = key()
    notes.make("first", headers=same)
    other = notes.make("second", headers=same, who={"institution": OTHER})
    third = notes.make("third", headers=same, who={"client_id": "desk"})
    assert (other.status_code, third.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in {**other.headers, **third.headers}
    assert notes.left()["notes"] == 3


def test_twenty_at_once_make_one_row_and_the_others_hear_so(notes: Notes) -> None:
    same, met = key(), threading.Barrier(20)

    def ask(_: int) -> Any:
        met.wait(60)
        return notes.make(headers=same)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))
    fresh = [a for a in answers if a.status_code == 201 and "Idempotency-Replayed" not in a.headers]
    replayed = [a for a in answers if a.headers.get("Idempotency-Replayed") == "true"]
    waiting = [a for a in answers if a.status_code == 409]
    assert (len(fresh), len(fresh) + len(replayed) + len(waiting)) == (1, 20)
    assert {shown(a) for a in replayed} <= {shown(fresh[0])}
    for answer in waiting:
        assert problem(answer, 409)["type"].endswith("/in-progress")
        assert answer.headers["Retry-After"] == "1"
    assert shown(notes.make(headers=same)) == shown(fresh[0])
    assert notes.left() == ONE


def test_while_a_request_is_answered_its_repeat_is_told_to_wait(notes: Notes) -> None:
    same, answers = key(), []
    working = threading.Thread(target=lambda: answers.append(notes.post("/v1/troubles", note(), headers=same)))
    working.start()
    assert notes.switch.arrived.acquire(timeout=60)
    problem(notes.post("/v1/troubles", note(), headers=same), 409)
    assert notes.make("another", headers=key()).status_code == 201, "other keys are not held up"
    notes.switch.go.set()
    working.join(60)
    assert answers[0].status_code == 201
    assert notes.post("/v1/troubles", note(), headers=same).headers["Idempotency-Replayed"] == "true"
    assert notes.left()["notes"] == 2


def test_failures_and_refusals_are_not_stored(notes: Notes) -> None:
    same = key()
    notes.switch.go.set()
    notes.switch.failures.append(RuntimeError("once"))
    problem(notes.post("/v1/troubles", note(), headers=same), 500)
    assert notes.left() == NOTHING
    problem(notes.post("/v1/troubles", {"title": ""}, headers=same), 422)
    problem(notes.post("/v1/troubles", b"[", headers=same), 400)
    problem(notes.post("/v1/refusals", note(), headers=same), 409)
    assert notes.left() == NOTHING
    made = notes.post("/v1/troubles", note(), headers=same)
    assert (made.status_code, made.headers.get("Idempotency-Replayed")) == (201, None)
    assert notes.left() == ONE


def test_an_answer_is_forgotten_after_seven_days(notes: Notes) -> None:
    same = key()
    made = notes.make(headers=same)
    with clock.travelled(timedelta(days=7) - timedelta(minutes=1)):
        assert shown(notes.make(headers=same)) == shown(made)
    with clock.travelled(timedelta(days=7, minutes=1)):
        fresh = notes.make("second", headers=same)
        assert (fresh.status_code, fresh.headers.get("Idempotency-Replayed")) == (201, None)
        assert notes.make("second", headers=same).headers["Idempotency-Replayed"] == "true"
    assert notes.left()["idempotent_answers"] == 1


def test_old_answers_of_every_institution_are_deleted_and_young_ones_kept(notes: Notes) -> None:
    notes.make("a")
    notes.make("b", who={"institution": OTHER})
    with clock.travelled(timedelta(days=5)):
        notes.make("c")
    with clock.travelled(timedelta(days=8)):
        idempotency.forget_old_of_all(notes.database.worker_sessions)
    assert notes.left()["idempotent_answers"] == 1

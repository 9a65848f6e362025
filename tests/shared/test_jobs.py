"""Long work: each step commits with its progress, so that nothing is done twice or forgotten, whatever kills it."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared import audit, db, jobs
from shared.errors import InvalidError, NotFoundError, StateError
from shared.job_routes import job_routes
from shared.jobs import Job
from shared.web import Service, create_app
from tests.conftest import Database
from tests.routes_check import demand, routes_of

BANK, OTHER = "bank-yanmen", "bank-sanggan"


def count(session: Session, job: Job) -> None:
    """A step that does one thing: it writes a deed."""
    audit.record(session, "counted", job.id, number=job.done)
    job.done += 1
    job.cursor = str(job.done)


def start(database: Database, sealed: Any, total: int = 3, kind: str = "count", bank: str = BANK) -> UUID:
    with sealed(database.sessions, bank, "ann") as session:
        return jobs.start(session, kind, total, of="things").id


def shown(database: Database, job: UUID, bank: str = BANK) -> Job:
    with database.sessions() as session:
        db.act_for(session, bank)
        return session.get_one(Job, job)


def counted(database: Database, bank: str = BANK) -> list[int]:
    with database.sessions() as session:
        db.act_for(session, bank)
        entries = session.scalars(select(audit.AuditEntry).order_by(audit.AuditEntry.number)).all()
        assert audit.verify(session, bank) is None
        return [entry.detail["number"] for entry in entries if entry.action == "counted"]


def run(database: Database, step: Any = count) -> int:
    done = 0
    while jobs.run_step(database.worker_sessions, {"count": step}):
        done += 1
        assert done < 100
    return done


def test_work_is_done_step_by_step_and_its_progress_shows(credit_db, sealed) -> None:
    job = start(credit_db, sealed)
    assert jobs.run_step(credit_db.worker_sessions, {"count": count})
    half = shown(credit_db, job)
    assert (half.state, half.done, half.total, half.cursor, half.finished_at) == ("running", 1, 3, "1", None)
    assert run(credit_db) == 2
    whole = shown(credit_db, job)
    assert (whole.state, whole.done, whole.input, whole.created_by) == ("finished", 3, {"of": "things"}, "ann")
    assert whole.finished_at is not None
    assert counted(credit_db) == [0, 1, 2]
    assert not jobs.run_step(credit_db.worker_sessions, {"count": count})


def test_the_actor_of_a_step_is_the_job(credit_db, sealed) -> None:
    job = start(credit_db, sealed, 1)
    run(credit_db)
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        actors = session.execute(select(audit.AuditEntry.action, audit.AuditEntry.actor)).all()
    assert [tuple(one) for one in actors] == [("start_count", "ann"), ("counted", f"job:{job}")]


def test_work_without_any_steps_ends(credit_db, sealed) -> None:
    job = start(credit_db, sealed, 0)
    assert run(credit_db, lambda *_: None) == 1
    assert shown(credit_db, job).state == "finished"


def test_work_of_another_kind_is_left_alone(credit_db, sealed) -> None:
    job = start(credit_db, sealed, kind="unknown")
    assert run(credit_db) == 0
    assert shown(credit_db, job).done == 0


def test_cancelled_work_stops_and_resumed_work_goes_on_where_it_was(credit_db, sealed) -> None:
    job = start(credit_db, sealed)
    jobs.run_step(credit_db.worker_sessions, {"count": count})
    with sealed(credit_db.sessions, BANK) as session:
        jobs.cancel(session, job)
    assert run(credit_db) == 0
    with sealed(credit_db.sessions, BANK) as session:
        assert jobs.resume(session, job).state == "running"
    assert run(credit_db) == 2
    assert counted(credit_db) == [0, 1, 2]


def test_only_running_work_is_cancelled_and_only_stopped_work_resumed(credit_db, sealed) -> None:
    job = start(credit_db, sealed, 1)
    with pytest.raises(StateError, match="is running"), sealed(credit_db.sessions, BANK) as session:
        jobs.resume(session, job)
    run(credit_db)
    for act in (jobs.cancel, jobs.resume):
        with pytest.raises(StateError, match="is finished"), sealed(credit_db.sessions, BANK) as session:
            act(session, job)
        with pytest.raises(NotFoundError), sealed(credit_db.sessions, OTHER) as session:
            act(session, job)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(InvalidError("row 2 has no county"), "row 2 has no county"), (ZeroDivisionError("x"), "ZeroDivisionError")],
)
def test_work_that_cannot_go_on_fails_says_why_and_stops_nobody_else(credit_db, sealed, fault, reason) -> None:
    failing, other = start(credit_db, sealed), start(credit_db, sealed, bank=OTHER)

    def step(session: Session, job: Job) -> None:
        if job.id == failing and job.done == 1:
            audit.record(session, "counted", job.id, number=-1)
            raise fault
        count(session, job)

    assert run(credit_db, step) == 5
    stopped = shown(credit_db, failing)
    assert (stopped.state, stopped.done) == ("failed", 1)
    assert reason in stopped.log[-1]["error"]
    assert stopped.finished_at is not None
    assert shown(credit_db, other, OTHER).state == "finished"
    assert counted(credit_db) == [0], "what the failing step did is undone"
    with sealed(credit_db.sessions, BANK) as session:
        assert jobs.resume(session, failing).finished_at is None
    run(credit_db)
    assert counted(credit_db) == [0, 1, 2]


def test_work_killed_in_the_middle_of_a_step_goes_on_where_it_was(credit_db, sealed) -> None:
    job = start(credit_db, sealed)
    deaths = [1, 2]

    def step(session: Session, job: Job) -> None:
        count(session, job)
        session.flush()
        if job.done in deaths:
            deaths.remove(job.done)
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            with credit_db.worker.connect() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:p)"), {"p": pid})
            session.execute(text("SELECT 1"))

    for _ in range(2):
        with pytest.raises(OperationalError):
            run(credit_db, step)
    assert shown(credit_db, job).state == "running"
    run(credit_db, step)
    assert shown(credit_db, job).state == "finished"
    assert counted(credit_db) == [0, 1, 2]


def test_two_workers_never_do_the_same_step(credit_db, sealed) -> None:
    job = start(credit_db, sealed, 20)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while shown(credit_db, job).state == "running":
                jobs.run_step(credit_db.worker_sessions, {"count": count})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert counted(credit_db) == list(range(20))


def test_a_step_never_sees_another_institutions_rows(credit_db, sealed) -> None:
    start(credit_db, sealed, 1)
    start(credit_db, sealed, 1, bank=OTHER)
    seen = []

    def step(session: Session, job: Job) -> None:
        seen.append((job.institution, set(session.scalars(select(audit.AuditEntry.institution)))))
        count(session, job)

    run(credit_db, step)
    assert seen == [(BANK, {BANK}), (OTHER, {OTHER})]


def test_the_log_keeps_its_last_thousand_lines(credit_db, sealed) -> None:
    def step(_: Session, job: Job) -> None:
        for number in range(1500):
            job.note(row=number)
        job.done = 1

    job = start(credit_db, sealed, 1)
    run(credit_db, step)
    log = shown(credit_db, job).log
    assert (len(log), log[0], log[-1]) == (1000, {"row": 500}, {"row": 1499})


def test_the_routes_of_work(credit_db, sealed, issuer) -> None:
    from shared.auth import Keys, Verifier
    from tests.shared.notes import AUDIENCE, ISSUER, problem

    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE)
    service = Service("notes", "Notes", credit_db.sessions, verifier, b"key", lambda: {"ready": True}, "0")
    app = create_app(service, job_routes("notes"))
    for route in routes_of(app):
        demand(app, route, "notes")

    def call(method: str, path: str, **who: Any) -> Any:
        claims = {"scope": "notes:read notes:jobs"} | who
        headers = {"Authorization": f"Bearer {issuer.token(**claims)}", "Idempotency-Key": str(uuid4())}
        return app.test_client().open(path, method=method, headers=headers)

    first, second = start(credit_db, sealed), start(credit_db, sealed)
    jobs.run_step(credit_db.worker_sessions, {"count": count})
    listed = call("GET", "/v1/jobs?limit=1").get_json()
    assert [item["id"] for item in listed["items"]] == [str(second)]
    rest = call("GET", f"/v1/jobs?cursor={listed['next']}").get_json()
    assert [(item["id"], item["done"], item["finished_at"]) for item in rest["items"]] == [(str(first), 1, None)]

    cancelled = call("POST", f"/v1/jobs/{first}/cancellation")
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "cancelled")
    assert cancelled.headers["ETag"] == call("GET", f"/v1/jobs/{first}").headers["ETag"]
    problem(call("POST", f"/v1/jobs/{first}/cancellation"), 409)
    assert call("POST", f"/v1/jobs/{first}/resumption").get_json()["state"] == "running"
    problem(call("POST", f"/v1/jobs/{first}/cancellation", scope="notes:read"), 403)
    problem(call("GET", f"/v1/jobs/{first}", institution=OTHER), 404)
    problem(call("POST", f"/v1/jobs/{first}/cancellation", institution=OTHER), 404)
    assert call("GET", "/v1/jobs", institution=OTHER).get_json()["items"] == []

"""What capacity promises, each broken by the code one would write first and kept by ours, in one test.

The first code reads, then checks, then writes. A barrier lets two of it read before either writes, so that it fails
each time and not once in a while.
"""

import os
import signal
import threading
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from services.guarantee.actions import calls, capacity
from services.guarantee.actions.guarantees import issue_guarantee, reserve_guarantee
from services.guarantee.formulas.split import split
from services.guarantee.tables import Bucket, Call, Guarantee
from shared import clock, db
from tests.guarantee.stories import COUNTY, accepted, asked, defaulted, guarantee, ready, recovered, yuan
from tests.guarantee.test_capacity import WEIGHTS, Caps, wanted
from tests.guarantee.test_storm import at_once, reconciled, transaction
from tests.harness import GUARANTOR, OTHER_GUARANTOR, body, client, deliver

CLIENTS = 16


@pytest.fixture
def naive(guarantee_db):
    """Tables as one would make them first, without a check or a key: a limit of 100, and who took what."""
    with guarantee_db.owner.begin() as connection:
        connection.execute(text("CREATE TABLE naive_limits (name text, cap bigint, used bigint)"))
        connection.execute(text("INSERT INTO naive_limits VALUES ('a', 100, 0), ('b', 100, 0)"))
        connection.execute(text("CREATE TABLE naive_takers (id uuid, state text)"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE ON naive_limits, naive_takers TO guarantee_app"))
    yield guarantee_db
    with guarantee_db.owner.begin() as connection:
        connection.execute(text("DROP TABLE naive_limits, naive_takers"))


def naive_use(database, name="a"):
    with database.sessions() as session:
        return session.scalar(text("SELECT used FROM naive_limits WHERE name = :name"), {"name": name})


def take(session, name="a", need=60, meanwhile=lambda: None):
    """Read, check, write."""
    cap, used = session.execute(text("SELECT cap, used FROM naive_limits WHERE name = :n"), {"n": name}).one()
    meanwhile()
    if used + need > cap:
        return False
    session.execute(text("UPDATE naive_limits SET used = used + :need WHERE name = :n"), {"need": need, "n": name})
    return True


def test_p1_no_limit_is_passed_at_any_commit(naive):
    barrier = threading.Barrier(CLIENTS)
    taken = at_once(*[lambda: transaction(naive, lambda s: take(s, need=60, meanwhile=barrier.wait))] * CLIENTS)
    assert (sum(taken), naive_use(naive)) == (CLIENTS, 60 * CLIENTS)

    caps, rows = Caps(kinds={"headroom": 100}), [wanted(80, f"o{number}") for number in range(CLIENTS)]
    answers = at_once(
        *(
            lambda r=r: transaction(naive, lambda s: capacity.reserve(s, [capacity.Wish(r)], caps, WEIGHTS))
            for r in rows
        )
    )
    assert sum(not answer.binding for answer in answers) == 1
    assert reconciled(naive)[("headroom", "")] == (0, 60)


def killed(database, work):
    """Let a process of its own do part of its work and kill it there; it says when it is there."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            engine = create_engine(database.app.url)
            work(engine)
            os.write(write, b".")
            signal.pause()
        os._exit(1)
    os.close(write)
    assert os.read(read, 1) == b"."
    os.close(read)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_p2_all_legs_or_none_even_if_killed_between_two(naive):
    def leg_by_leg(engine):
        with Session(engine) as session:
            take(session, "a")
            session.commit()

    killed(naive, leg_by_leg)
    assert (naive_use(naive, "a"), naive_use(naive, "b")) == (60, 0)

    kept = []

    def ours(engine):
        session = Session(engine)
        kept.append(session)
        db.act_for(session, GUARANTOR)
        assert not capacity.reserve(session, [capacity.Wish(wanted())], Caps(), WEIGHTS).binding
        session.flush()

    killed(naive, ours)
    # Takes the same locks, so it waits until the database has undone what the dead process left.
    one_leg = Caps(kinds={"province": 29})
    answer = transaction(naive, lambda s: capacity.reserve(s, [capacity.Wish(wanted())], one_leg, WEIGHTS))
    assert [one.kind for one in answer.binding] == ["province"]
    assert reconciled(naive) == {}


def test_p3_one_effect_for_each_client_id(naive, sealed):
    ready(naive.sessions, sealed)
    key, barrier = uuid4(), threading.Barrier(2)

    def first_time(session):
        seen = session.scalar(text("SELECT count(*) FROM naive_takers WHERE id = :id"), {"id": key})
        barrier.wait()
        if not seen:
            session.execute(text("INSERT INTO naive_takers VALUES (:id, 'pending')"), {"id": key})
            take(session, need=40)

    at_once(*[lambda: transaction(naive, first_time)] * 2)
    assert naive_use(naive) == 80

    request = asked()

    def reserve():
        with suppress(IntegrityError), sealed(naive.sessions, GUARANTOR) as session:
            reserve_guarantee(session, request)

    at_once(*[reserve] * 4)
    once = reconciled(naive)
    assert once[("province", "")] == (0, 30_000_000)
    with sealed(naive.sessions, GUARANTOR) as session:
        reserve_guarantee(session, asked(request.loan_id, amount=yuan(2_000_000)))
        assert guarantee(session, request.loan_id).reasons[0]["code"] == "request.changed"
    assert reconciled(naive) == once


def test_p4_a_reservation_ends_once(naive):
    key = uuid4()
    transaction(naive, lambda s: s.execute(text("INSERT INTO naive_takers VALUES (:id, 'pending')"), {"id": key}))
    barrier = threading.Barrier(2)

    def end(session, state):
        now = session.scalar(text("SELECT state FROM naive_takers WHERE id = :id"), {"id": key})
        barrier.wait()
        if now == "pending":
            session.execute(text("UPDATE naive_takers SET state = :to WHERE id = :id"), {"to": state, "id": key})
        return now == "pending"

    both = at_once(*(lambda t=t: transaction(naive, lambda s: end(s, t)) for t in ("posted", "void")))
    assert both == [True, True]

    row = wanted()
    transaction(naive, lambda s: capacity.reserve(s, [capacity.Wish(row)], Caps(), WEIGHTS))
    ends = [
        lambda s: capacity.post(s, row.id, WEIGHTS),
        lambda s: capacity.end(s, [row.id], "void", WEIGHTS),
        lambda s: capacity.end(s, [row.id], "expired", WEIGHTS),
        lambda s: capacity.post(s, row.id, WEIGHTS),
    ]
    assert sum(map(bool, at_once(*(lambda e=e: transaction(naive, e) for e in ends)))) == 1
    reconciled(naive)


def test_p5_what_was_granted_can_be_posted_whatever_the_caps_are_now(naive):
    # Naive: the second phase looks at the limit again, and what was promised is gone.
    assert transaction(naive, take)
    transaction(naive, lambda s: s.execute(text("UPDATE naive_limits SET cap = 50")))
    assert not transaction(naive, lambda s: take(s, need=0))

    row = wanted()
    transaction(naive, lambda s: capacity.reserve(s, [capacity.Wish(row)], Caps(), WEIGHTS))
    lower = lambda: transaction(naive, lambda s: len(capacity.set_caps(s, Caps(every=10))))  # noqa: E731
    post = lambda: transaction(naive, lambda s: capacity.post(s, row.id, WEIGHTS))  # noqa: E731
    assert at_once(lower, post)[1] is True
    reconciled(naive)
    with naive.sessions.begin() as session:
        db.act_for(session, GUARANTOR)
        assert any(bucket.over_limit for bucket in session.scalars(select(Bucket)))


def test_p6_the_journal_shows_when_it_was_touched_and_tells_the_balance_of_any_day(naive, sealed):
    # Naive: a balance that is written over says nothing of yesterday, nor of who wrote it over.
    transaction(naive, take)
    transaction(naive, lambda s: s.execute(text("UPDATE naive_limits SET used = 1")))
    assert naive_use(naive) == 1

    ready(naive.sessions, sealed)
    request = asked()
    with sealed(naive.sessions, GUARANTOR) as session:
        reserve_guarantee(session, request)
        session.flush()
        issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
        calls.open_call(session, defaulted(request.loan_id))
        call_id = session.scalars(select(Call.id)).one()
    with clock.travelled(timedelta(days=1)), sealed(naive.sessions, GUARANTOR) as session:
        calls.share_recovery(session, recovered(request.loan_id, yuan(1_000)))
    manager = client("guarantee", naive, "guarantor", GUARANTOR)

    def shown(**at):
        told = body(manager.get(f"/v1/calls/{call_id}/journal", **at))
        return told["intact"], {one["account"]: one["balance"] for one in told["balances"]}

    yesterday = (clock.now() + timedelta(hours=1)).isoformat()
    assert shown() == (
        True,
        {"bank": "-799200.00", "pool": "99900.00", "province": "299700.00", "subrogated": "399600.00"},
    )
    assert shown(at=yesterday)[1]["bank"] == "-800000.00"
    rows = "SELECT id FROM journal_rows ORDER BY id LIMIT 1 OFFSET 1"
    for change in (f"UPDATE journal_rows SET amount = amount + 0.01 WHERE id = ({rows})",
                   f"DELETE FROM journal_rows WHERE id = ({rows})"):  # fmt: skip
        with create_engine(naive.admin_url, poolclass=NullPool).begin() as connection:
            connection.execute(text(change))
        assert not shown()[0]


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
def test_p7_parts_make_up_the_whole_to_the_fen(amount, cuts):
    marks = [0, *sorted(cuts), 10_000]
    shares = dict(
        zip(("primary", "province", "national", "bank", "pool"), map(int.__sub__, marks[1:], marks), strict=True)
    )
    assert sum(split(amount, shares).values()) == amount
    # Naive: each part rounded by itself.
    assert sum(round(100_001 * bp / 10_000) for bp in (2_500, 2_500, 2_500, 2_500)) != 100_001


#: What makes each rule bind, and how the refusal names it and its source.
RULES = {
    "headroom": ({"net_assets": yuan(2_000_000), "other_liability": yuan(19_900_000)}, {}, "683 (2017), art. 15"),
    "obligor": ({"net_assets": yuan(5_000_000)}, {}, "683 (2017), art. 16"),
    "county": ({"counties": [{"county": COUNTY, "cap": yuan(1), "pool_balance": yuan(1_000_000)}]}, {}, "version 1"),
    "pool": ({"counties": [{"county": COUNTY, "cap": None, "pool_balance": yuan(1)}]}, {}, "version 1"),
    "province": ({"province_quota": yuan(1)}, {}, "version 1"),
    "national": ({"national_quota": yuan(1)}, {"scheme": "4-2-2-2"}, "version 1"),
    "household": ({"net_assets": yuan(2_000_000_000)}, {"amount": yuan(20_000_001)}, "Anhui 4-3-2-1 scheme"),
}


@pytest.mark.parametrize("kind", RULES)
def test_p8_every_refusal_names_the_rule_that_binds_and_its_source(guarantee_db, sealed, kind):
    terms, changed, source = RULES[kind]
    ready(guarantee_db.sessions, sealed, **terms)
    request = asked(**changed)
    deliver("guarantee", guarantee_db, request)
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        refused = guarantee(session, request.loan_id)
        reasons = {one["code"]: one for one in refused.reasons}
        assert refused.state == "refused"
        assert source in reasons[f"limit.{kind}"]["en"]
        assert "CNY left" in reasons[f"limit.{kind}"]["en"]


def test_p9_the_same_month_again_is_decided_the_same(guarantee_db, sealed):
    for name in (GUARANTOR, OTHER_GUARANTOR):
        ready(guarantee_db.sessions, sealed, name, province_quota=yuan(450_000))

    def play(name):
        for day in range(6):
            terms = {
                "obligor": f"o{day % 3}",
                "amount": yuan(200_000 + 90_000 * (day * 7 % 5)),
                "term_months": 12 + day,
            }
            with clock.travelled(timedelta(days=4 * day)), sealed(guarantee_db.sessions, name) as session:
                reserve_guarantee(session, asked(guarantor=name, **terms))
        with sealed(guarantee_db.sessions, name) as session:
            rows = session.scalars(select(Guarantee).order_by(Guarantee.id))
            return [(row.state, row.measures, row.reasons, row.warnings, row.fee, row.shares_bp) for row in rows]

    first, second = play(GUARANTOR), play(OTHER_GUARANTOR)
    assert first == second
    assert {row[0] for row in first} >= {"reserved", "refused"}
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        assert len({row.parameters_hash for row in session.scalars(select(Guarantee))}) == 1

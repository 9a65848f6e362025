"""Covenants tested in blocks: as one by one, to the last column; and what each test leaves behind."""

import math
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from services.credit.actions import watching
from services.credit.formulas import covenants
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas.schedule import debt_service_cover
from shared import bulk, clock, inbox, money
from shared.db import act_for
from shared.events import credit
from tests.conftest import Database
from tests.credit.book import Lent, lend
from tests.credit.story import Story, amount, valued
from tests.harness import door, record

MATURES = date(2031, 6, 30)
LOANS = st.lists(
    st.fixed_dictionaries(
        {
            "balance": st.decimals(min_value=1, max_value=2_000_000, places=2),
            "on": st.sets(st.integers(min_value=0, max_value=2), min_size=1, max_size=3),
            "struck": st.sets(st.integers(min_value=0, max_value=2), max_size=1),
            "called": st.booleans(),
            "cover": st.sampled_from(["bound", "bound", "bound", "lapsed"]),
            "guarantee": st.sampled_from(["issued", "issued", "issued", "released"]),
            "due": st.decimals(min_value=1, max_value=2_000_000, places=2),
        }
    ),
    min_size=1,
    max_size=5,
)
EVENTS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=2),
        st.sampled_from([0, "0.02", 900_000, 1_400_000, 1_600_000, 3_000_000]),
        st.integers(min_value=-1, max_value=1),  # its version rises, stays or falls
        st.booleans(),  # out of date already
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def lent(credit_db: Database) -> Story:
    """A bank with one loan that is paid out."""
    story = Story(credit_db)
    story.to("performing")
    return story


def told(assets: list[UUID], events: list[tuple[int, Any, int, bool]]) -> list[inbox.Record]:
    """The events as records, each the next of its asset."""
    records, numbers, versions = [], dict.fromkeys(assets, 0), dict.fromkeys(assets, 1)
    for which, p10, rise, old in events:
        asset = assets[which]
        numbers[asset] += 1
        versions[asset] = max(1, versions[asset] + rise)
        as_of = clock.today() - timedelta(days=400 if old else 0)
        event = valued(asset, versions[asset], p10, as_of=as_of, valid_until=as_of + timedelta(days=150))
        records.append(record(event, numbers[asset]))
    return records


def left(database: Database, loans: list[UUID], names: dict[str, str]) -> Any:
    """All that is left of some loans, but for moments and ids, with the assets by their names."""
    queries = {
        "loans": "SELECT state, steps, version, loan_to_value, shortfall, covenant_reasons, cure_by IS NULL, stage,"
        " five_class, bucket, next_due_on FROM loans WHERE id = :id",
        "classes": "SELECT actor, days_past_due, bucket, stage, five_class, grounds, exposure, origin_probability,"
        " default_probability, loss_given_default, expected_loss, coefficients FROM loan_classes WHERE loan_id = :id"
        " ORDER BY id",
        "history": "SELECT number, from_state, to_state, actor, reason FROM loan_history WHERE loan_id = :id"
        " ORDER BY number",
        "tests": "SELECT cause, verdict, broken, balance, quantile, value, loan_to_value, limit_loan_to_value,"
        " shortfall, fresh_until, cover_state, guarantee_state, debt_service_cover, debt_service_year, pledges,"
        " coefficients"
        " FROM covenant_tests WHERE loan_id = :id ORDER BY id",
        "timers": "SELECT kind, CASE kind WHEN 'cure' THEN NULL ELSE due_at END FROM timers WHERE subject = :id"
        " ORDER BY kind",
        "outbox": "SELECT sequence, type, payload - 'loan_id' - 'cure_by' FROM outbox WHERE key = :id::text"
        " ORDER BY sequence",
        "audit": "SELECT action, actor, detail FROM audit_entries WHERE subject = :id::text ORDER BY number",
    }
    admin = create_engine(database.admin_url)
    with admin.connect() as connection:
        found = [
            {
                table: [
                    tuple(row) for row in connection.execute(text(query.replace(":id::text", f"'{one}'")), {"id": one})
                ]
                for table, query in queries.items()
            }
            for one in loans
        ]
    admin.dispose()
    whole = repr(found)
    for asset, name in names.items():
        whole = whole.replace(asset, name)
    return whole


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loans=LOANS, events=EVENTS, copied=st.booleans())
def test_a_block_leaves_exactly_what_one_by_one_leaves(
    lent: Story, loans: list[Any], events: list[Any], copied: bool
) -> None:
    credit_db = lent.database
    outcomes = []
    for together in (True, False):
        assets = sorted(uuid4() for _ in range(3))
        made = lend(
            credit_db,
            lent.loan_id,
            [
                Lent(
                    one["balance"],
                    {assets[which]: "20000.000" for which in sorted(one["on"])},
                    released=frozenset(assets[which] for which in one["struck"]),
                    loan={
                        "state": "margin_called" if one["called"] else "performing",
                        "matures_on": MATURES.isoformat(),
                    },
                    cover={"state": one["cover"]},
                    guarantee={"state": one["guarantee"]},
                    instalments=((date(2029, 1, 1), one["due"]), (date(2030, 7, 1), one["due"])),
                )
                for one in loans
            ],
        )
        records = told(assets, events)
        many = 0 if copied and together else 50
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bulk, "MANY", many)
            patch.setattr(watching, "BLOCK", 2 if together else 1)
            for batch in [records] if together else [[one] for one in records]:
                inbox.receive(credit_db.worker_sessions, door("credit").consumer, batch, "test")
        names = {str(asset): f"forest {number}" for number, asset in enumerate(assets)}
        names |= {str(inbox.read(one)[0].id): f"event {number}" for number, one in enumerate(records)}
        outcomes.append(left(credit_db, made, names))
    assert outcomes[0] == outcomes[1]
    heard = {which for which, *_ in events} & {which for one in loans for which in one["on"]}
    assert ("'tests': [('valuation'" in outcomes[0]) is bool(heard)


KNOWN = st.one_of(st.just(0.0), st.floats(min_value=0.01, max_value=1e9))
SOME = st.lists(
    st.tuples(KNOWN, KNOWN, st.floats(0.1, 0.6), st.floats(0.6, 0.9), st.booleans()), min_size=1, max_size=8
)


@given(SOME)
def test_a_column_says_of_each_loan_what_the_equation_says_of_one(many: list[Any]) -> None:
    owed, value, cure, margin, called = (np.array(column) for column in zip(*many, strict=True))
    owed = np.round(owed, 2)
    ratios = covenants.loan_to_values(owed, value)
    short = covenants.shortfalls(owed, value, cure)
    broken = covenants.margins_broken(ratios, margin, cure, called)
    for place in range(len(many)):
        balance, worth = float(owed[place]), float(value[place])
        assert ratios[place] == ltv.loan_to_value(balance, worth)
        asked = money.fen(money.yuan_up(ltv.shortfall(balance, worth, float(cure[place]))))
        assert abs(int(short[place]) - asked) <= (0 if balance < 1e7 else 1)
        state = ltv.margin_state(float(ratios[place]), float(margin[place]), float(cure[place]), bool(called[place]))
        assert bool(broken[place]) is (state == "called")


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=6
    )
)
def test_pledges_count_in_columns_as_they_count_alone(many: list[Any]) -> None:
    value, forecast, pledged, haircut = (np.array(column) for column in zip(*many, strict=True))
    tonnes = np.full(len(many), 5000.0)
    counted = covenants.pledge_values(value, tonnes, forecast, pledged, haircut)
    shares = [ltv.counted_share(5000.0, *pair) for pair in zip(forecast.tolist(), pledged.tolist(), strict=True)]
    alone = ltv.pledged_value([v * s for v, s in zip(value.tolist(), shares, strict=True)], haircut.tolist())
    assert covenants.sums(counted, np.zeros(len(many), dtype=np.int64), 1)[0] == alone


@given(st.lists(st.tuples(KNOWN, KNOWN), min_size=1, max_size=6))
def test_the_weakest_year_is_the_weakest_alone(years: list[tuple[float, float]]) -> None:
    income, service = (np.array(column) for column in zip(*years, strict=True))
    owner = np.zeros(len(years), dtype=np.int64)
    weakest, when = covenants.weakest_covers(income, service, owner, np.arange(2030, 2030 + len(years)), 1)
    assert weakest[0] == debt_service_cover(income.tolist(), service.tolist())
    if math.isfinite(weakest[0]):
        at = int(when[0]) - 2030
        assert income[at] / service[at] == weakest[0]


def test_what_is_unknown_is_never_covered_and_never_cured() -> None:
    unknown = np.array([np.nan])
    ratio = covenants.loan_to_values(np.array([100.0]), unknown)
    assert np.isnan(ratio[0])
    assert covenants.shortfalls(np.array([100.0]), unknown, np.array([0.7])).tolist() == [10_000]
    for called in (True, False):
        assert covenants.margins_broken(ratio, np.array([0.8]), np.array([0.7]), np.array([called]))[0]
    assert np.isnan(covenants.sums(np.array([1.0, np.nan]), np.array([0, 0]), 1)[0])


def test_a_call_is_not_cured_by_a_valuation_that_cannot_be_used(lent: Story) -> None:
    lent.value(2, 1_400_000)
    old = clock.today() - timedelta(days=400)
    lent.value(3, 9_000_000, as_of=old, valid_until=old + timedelta(days=150))
    loan = lent.loan()
    assert (loan["state"], loan["covenants"]["loan_to_value"]) == ("margin_called", None)
    assert loan["covenants"]["shortfall"] == amount(1_000_000)
    assert lent.told(credit.MarginCured) == []
    lent.value(4, 9_000_000)
    assert lent.state() == "performing"


def test_every_test_is_kept_and_none_is_rewritten(lent: Story) -> None:
    lent.value(2, 1_400_000)
    lent.tell(lent.lapsed())
    with lent.database.worker_sessions() as session:
        act_for(session, lent.bank)
        tests = session.execute(text("SELECT cause, verdict, broken FROM covenant_tests ORDER BY id")).all()
    assert [tuple(one) for one in tests] == [
        ("disbursement", "kept", []),
        ("valuation", "broken", ["margin_breached"]),
        ("cover", "broken", ["margin_breached", "cover_lapsed"]),
    ]


def test_a_weak_issuance_year_is_found_and_calls_nothing(credit_db: Database) -> None:
    story = Story(credit_db)
    soon = clock.today() + timedelta(days=400)
    story.to("performing")
    issued = [
        type(one)(verified_on=soon, mean=Decimal(100), p10=Decimal(1), p50=Decimal(1), p90=Decimal(1))
        for one in valued().removals[:1]
    ]
    story.value(2, 3_000_000, removals=tuple(issued))
    assert story.state() == "performing"
    with credit_db.worker_sessions() as session:
        act_for(session, story.bank)
        last = session.execute(
            text("SELECT broken, debt_service_cover, debt_service_year FROM covenant_tests ORDER BY id DESC LIMIT 1")
        ).one()
        due = session.scalar(
            text("SELECT sum(principal + interest) FROM loan_instalments WHERE extract(year FROM due_on) = :y"),
            {"y": soon.year},
        )
    assert last.broken == ["debt_service_short"]
    assert last.debt_service_year == soon.year
    # All that is forecast is pledged, at 80 a tonne.
    assert float(last.debt_service_cover) == pytest.approx(100 * 80 / float(due), rel=1e-6)

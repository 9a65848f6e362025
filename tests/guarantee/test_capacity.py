"""Capacity: all buckets or none, one end for each reservation, and no sequence of steps that drifts from a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.guarantee.actions import capacity
from services.guarantee.formulas.liability import marginal_liability
from services.guarantee.tables import Bucket, Reservation
from shared import clock, db
from shared.ids import uuid7
from tests.guarantee.stories import used
from tests.harness import GUARANTOR

WEIGHTS = capacity.Weights(threshold=500, small_bp=7_500, full_bp=10_000)


@dataclass
class Caps:
    """The same cap for every bucket, unless a kind has its own."""

    every: int = 10**9
    kinds: Mapping[str, int] = field(default_factory=dict)

    def cap(self, kind: str, key: str) -> int:
        return self.kinds.get(kind, self.every)

    def known(self) -> list[capacity.Place]:
        return [("headroom", "")]


def wanted(amount: int = 100, obligor: str = "o", county: str = "c", small: bool = True, hours: int = 1) -> Reservation:
    """A reservation of a loan that the guarantor bears whole and the province for 30 %."""
    return Reservation(
        id=uuid7(),
        institution=GUARANTOR,
        loan_id=uuid7(),
        obligor=obligor,
        county=county,
        small_or_farmer=small,
        state="pending",
        amount=amount,
        balance=amount,
        borne=amount,
        province=amount * 3 // 10,
        national=0,
        pool=0,
        liability=amount,
        expires_at=clock.now() + timedelta(hours=hours),
    )


@pytest.fixture
def session(guarantee_db):
    """A session under the guarantor that is rolled back."""
    with guarantee_db.sessions() as made:
        db.act_for(made, GUARANTOR)
        yield made
        made.rollback()


def granted(session, *more, caps: Caps | None = None, **changed) -> UUID:
    row = wanted(*more, **changed)
    assert not capacity.reserve(session, [capacity.Wish(row)], caps or Caps(), WEIGHTS).binding
    session.flush()
    return row.id


def test_one_bucket_without_room_leaves_all_others_untouched(session):
    answer = capacity.reserve(session, [capacity.Wish(wanted())], Caps(kinds={"province": 29}), WEIGHTS)
    assert answer.binding == [capacity.Measure("province", "", need=30, room=29)]
    assert used(session) == {}
    assert session.scalars(select(Reservation)).all() == []


def test_every_bucket_that_was_looked_at_is_reported_the_tightest_first(session):
    answer = capacity.reserve(session, [capacity.Wish(wanted())], Caps(kinds={"province": 35, "headroom": 77}), WEIGHTS)
    assert [(one.kind, one.need, one.room) for one in answer.measures][:2] == [
        ("headroom", 75, 77),
        ("province", 30, 35),
    ]
    assert answer.binding == []


def test_what_is_pending_counts_against_the_next(session):
    granted(session, caps=Caps(kinds={"province": 50}))
    answer = capacity.reserve(session, [capacity.Wish(wanted(obligor="other"))], Caps(kinds={"province": 50}), WEIGHTS)
    assert answer.binding == [capacity.Measure("province", "", need=30, room=20)]


def test_the_added_liability_of_a_flip_is_the_marginal_liability(session):
    granted(session, 480)
    answer = capacity.reserve(session, [capacity.Wish(wanted(30))], Caps(), WEIGHTS)
    need = next(one.need for one in answer.measures if one.kind == "headroom")
    assert need == marginal_liability(480, 30, True, 500, 7_500, 10_000) == 150
    assert answer.borne_before == 480


def test_a_flip_needs_room_in_the_county_of_the_older_loan_too(session):
    granted(session, 480, county="a")
    answer = capacity.reserve(session, [capacity.Wish(wanted(30, county="b"))], Caps(kinds={"county": 400}), WEIGHTS)
    assert answer.binding == [capacity.Measure("county", "a", need=120, room=40)]


@pytest.mark.parametrize("first", ["post", "void", "expired"])
@pytest.mark.parametrize("second", ["post", "void", "expired"])
def test_a_reservation_ends_once(session, first, second):
    def step(name):
        if name == "post":
            return capacity.post(session, row, WEIGHTS)
        return capacity.end(session, [row], name, WEIGHTS)

    row = granted(session)
    assert step(first)
    assert not step(second)


def test_nothing_unknown_or_out_of_time_is_posted(session):
    assert not capacity.post(session, uuid7(), WEIGHTS)
    assert not capacity.end(session, [uuid7()], "void", WEIGHTS)
    row = granted(session, hours=-1)
    assert not capacity.post(session, row, WEIGHTS)
    assert not capacity.amortise(session, row, 1, WEIGHTS)


def test_what_is_over_its_limit_can_be_posted_amortised_and_released_but_not_added_to(session):
    row = granted(session)
    over = capacity.set_caps(session, Caps(every=10))
    assert {bucket.kind for bucket in over} == {"headroom", "obligor", "county", "province"}
    assert capacity.reserve(session, [capacity.Wish(wanted(1, obligor="x"))], Caps(every=10), WEIGHTS).binding
    assert capacity.post(session, row, WEIGHTS)
    assert capacity.amortise(session, row, 40, WEIGHTS)
    headroom = session.scalars(select(Bucket).where(Bucket.kind == "headroom")).one()
    assert (headroom.posted, headroom.cap_legal, headroom.cap_effective) == (30, 10, 30)
    assert capacity.end(session, [row], "released", WEIGHTS)
    session.flush()
    assert (headroom.posted, headroom.cap_effective, headroom.over_limit) == (0, 10, False)


def test_most_for_one_household_counts_what_it_has(session):
    granted(session, 70)
    answer = capacity.reserve(session, [capacity.Wish(wanted(40), 100)], Caps(), WEIGHTS)
    assert answer.binding == [capacity.Measure("household", "o", need=40, room=30)]


# -- against a model --------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What capacity promises, in thirty lines: lists and sums, no locks, no rows."""

    caps: Caps
    live: dict[UUID, tuple[str, str, int, int, str]] = field(default_factory=dict)

    def uses(self, live) -> dict[capacity.Place, list[int]]:
        totals: dict[str, int] = {}
        for obligor, _, _, balance, _ in live.values():
            totals[obligor] = totals.get(obligor, 0) + balance
        found: dict[capacity.Place, list[int]] = {}
        for obligor, county, amount, balance, state in live.values():
            weight = 7_500 if totals[obligor] <= 500 else 10_000
            liability = -(-balance * weight // 10_000)
            province = -(-(amount * 3 // 10) * balance // amount)
            for place, use in {
                ("headroom", ""): liability,
                ("obligor", obligor): liability,
                ("county", county): liability,
                ("province", ""): province,
            }.items():
                found.setdefault(place, [0, 0])[state == "pending"] += use
        return {place: use for place, use in found.items() if any(use)}

    def reserve(self, key: UUID, obligor: str, county: str, amount: int) -> bool:
        before, after = self.uses(self.live), self.uses(self.live | {key: (obligor, county, amount, amount, "pending")})
        fits = all(
            sum(use) <= self.caps.cap(*place) or sum(use) <= sum(before.get(place, [0, 0]))
            for place, use in after.items()
        )
        if fits:
            self.live[key] = (obligor, county, amount, amount, "pending")
        return fits


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 2), st.integers(0, 1), st.integers(1, 400)),
        st.tuples(st.sampled_from(["post", "void", "expired", "released"]), st.integers(0, 5)),
        st.tuples(st.just("amortise"), st.integers(0, 5), st.integers(0, 400)),
        st.tuples(st.just("caps"), st.integers(0, 900)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_sequence_of_steps_drifts_from_the_model(guarantee_db, steps):
    with guarantee_db.sessions() as session:
        db.act_for(session, GUARANTOR)
        model, keys = Model(Caps(every=900)), []
        for step in steps:
            if step[0] == "reserve":
                row = wanted(step[3], obligor=f"o{step[1]}", county=f"c{step[2]}")
                keys.append(row.id)
                answer = capacity.reserve(session, [capacity.Wish(row)], model.caps, WEIGHTS)
                assert (not answer.binding) == model.reserve(row.id, row.obligor, row.county, step[3])
            elif step[0] == "caps":
                model.caps = Caps(every=step[1])
                capacity.set_caps(session, model.caps)
            elif keys:
                key = keys[step[1] % len(keys)]
                _both(session, model, key, step)
            session.flush()
            assert used(session) == {place: tuple(use) for place, use in model.uses(model.live).items()}
        session.rollback()


def _both(session, model, key, step):
    """Take one step on an existing reservation in the database and in the model."""
    state = model.live[key][4] if key in model.live else None
    if step[0] == "post":
        assert capacity.post(session, key, WEIGHTS) == (state == "pending")
        if state == "pending":
            model.live[key] = (*model.live[key][:4], "posted")
    elif step[0] == "amortise":
        assert capacity.amortise(session, key, step[2], WEIGHTS) == (state == "posted")
        if state == "posted":
            obligor, county, amount, balance, _ = model.live[key]
            model.live[key] = (obligor, county, amount, min(balance, step[2]), state)
    else:
        ends = state == ("posted" if step[0] == "released" else "pending")
        assert capacity.end(session, [key], step[0], WEIGHTS) == ends
        if ends:
            del model.live[key]

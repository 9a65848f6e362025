"""Whole queues: no limit is ever broken, the bound holds, and whatever the solver says changes nothing of that."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.guarantee.allocation import checker, core
from services.guarantee.allocation.allocate import Run, allocate, certificate
from services.guarantee.allocation.core import Core, Limits, Proposal
from services.guarantee.allocation.placing import NONE, bid_price, first_come
from services.guarantee.allocation.prices import Pricing
from services.guarantee.allocation.queue_file import read_queue
from services.guarantee.allocation.refusal import CancelledError, InfeasibleError
from services.guarantee.allocation.search import Effort
from services.guarantee.allocation.what_if import what_if
from tests.bench.queues import queue

LITTLE = Effort(price_steps=60, lines=2, cores=1, core_columns=120, limits=Limits(nodes=1))


def certified(given, effort=LITTLE):
    """Place a queue and let the checker, which knows nothing of the allocator, look at the certificate."""
    raw = json.dumps(given).encode()
    made = allocate(read_queue(raw), effort)
    told = certificate(made, effort)
    assert checker.faults(raw, json.dumps(told).encode()) == []
    return made, told


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    loans=st.integers(1, 40), guarantors=st.integers(1, 6), seed=st.integers(0, 10**6),
    tightness=st.sampled_from([0.05, 0.4, 0.7, 1.0]), sparse=st.booleans(),
)  # fmt: skip
def test_no_limit_is_broken_and_the_bound_holds(loans, guarantors, seed, tightness, sparse):
    made, _ = certified(queue(loans, guarantors, seed, tightness, sparse and guarantors >= 6))
    problem = made.problem
    assert (problem.usage(made.placing.columns) <= problem.cap).all()
    came = first_come(problem)
    prices = Pricing(problem, np.zeros(problem.loans, bool)).reduced(made.prices)
    for other in (came, bid_price(problem, prices)):
        assert (other.room >= 0).all()
        assert other.value <= made.bound
    assert made.value <= made.sharp_bound <= made.bound


def test_it_is_worth_more_than_first_come_and_replays_to_the_byte():
    given = queue(80, 4, seed=5)
    made, told = certified(given)
    again = certificate(allocate(read_queue(json.dumps(given).encode()), LITTLE), LITTLE)
    assert json.dumps(told) == json.dumps(again)
    assert made.value > told["first_come"]["value"]
    assert told["gap"] < 0.03


def _ones(model, now):
    return Proposal(np.ones(len(model.columns)), np.ones(model.problem.rows), -1e30, "Optimal")


def _nothing(model, now):
    return None


def _noise(model, now):
    random = np.random.default_rng(len(model.columns))
    taken = random.random(len(model.columns))
    return Proposal(taken, random.random(model.problem.rows) * 3, 1e30, "Optimal")


@pytest.mark.parametrize("lie", [_ones, _nothing, _noise])
def test_a_solver_that_lies_or_fails_breaks_nothing(lie, monkeypatch):
    monkeypatch.setattr(Core, "solve", lambda model, now=None: lie(model, now))
    made, _ = certified(queue(60, 4, seed=3))
    assert made.value > 0


def test_a_solver_without_time_breaks_nothing():
    effort = Effort(price_steps=60, lines=1, cores=1, limits=Limits(seconds=0.0))
    made, _ = certified(queue(60, 4, seed=3), effort)
    assert made.value > 0


def test_a_placing_that_nobody_wants_any_more_ends():
    raw = json.dumps(queue(60, 4, seed=3)).encode()
    heard = []

    def watch(progress):
        heard.append(progress.stage)
        return "greedy" not in heard

    with pytest.raises(CancelledError):
        allocate(read_queue(raw), LITTLE, watch)
    assert heard[-1] == "greedy"


# -- order, fairness, what if -----------------------------------------------------------------------------------------


def test_loans_that_must_be_served_are():
    given = queue(60, 4, seed=2, tightness=0.4)
    plain, _ = certified(given)
    left_out = [loan for loan, column in zip(given["loans"], plain.placing.chosen, strict=True) if column == NONE]
    for loan in left_out[:3]:
        loan["class"] = 0
    made, told = certified(given)
    placed = {one["loan"] for one in told["placing"]}
    assert {loan["id"] for loan in left_out[:3]} <= placed
    assert made.value <= plain.sharp_bound


def test_a_class_keeps_what_it_got_when_the_next_is_placed():
    given = queue(60, 4, seed=2, tightness=0.3)
    for number, loan in enumerate(given["loans"]):
        loan["class"] = 1 if number % 3 == 0 else None
    _, told = certified(given)
    first, rest = told["classes"]
    assert (first["rank"], rest["rank"]) == (1, None)
    alone = [loan for loan in given["loans"] if loan["class"] == 1]
    _, by_itself = certified(given | {"loans": alone})
    assert first["served"] == by_itself["placed"] == len(told["served_first"])
    assert set(told["served_first"]) <= {one["loan"] for one in told["placing"]}


def test_more_than_can_be_served_is_refused_with_the_limits_in_the_way():
    given = queue(60, 3, seed=4, tightness=0.2)
    for loan in given["loans"]:
        loan |= {"class": 0, "amount": 10**8}
    with pytest.raises(InfeasibleError, match=r"loans must be served, but at most \d+ can be; in the way: "):
        allocate(read_queue(json.dumps(given).encode()), LITTLE)


def test_a_refused_older_loan_is_told_which_later_ones_used_its_room():
    given = queue(80, 3, seed=7, tightness=0.4)
    _, told = certified(given)
    order = {loan["id"]: number for number, loan in enumerate(given["loans"])}
    placed = {one["loan"] for one in told["placing"]}
    assert len(told["refusals"]) == len(given["loans"]) - len(placed)
    rules = {bucket["id"] for bucket in given["buckets"]}
    for one in told["refusals"]:
        assert one["rule"] in rules
        assert all(order[other] > order[one["loan"]] and other in placed for other in one["later"])
        assert one["later_count"] >= len(one["later"])
    assert any(one["later_count"] for one in told["refusals"])


@pytest.mark.parametrize("change", ["net_assets:-20", "quota:50", "cut_off:G01"])
def test_what_if_says_who_would_lose_their_place(change):
    made, _ = certified(queue(60, 4, seed=9))
    told = what_if(made, change)
    assert told["value"] <= told["bound"]
    assert told["value"] <= made.sharp_bound
    assert set(told["lose_their_place"]).isdisjoint(told["gain_a_place"])
    assert told["lose_their_place"]


# -- the checker ------------------------------------------------------------------------------------------------------


def _over(told, given):
    given["buckets"][0]["cap"] //= 2


def _twice(told, given):
    told["placing"].append(told["placing"][0])


def _dearer(told, given):
    told["value"] += 100


def _tighter(told, given):
    told["bound"] -= 10**6


def _cheaper(told, given):
    told["prices"] = {name: price / 2 for name, price in told["prices"].items()}


def _stranger(told, given):
    told["placing"][0]["guarantor"] = "nobody"


@pytest.mark.parametrize("forge", [_over, _twice, _dearer, _tighter, _cheaper, _stranger])
def test_the_checker_finds_a_forged_certificate(forge):
    given = queue(50, 3, seed=6, tightness=0.5)
    _, told = certified(given)
    told.pop("queue_sha256")
    forge(told, given)
    assert checker.faults(json.dumps(given).encode(), json.dumps(told).encode())


def test_the_checker_shares_no_code_with_the_allocator():
    names = {name for name in vars(checker) if "allocation" in str(getattr(vars(checker)[name], "__module__", ""))}
    assert names == {"faults", "_faults", "_Book"}
    assert core.__name__ not in str(vars(checker).values())


def test_a_run_that_is_interrupted_at_every_turn_ends_as_one_that_is_not():
    given = queue(50, 3, seed=8, tightness=0.4)
    for number, loan in enumerate(given["loans"]):
        loan["class"] = number % 3 or None
    read = read_queue(json.dumps(given).encode())
    state = None
    while True:
        run = Run(read, LITTLE, state=state)
        run.advance()
        if run.finished:
            break
        state = json.loads(json.dumps(run.state()))
    assert json.dumps(certificate(run.result(), LITTLE)) == json.dumps(certificate(allocate(read, LITTLE), LITTLE))

"""Six loans and two guarantors whose every placing was enumerated, and small queues that are enumerated here."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from services.guarantee.allocation.allocate import allocate
from services.guarantee.allocation.core import Limits
from services.guarantee.allocation.placing import NONE, bid_price, first_come
from services.guarantee.allocation.prices import Pricing
from services.guarantee.allocation.problem import make_problem
from services.guarantee.allocation.queue_file import make_queue
from services.guarantee.allocation.search import Effort, Search
from services.guarantee.formulas.bid_price import lagrangian_bound
from tests.bench.queues import queue
from tests.guarantee.formulas.examples import example

EXACT = Effort(target=0.0, limits=Limits(nodes=1000, gap=0.0))


def tiny(inputs):
    """The published instance: value and use stand for themselves, so they are put in by hand."""
    names, caps = inputs["columns"], [inputs["headroom"][name] for name in inputs["columns"]]
    given = queue(len(inputs["value"]), 2, seed=1) | {
        "guarantors": [{"id": name, "single_cap": None, "counties": None} for name in names],
        "schemes": [{"id": "s", "primary": 10_000, "province": 0, "national": 0, "bank": 0, "pool": 0}],
        "buckets": [
            *({"id": n, "kind": "headroom", "keys": [n], "cap": c} for n, c in zip(names, caps, strict=True)),
            {"id": "province", "kind": "province", "keys": [], "cap": inputs["province_cap"]},
        ],
    }
    given["contracts"] = [
        {"bank": bank, "guarantor": name, "scheme": "s"}
        for bank in {loan["bank"] for loan in given["loans"]}
        for name in names
    ]
    made = make_problem(make_queue(given, ""))
    province = np.repeat(inputs["province_use"], 2)
    return replace(
        made,
        value=np.array(inputs["value"], float).ravel(),
        row=np.stack([np.tile([0, 1], 6), np.full(12, 2)], axis=1),
        use=np.stack([np.array(inputs["use"]).ravel(), province], axis=1),
    )


def names_of(case, placing):
    return [None if column == NONE else case["inputs"]["columns"][column % 2] for column in placing.chosen]


def nobody(problem):
    return np.zeros(problem.loans, bool)


def test_tiny_optimum():
    case = example("tiny-optimum")
    problem = tiny(case["inputs"])
    search = Search(problem, nobody(problem), EXACT, lambda progress: True)
    search.run()
    assert search.placing.value == pytest.approx(case["expected"]["optimum"], abs=case["tolerance"])
    assert names_of(case, search.placing) == case["expected"]["example"]
    assert search.bound == pytest.approx(case["expected"]["lp_bound"], abs=case["tolerance"])


def test_tiny_safe_bound():
    case = example("tiny-safe-bound")
    problem = tiny(case["inputs"])
    pricing = Pricing(problem, nobody(problem))
    for given, bound in zip(case["inputs"]["prices"], case["expected"]["bounds"], strict=True):
        prices = np.array([given["A"], given["B"], given["province"], 0.0])
        safe = pricing.safe_bound(prices)
        assert bound <= safe <= bound + case["tolerance"]
        best = pricing.best(pricing.reduced(prices))
        assert lagrangian_bound(prices, pricing.cap, best) == pytest.approx(bound)


def test_tiny_first_come():
    case = example("tiny-first-come")
    placing = first_come(tiny(case["inputs"]))
    assert (placing.value, names_of(case, placing)) == (case["expected"]["value"], case["expected"]["placing"])


def test_tiny_first_come_best():
    case = example("tiny-first-come-best")
    placing = first_come(tiny(case["inputs"]), best=True)
    assert (placing.value, names_of(case, placing)) == (case["expected"]["value"], case["expected"]["placing"])


def test_tiny_bid_price():
    case = example("tiny-bid-price")
    problem = tiny(case["inputs"])
    prices = np.array([*(case["inputs"]["prices"][name] for name in ("A", "B", "province")), 0.0])
    placing = bid_price(problem, Pricing(problem, nobody(problem)).reduced(prices))
    assert (placing.value, names_of(case, placing)) == (case["expected"]["value"], case["expected"]["placing"])


@pytest.mark.parametrize("seed", range(6))
def test_a_small_queue_is_placed_as_enumeration_places_it(seed):
    made = allocate(make_queue(queue(6, 3, seed, tightness=0.5), ""), EXACT)
    problem = made.problem
    ways = [[NONE, *range(problem.start[i], problem.start[i + 1])] for i in range(problem.loans)]
    best = 0.0
    for way in product(*ways):
        columns = np.array([column for column in way if column != NONE], np.int64)
        if (problem.usage(columns) <= problem.cap).all():
            best = max(best, float(problem.exact_value(columns.tolist())))
    assert made.value <= best <= made.sharp_bound <= made.bound
    assert best - made.value < 1

"""A path to yes: what is told is approved when it is done, and asks for no more than it must."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.credit.actions import path
from services.credit.actions.collateral import Collateral
from services.credit.actions.models import shipped_card
from services.credit.actions.policy import PATH, policy
from services.credit.actions.scoring import Facts
from services.credit.actions.underwriting import Case, Legs, rulebook, underwrite
from tests.conftest import Database
from tests.credit.story import Story, amount
from tests.harness import body

ON = date(2026, 3, 2)
BOOK, GRID = rulebook(ON, shipped_card()), policy(ON, PATH)


def forest(**more: Any) -> Collateral:
    usual: dict[str, Any] = {
        "asset_id": "a",
        "tonnes": 20_000.0,
        "version": 1,
        "valuation_id": "v",
        "county": "youyu",
        "as_of": "2026-02-01",
        "valid_until": "2026-07-01",
        "title_until": "2070-01-01",
        "crediting_until": "2060-01-01",
        "p05": 2_700_000.0,
        "p10": 3_000_000.0,
        "p50": 4_000_000.0,
        "p90": 6_000_000.0,
        "p95": 6_600_000.0,
        "forecast_tonnes": 40_000.0,
        "free_tonnes": 40_000.0,
        "haircut": 0.2,
        "fire_score": 0.25,
        "spot_price": 80.0,
        "methodology": "CCER-14-001",
    }
    return Collateral(**usual | more)


def request(**more: Any) -> Facts:
    usual: dict[str, Any] = {
        "on": ON.isoformat(),
        "amount": 100_000_000,
        "term_months": 36,
        "industry": "022",
        "employees": 8,
        "new_business": False,
        "revolving": False,
        "guaranteed_share": 0.8,
        "natural_person": False,
        "book": 0.0,
        "beside": {
            "county": ("youyu", 0.0),
            "fire_zone": ("E112.40-N39.80", 0.0),
            "verifier": None,
            "guarantor": ("g", 0.0),
            "group": ("o", 0.0),
        },
    }
    return Facts(**usual | more)


cases = st.builds(
    lambda fen, term, revolving, share, employees, worth, tonnes, person, beside: Case(
        request(
            amount=fen * 100_000,
            term_months=term,
            revolving=revolving,
            guaranteed_share=share,
            employees=employees,
            natural_person=person,
            beside={**(request().beside or {}), "county": ("youyu", beside)},
        ),
        (forest(p10=worth, p50=worth * 4 / 3, tonnes=tonnes),),
        Legs(),
    ),
    st.integers(10, 14_000),
    st.integers(6, 84),
    st.booleans(),
    st.sampled_from([0.5, 0.7, 0.8]),
    st.sampled_from([None, 1, 8]),
    st.sampled_from([500_000.0, 3_000_000.0, 30_000_000.0]),
    st.sampled_from([10_000.0, 40_000.0, 45_000.0]),
    st.booleans(),
    st.sampled_from([0.0, 11_000_000.0]),
)


@settings(max_examples=25, deadline=None)
@given(cases)
def test_each_path_when_taken_is_approved_and_no_step_of_it_can_be_lower(case: Case) -> None:
    found = path.search(BOOK, case)
    assert found.outcome == underwrite(BOOK, case).outcome
    assert (found.none is None) == bool(found.paths or found.outcome == "approve")
    assert len(found.paths) <= path.MOST_PATHS
    assert [way.cost for way in found.paths] == sorted(way.cost for way in found.paths)
    for way in found.paths:
        steps = {move.kind: move.step for move in way.moves}
        assert underwrite(BOOK, path.moved(GRID, case, steps)).outcome == "approve"
        for kind, step in steps.items():
            for lower in range(step):
                assert underwrite(BOOK, path.moved(GRID, case, steps | {kind: lower})).outcome != "approve"
        assert all(move.says.zh and move.says.en and move.cost > 0 for move in way.moves)


@settings(max_examples=25, deadline=None)
@given(cases)
def test_a_path_never_touches_what_a_borrower_is(case: Case) -> None:
    for way in path.search(BOOK, case).paths:
        before, after = case.facts, way.case.facts
        assert (before.industry, before.employees, before.new_business, before.natural_person) == (
            after.industry,
            after.employees,
            after.new_business,
            after.natural_person,
        )
        assert way.case.assets[: len(case.assets)] == tuple(
            replace(one, tonnes=moved.tonnes) for one, moved in zip(case.assets, way.case.assets, strict=False)
        )


def test_no_path_asks_for_all_that_another_asks_for_and_more() -> None:
    case = Case(request(amount=200_000_000), (forest(),), Legs())
    asked = [{move.kind: move.step for move in way.moves} for way in path.search(BOOK, case).paths]
    assert len(asked) == 2
    for mine in asked:
        for other in asked:
            assert mine == other or not all(step <= mine.get(kind, 0) for kind, step in other.items())


def test_an_approved_request_needs_no_path() -> None:
    found = path.search(BOOK, Case(request(), (forest(tonnes=40_000.0),), Legs()))
    assert (found.outcome, found.paths, found.none, found.tried) == ("approve", (), None, 1)


def test_where_nothing_allowed_helps_it_is_said() -> None:
    unfit = Case(request(), (forest(methodology="of our own"),), Legs())
    found = path.search(BOOK, unfit)
    assert found.paths == ()
    assert found.none is not None
    assert found.none.code == "no_path"
    assert found.tried > 100
    stale = path.search(BOOK, Case(request(), (forest(valid_until="2026-02-20"),), Legs()))
    assert stale.none is not None
    assert stale.none.code == "no_path_without_valuation"


def test_a_path_told_of_a_declined_loan_is_approved_when_it_is_applied_for(credit_db: Database) -> None:
    story = Story(credit_db)
    story.value()
    loan = story.apply(amount=amount(1_600_000), assets=[{"asset_id": str(story.asset), "tonnes": "20000"}])
    assert loan["state"] == "declined"
    told = body(story.officer.get(f"/v1/loans/{story.loan_id}/path"))
    assert told["outcome"] == "decline"
    kinds = [tuple(move["kind"] for move in way["moves"]) for way in told["paths"]]
    assert ("amount",) in kinds
    less = next(way for way in told["paths"] if [move["kind"] for move in way["moves"]] == ["amount"])
    more = next(way for way in told["paths"] if [move["kind"] for move in way["moves"]] == ["tonnes"])
    usual = {"amount": amount(1_600_000), "assets": [{"asset_id": str(story.asset), "tonnes": "20000"}]}
    assert story.apply(**usual | {"amount": amount(less["moves"][0]["after"])})["state"] == "structuring"
    whole = [{"asset_id": str(story.asset), "tonnes": more["moves"][0]["after"]}]
    story.post("withdrawal", {"reason": "the other way"})
    assert story.apply(**usual | {"assets": whole})["state"] == "structuring"


@pytest.mark.parametrize("term", [36, 61])
def test_a_what_if_tells_the_same_path_and_keeps_nothing(credit_db: Database, term: int) -> None:
    story = Story(credit_db)
    story.value()
    asked = {
        "borrower_kind": "cooperative",
        "industry": "022",
        "employees": 8,
        "new_business": False,
        "amount": amount(1_700_000),
        "term_months": term,
        "assets": [{"asset_id": str(story.asset), "tonnes": "40000"}],
    }
    told = body(story.officer.post("/v1/score/path", asked))
    assert told["outcome"] == "decline"
    assert any("amount" in [move["kind"] for move in way["moves"]] for way in told["paths"])
    assert all(("term" in [move["kind"] for move in way["moves"]]) == (term > 60) for way in told["paths"])
    assert body(story.officer.get("/v1/loans"))["items"] == []

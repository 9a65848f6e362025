"""The price: parts that sum, worths that add up, and every figure with where it comes from."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.credit.actions import pricing
from services.credit.actions.price_trace import FIGURES
from services.credit.actions.pricing import LEGS, PriceInputs, price
from services.credit.formulas.price import shapley_worths
from tests.conftest import Database
from tests.credit.story import Story
from tests.credit.test_path import BOOK
from tests.harness import body

POLICY = BOOK.priced_by

inputs = st.builds(
    lambda amount, term, pd, fire, carbon, insured, parts: PriceInputs(
        amount=amount,
        term_months=term,
        default_probability=(1 - fire) * pd + fire * (pd + 0.04 * (1 - pd)),
        default_probability_without_fire=pd,
        default_probability_given_fire=pd + 0.04 * (1 - pd),
        fire_probability=fire,
        carbon_value=carbon,
        sum_insured=insured,
        guarantors=dict(zip(("primary", "province", "national", "pool"), parts, strict=True)),
        counted_value=carbon * 0.8,
        spot_price=80.0,
    ),
    st.integers(100_000, 10**11),
    st.integers(1, 360),
    st.floats(0.0003, 0.2),
    st.floats(0.0, 0.3),
    st.floats(0.0, 1e9),
    st.floats(0.0, 1e9),
    st.sampled_from([(0.4, 0.3, 0.0, 0.1), (0.8, 0.0, 0.0, 0.0), (0.2, 0.2, 0.2, 0.2), (0.0, 0.0, 0.0, 0.0)]),
)


@settings(max_examples=40, deadline=None)
@given(inputs)
def test_expected_losses_sum_to_the_whole_and_the_waterfall_to_the_rate(given_: PriceInputs) -> None:
    made = price(POLICY, given_)
    assert sum(made.expected_losses.values()) == round(given_.default_probability * given_.amount)
    units = {leg: round(worth * 100_000) for leg, worth in made.waterfall_bp.items()}
    assert set(units) == set(LEGS)
    assert round(made.bare_rate * 10**9) - sum(units.values()) == round(made.break_even_rate * 10**9)
    assert 0 <= made.annual_rate - made.break_even_rate <= 0.0001 + 1e-9


@settings(max_examples=30, deadline=None)
@given(inputs)
def test_a_leg_never_makes_a_loan_dearer_and_one_that_is_not_there_is_worth_nothing(given_: PriceInputs) -> None:
    made = price(POLICY, given_)
    # A fen of the smallest loan is a fiftieth of a basis point.
    assert all(worth >= -0.1 for worth in (*made.waterfall_bp.values(), *made.worth_bp.values()))
    bare = price(POLICY, replace(given_, carbon_value=0.0, sum_insured=0.0, guarantors={}))
    assert all(worth == 0 for worth in bare.waterfall_bp.values())


@given(st.lists(st.integers(-(10**6), 10**6), min_size=16, max_size=16))
def test_worths_over_all_orders_sum_exactly_whatever_the_sets_are_worth(values: list[int]) -> None:
    legs = "abcd"
    sets = [frozenset(leg for bit, leg in enumerate(legs) if number >> bit & 1) for number in range(16)]
    worths = dict(zip(sets, values, strict=True))
    assert sum(shapley_worths(worths).values()) == worths[frozenset(legs)] - worths[frozenset()]


def test_worths_want_every_set() -> None:
    with pytest.raises(ValueError, match="each set"):
        shapley_worths({frozenset(): 0, frozenset("ab"): 1})


@settings(max_examples=30, deadline=None)
@given(inputs, st.floats(0.0, 0.9))
def test_trees_and_the_policy_on_them_never_count_together_in_full(given_: PriceInputs, fall: float) -> None:
    full = replace(given_, sum_insured=given_.carbon_value, guarantors={})
    made = price(POLICY, full)
    recovered = given_.amount * (1 - made.loss_given_default) / 100
    assert recovered <= given_.carbon_value + 1 or made.loss_given_default == POLICY["lgd_floor"]
    worse = replace(BOOK.priced_by, values={**POLICY.values, "carbon_price_fall_given_fire": max(fall, 0.1)})
    assert price(worse, full).break_even_rate >= made.break_even_rate - 1e-12


@given(inputs, st.booleans(), st.integers(0, 4))
def test_legs_that_bear_nothing_need_no_working_out(given_: PriceInputs, insured: bool, guarantors: int) -> None:
    some = dict(list(given_.guarantors.items())[:guarantors])
    given_ = replace(given_, guarantors=some, sum_insured=given_.sum_insured if insured else 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "_borne", lambda _: frozenset(pricing.LEGS))
        every_set = price(POLICY, given_)
    assert price(POLICY, given_) == every_set


def test_at_the_break_even_rate_the_return_is_the_hurdle_and_nothing_is_left() -> None:
    given_ = PriceInputs(10**9, 36, 0.0204, 0.02, 0.0592, 0.01, 8e6, 2e6, {"primary": 0.5}, 6e6, 80.0)
    made = price(POLICY, given_)
    above = (made.annual_rate - made.break_even_rate) * 10**7
    assert made.economic_value_added == pytest.approx(above, abs=0.05)
    assert made.risk_adjusted_return == pytest.approx(POLICY["hurdle_rate"] + above / (made.capital * 10**7), abs=1e-6)
    assert made.yearly_subsidy == pytest.approx(10**7 * min(0.03, made.annual_rate))
    assert made.break_even_price == pytest.approx(80 * (10**7 / POLICY["margin_call_loan_to_value"]) / 6e6)


def test_each_figure_of_a_loan_s_price_names_its_equation_and_its_dated_coefficients(credit_db: Database) -> None:
    story = Story(credit_db)
    loan = story.to("proposed")
    told: Any = body(story.officer.get(f"/v1/loans/{story.loan_id}/price"))
    figures = {one["name"]: one for one in told["figures"]}
    assert set(figures) == set(FIGURES)
    assert f"{figures['annual_rate']['value']:.8f}" == loan["offer"]["payload"]["annual_rate"]
    assert figures["risk_adjusted_return"]["equation"] == "C51"
    for one in figures.values():
        assert all({"name", "value", "from", "source", "verified"} <= set(each) for each in one["parameters"])
    waterfall = loan["offer"]["payload"]["price"]
    bare, after = float(waterfall["bare_rate"]), float(waterfall["break_even_rate"])
    assert bare - sum(float(worth) for worth in waterfall["waterfall_bp"].values()) / 1e4 == pytest.approx(after, 1e-9)


def test_a_loan_without_valuation_has_no_price_to_show(credit_db: Database) -> None:
    story = Story(credit_db)
    story.apply()
    assert story.officer.get(f"/v1/loans/{story.loan_id}/price").status_code == 404

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.event_payment import event_payment, event_payment_square
from services.insurance.formulas.fen import whole_fen
from services.insurance.formulas.premium import (
    area_premium,
    capital_margin,
    capped_loss_variance,
    event_frequency,
    gross_premium,
    market_spread,
    peril_pure_premium,
    peril_rate,
    premium,
    pure_premium,
    rate_on_line,
    risk_margin,
)
from services.insurance.formulas.subsidy import largest_remainder
from services.insurance.formulas.sum_insured import county_room, over_insured, sum_insured_limit
from tests.insurance.formulas.examples import close, example

RATES = st.floats(0, 0.05)
SCORES = st.floats(0, 1)
LOADINGS = {"expense": 0.2, "commission": 0.05, "tax": 0.01, "profit": 0.05}


def charged(sum_insured: int, score: float, deductible: float = 0.1) -> int:
    """The whole chain for two perils, one of them untouched."""
    rates = np.array([peril_rate(0.001, score, 0.5, 1.5), 0.0006])
    frequency = event_frequency(rates, 0.4)
    pure = peril_pure_premium(frequency, event_payment(sum_insured, 0.4, 0.3, deductible))
    variances = capped_loss_variance(frequency, event_payment_square(sum_insured, 0.4, 0.3, deductible))
    gross = gross_premium(pure_premium(pure), risk_margin(0.02, variances), **LOADINGS)
    return int(premium(gross, minimum_premium=20_000))


def test_gross_premium_example():
    case = example("gross-premium")
    inputs = dict(case["inputs"])
    gross = gross_premium(inputs.pop("pure"), inputs.pop("margin"), **inputs)
    assert gross == close(case, "gross")


def test_guangxi_premiums():
    case = example("cn-guangxi-premium")
    for product in ("public", "commercial"):
        terms = case["inputs"][product]
        fen = area_premium(case["inputs"]["mu"], 100 * terms["si"], terms["rate_permille"] / 1000)
        assert fen / 100 == close(case, f"{product}_premium")
    assert largest_remainder(fen, [6000, 4000])[1] / 100 == close(case, "owner_pays_commercial")


def test_gansu_premium_and_its_split():
    case = example("cn-gansu-split")
    inputs = case["inputs"]
    fen = area_premium(inputs["mu"], 100 * inputs["si"], inputs["rate_permille"] / 1000)
    assert fen / 100 == close(case, "premium")
    split = largest_remainder(fen, [round(10_000 * share) for share in inputs["shares"]])
    assert [part / 100 for part in split] == close(case, "split")


def test_rates_on_line_of_carbon_covers():
    case = example("carbon-rol")
    xinluo, gaochun = case["inputs"]["xinluo"], case["inputs"]["gaochun"]
    assert rate_on_line(**xinluo) == close(case, "xinluo")
    assert rate_on_line(gaochun["premium_more_than"], gaochun["limit"]) == close(case, "gaochun_at_least")
    assert gaochun["limit"] / gaochun["mu"] == close(case, "gaochun_limit_per_mu")


@pytest.mark.parametrize(
    ("name", "whole", "area", "field"),
    [
        ("cn-sum-insured-2018", "sum_insured_yuan", "insured_mu", "yuan_per_mu"),
        ("lizhou", "limit", "mu", "yuan_per_mu"),
    ],
)
def test_sums_insured_per_mu(name, whole, area, field):
    case = example(name)
    assert rate_on_line(case["inputs"][whole], case["inputs"][area]) == close(case, field)


def test_a_sum_insured_above_the_value_is_refused():
    case = example("refuse-si-above-value")
    assert over_insured(**{"insurable_value": case["inputs"]["value"], "sum_insured": case["inputs"]["sum_insured"]})
    assert case["expected"]["accepted"] is False


@given(st.integers(1, 10**13), SCORES, SCORES)
def test_a_riskier_site_never_pays_less(sum_insured, one, other):
    low, high = sorted([one, other])
    assert charged(sum_insured, low) <= charged(sum_insured, high)


@given(st.integers(1, 10**12), st.integers(1, 10**12), SCORES)
def test_a_larger_sum_insured_never_pays_less(one, other, score):
    low, high = sorted([one, other])
    assert charged(low, score) <= charged(high, score)


@given(st.integers(1, 10**12), SCORES, st.floats(0, 0.9), st.floats(0, 0.9))
def test_a_larger_deductible_never_pays_more(sum_insured, score, one, other):
    low, high = sorted([one, other])
    assert charged(sum_insured, score, high) <= charged(sum_insured, score, low)


@given(st.integers(1, 10**12), SCORES)
def test_a_premium_is_at_least_the_minimum_and_covers_the_expected_payments(sum_insured, score):
    pure = 0.9 * sum_insured * float(peril_rate(0.001, score, 0.5, 1.5))
    assert charged(sum_insured, score) >= max(20_000, whole_fen(pure))


@given(RATES, SCORES, st.floats(0.01, 1), st.floats(0, 5))
def test_a_rate_stays_between_nothing_and_everything(base, score, reference, exponent):
    assert 0 <= peril_rate(base, score, reference, exponent) <= 1


@given(RATES, st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(1, 10**12))
def test_the_variance_of_a_capped_loss_never_exceeds_that_of_total_losses(rate, mean, part, sum_insured):
    sd = part * (mean * (1 - mean)) ** 0.5
    worst = rate * float(sum_insured) ** 2
    variance = capped_loss_variance(event_frequency(rate, mean), event_payment_square(sum_insured, mean, sd))
    assert 0 <= variance <= worst * (1 + 1e-9)


def test_a_policy_that_diversifies_the_book_is_not_paid_for_it():
    assert capital_margin(0.08, co_tvar=10.0, mean_loss=50.0) == 0


def test_the_market_line_is_the_measured_one():
    assert market_spread(0.0356, 0.0244, 1.23) == pytest.approx(0.0683, abs=2e-4)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (peril_rate, (-0.1, 0.5, 0.5, 1.0)),
        (peril_rate, (0.1, float("nan"), 0.5, 1.0)),
        (peril_pure_premium, (-0.1, 100.0)),
        (peril_pure_premium, (0.1, float("nan"))),
        (event_frequency, (0.1, 0.0)),
        (capped_loss_variance, (0.1, -1.0)),
        (event_payment, (100, 0.5, 0.6)),
        (event_payment, (100, 0.5, 0.2, -0.1)),
        (event_payment, (100, 0.5, 0.2, 0.0, -1)),
        (event_payment, (100, 0.5, 0.2, 0.0, 0, 0, 0, 1.1)),
        (risk_margin, (-1.0, [1.0])),
        (gross_premium, (1.0, 1.0, 0.5, 0.2, 0.2, 0.1)),
        (premium, (-1.0, 0)),
        (area_premium, (-1.0, 1, 0.1)),
        (rate_on_line, (1.0, 0.0)),
        (whole_fen, (float("nan"),)),
        (over_insured, (0, 100)),
        (sum_insured_limit, (100, 1.1)),
        (county_room, (100, -1, 0)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)


@given(st.integers(0, 10**13), st.floats(0, 1))
def test_a_sum_insured_never_exceeds_its_share_of_the_value(value, share):
    assert 0 <= sum_insured_limit(value, share) <= value


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_the_room_in_a_county_is_never_below_nothing(capacity, in_force, quoted):
    room = county_room(capacity, in_force, quoted)
    assert room >= 0
    assert room == 0 or in_force + quoted + room == capacity

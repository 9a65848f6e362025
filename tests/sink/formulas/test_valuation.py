import json
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sink.formulas import price, reversal, valuation

CERTAIN: dict[str, Any] = {
    "growth_sigma": 0.0,
    "sampling_width": 0.0,
    "model_sigma": 0.0,
    "event_frequency": 0.0,
    "price_sigma": 0.0,
}


def inputs(**changes: Any) -> dict[str, Any]:
    """A larch parcel of about ten hectares, verified every five years for twenty."""
    return {
        "years": [5.0, 10.0, 15.0, 20.0],
        "project_stocks": [100.0, 400.0, 1000.0, 1700.0, 2400.0],
        "baseline_stocks": [0.0, 10.0, 20.0, 30.0, 40.0],
        "emissions": [5.0, 5.0, 5.0, 5.0],
        "leakage": [0.0, 0.0, 0.0, 0.0],
        "costs": [2000.0, 2000.0, 2000.0, 2000.0],
        "growth_sigma": 0.25,
        "growth_persistence": 0.5,
        "sampling_width": 0.15,
        "confidence": 0.90,
        "model_sigma": 0.15,
        "event_frequency": 0.01,
        "mean_severity": 0.3,
        "discount_bounds": (0.10, 0.15, 0.20, 0.30),
        "discount_shares": (0, 0.25, 0.50, 0.75, 1),
        "buffer_share": 0.10,
        "price": 70.76,
        "price_drift": 0.0,
        "price_sigma": 0.35,
        "price_reversion": 0.25,
        "long_run_price": 62.36,
        "turnover_t": 8_844_100.0,
        "haircut_reference_discount": 0.16,
        "haircut_reference_share": 0.10,
        "haircut_exponent": 0.5,
        "haircut_cap": 0.5,
        "fee_share": 0.03,
        "discount_rate": 0.08,
        "seed": 20_260_101,
        "draws": 400,
    } | changes


def terms_and_forest(**changes: Any) -> tuple[valuation.Terms, valuation.Forest]:
    found = inputs(**changes)
    terms = valuation.Terms(**{name: found[name] for name in valuation.Terms._fields if name in found})
    return terms, valuation.Forest(**{name: found[name] for name in valuation.Forest._fields if name in found})


def value(**changes: Any) -> valuation.Valuation:
    terms, forest = terms_and_forest(**changes)
    (result,) = valuation.valuations(terms, [forest])
    return result


def dumped(result: valuation.Valuation) -> bytes:
    return json.dumps(asdict(result), sort_keys=True).encode()


risks = st.fixed_dictionaries(
    {
        "growth_sigma": st.floats(0, 0.6),
        "sampling_width": st.floats(0, 0.6),
        "model_sigma": st.floats(0, 0.6),
        "event_frequency": st.floats(0, 0.2),
        "price_sigma": st.floats(0, 0.6),
        "price_reversion": st.sampled_from([0.0, 0.25]),
        "buffer_share": st.floats(0, 0.6),
        "seed": st.integers(0, 2**63),
    }
)


@given(risks)
@settings(max_examples=30, deadline=None)
def test_quantiles_are_ordered_and_parts_sum_to_the_whole(changes: dict[str, Any]) -> None:
    result = value(**changes, draws=100)
    assert result.pv_p05 <= result.pv_p10 <= result.pv_p50 <= result.pv_p90 <= result.pv_p95
    for date in range(len(result.years)):
        p05, p10, p50, p90, p95 = (getattr(result, f"tonnes_p{q}")[date] for q in ("05", "10", "50", "90", "95"))
        assert 0 <= p05 <= p10 <= p50 <= p90 <= p95
        parts = result.tonnes_mean[date] + result.tonnes_buffer_mean[date] + result.tonnes_uncertainty_mean[date]
        assert parts == pytest.approx(result.tonnes_gross_mean[date], abs=0.002)
    shares = asdict(result.variance_shares).values()
    assert all(0 <= share <= 1 for share in shares)
    assert sum(shares) == pytest.approx(1, abs=1e-9) or set(shares) == {0.0}


@given(risks)
@settings(max_examples=15, deadline=None)
def test_a_valuation_is_byte_equal_on_a_second_run(changes: dict[str, Any]) -> None:
    assert dumped(value(**changes, draws=60)) == dumped(value(**changes, draws=60))


def test_inputs_are_not_changed_in_place() -> None:
    stocks, costs = np.array([100.0, 400.0, 1000.0, 1700.0, 2400.0]), np.full(4, 2000.0)
    value(project_stocks=stocks, costs=costs)
    assert stocks.tolist() == [100.0, 400.0, 1000.0, 1700.0, 2400.0]
    assert costs.tolist() == [2000.0] * 4


def test_without_risk_the_value_is_the_sum_done_by_hand() -> None:
    result = value(**CERTAIN, price_reversion=0.0, price_drift=0.0)
    cumulative = np.array([285.0, 875.0, 1565.0, 2255.0])
    tonnes = np.diff(cumulative, prepend=0.0) * 0.9
    haircuts = 0.16 * np.sqrt(tonnes / 8_844_100 / 0.10)
    factors = 1.08 ** -np.array([5.0, 10.0, 15.0, 20.0])
    expected = float(np.sum(tonnes * 70.76 * (1 - haircuts) * 0.97 * factors) - np.sum(2000 * factors))
    assert result.pv_mean == pytest.approx(expected, abs=0.01)
    assert result.pv_p05 == result.pv_p95 == result.pv_mean
    assert result.tonnes_mean == pytest.approx(tonnes, abs=0.001)
    assert set(asdict(result.variance_shares).values()) == {0.0}
    assert result.pv_standard_error == 0


@pytest.mark.parametrize(
    ("source", "risk"),
    [
        ("growth", {"growth_sigma": 0.3}),
        ("sampling", {"sampling_width": 0.3}),
        ("model", {"model_sigma": 0.3}),
        ("reversal", {"event_frequency": 0.05}),
        ("price", {"price_sigma": 0.3}),
    ],
)
def test_a_single_source_carries_all_the_variance(source: str, risk: dict[str, float]) -> None:
    shares = asdict(value(**(CERTAIN | risk)).variance_shares)
    assert shares.pop(source) == 1.0
    assert set(shares.values()) == {0.0}


@pytest.mark.parametrize(
    ("source", "less", "more"),
    [
        ("growth", {"growth_sigma": 0.1}, {"growth_sigma": 0.5}),
        ("sampling", {"sampling_width": 0.1}, {"sampling_width": 0.5}),
        ("model", {"model_sigma": 0.1}, {"model_sigma": 0.5}),
        ("reversal", {"event_frequency": 0.002}, {"event_frequency": 0.05}),
        ("price", {"price_sigma": 0.1}, {"price_sigma": 0.5}),
    ],
)
def test_more_of_a_source_takes_more_of_the_variance(
    source: str, less: dict[str, float], more: dict[str, float]
) -> None:
    smaller, larger = (getattr(value(**risk).variance_shares, source) for risk in (less, more))
    assert smaller < larger


@pytest.mark.parametrize(
    "worse",
    [
        {"buffer_share": 0.2},
        {"sampling_width": 0.3},
        {"event_frequency": 0.05},
        {"price": 60.0, "long_run_price": 50.0},
        {"fee_share": 0.1},
        {"discount_rate": 0.12},
        {"costs": [4000.0] * 4},
        {"turnover_t": 100_000.0},
        {"leakage": [50.0] * 4},
        {"baseline_stocks": [0.0, 100.0, 200.0, 300.0, 400.0]},
    ],
    ids=lambda worse: next(iter(worse)),
)
def test_a_worse_condition_lowers_the_value(worse: dict[str, Any]) -> None:
    assert value(**worse).pv_mean < value().pv_mean


def test_a_change_of_one_source_leaves_the_draws_of_the_others_alone() -> None:
    calm = {"growth_sigma": 0.0, "model_sigma": 0.0, "sampling_width": 0.0}
    few = value(**calm, event_frequency=0.01, price_sigma=0.0)
    same = value(**calm, event_frequency=0.01, price_sigma=0.5)
    assert few.tonnes_p05 == same.tonnes_p05
    assert few.tonnes_mean == same.tonnes_mean


def test_two_assets_can_meet_the_same_market() -> None:
    only_price = CERTAIN | {"price_sigma": 0.35}
    first = value(**only_price, seed=1, price_seed=99)
    second = value(**only_price, seed=2, price_seed=99)
    assert (first.pv_p05, first.pv_p95) == (second.pv_p05, second.pv_p95)
    assert value(**only_price, seed=2, price_seed=98).pv_p05 != first.pv_p05


def test_the_mean_stays_within_its_standard_error_of_the_expectation() -> None:
    linear = {"event_frequency": 0.0, "growth_sigma": 0.1, "model_sigma": 0.1, "sampling_width": 0.1}
    drawn, certain = value(**linear, draws=20_000), value(**CERTAIN)
    # The haircut and the floor at nothing issued are too small here to be felt against the standard error.
    curve = price.mean_reverting_price_mean(70.76, 62.36, 0.25, 0.35, [5.0, 10.0, 15.0, 20.0])
    tonnes = valuation.net_issuable_tonnes(np.diff([0.0, 285.0, 875.0, 1565.0, 2255.0]), 0.0, 0.10)
    expected = valuation.present_value(
        tonnes, curve, certain.haircut, 0.03, [2000.0] * 4, 0.08, [5.0, 10.0, 15.0, 20.0]
    )
    assert drawn.pv_mean == pytest.approx(float(expected), abs=4 * drawn.pv_standard_error)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_issued_tonnes_never_exceed_the_best_removal_reached(removals: list[float]) -> None:
    issued = valuation.issuable_tonnes(removals)
    assert np.all(issued >= 0)
    assert issued.sum() == pytest.approx(max(0.0, *removals), abs=1e-6)


def test_a_loss_must_be_regrown_before_anything_new_is_issued() -> None:
    removals = np.array([[100.0], [40.0], [90.0], [130.0]])
    assert valuation.issuable_tonnes(removals).ravel().tolist() == [100.0, 0.0, 0.0, 30.0]


def test_a_fire_early_on_keeps_the_stand_at_its_survivors() -> None:
    live = reversal.surviving_share(np.array([[0.005], [0.9]]), [0.01, 0.01], 0.5)
    stock = valuation.simulated_stock([100.0, 200.0, 300.0], np.ones((2, 1)), live)
    assert stock.ravel().tolist() == [100.0, 150.0]


@given(st.lists(st.floats(0, 10), min_size=5, max_size=5), st.lists(st.floats(0, 10), min_size=5, max_size=5))
def test_variance_shares_sum_to_one(alone: list[float], without: list[float]) -> None:
    shares = valuation.variance_shares(10.0, alone, without)
    assert all(share >= 0 for share in shares)
    assert sum(shares) == pytest.approx(1, abs=1e-9) or sum(shares) == 0


@pytest.mark.parametrize(("interval", "horizon", "count"), [(5, 20, 4), (5, 19.9, 3), (0.1, 0.3, 3), (5, 4, 0)])
def test_verification_dates_fill_the_horizon(interval: float, horizon: float, count: int) -> None:
    assert len(valuation.verification_years(interval, horizon)) == count


@pytest.mark.parametrize(
    "broken",
    [
        {"years": []},
        {"years": [5.0, 5.0, 15.0, 20.0]},
        {"years": [0.0, 5.0, 10.0, 15.0]},
        {"project_stocks": [1.0, 2.0]},
        {"project_stocks": [1.0, 2.0, float("nan"), 4.0, 5.0]},
        {"draws": 1},
        {"price": -1.0},
        {"growth_sigma": -0.1},
        {"buffer_share": 1.1},
        {"growth_persistence": 1.5},
    ],
    ids=str,
)
def test_an_impossible_input_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        value(**broken)


def test_every_result_is_a_plain_json_value() -> None:
    result = value()
    assert json.loads(dumped(result))["seed"] == 20_260_101
    assert len(fields(result)) == len(asdict(result))

"""Value today of the tonnes a forest will issue.        docs/equations/sink.md (S76)-(S86), (S170)-(S173)

C_k  stock at verification k [tCO2e]      S_k  tonnes issuable at k [tCO2e]      P_k  price at k [CNY/tCO2e]
h_k  liquidity haircut [-]                r    discount rate [1/yr]              K_k  cost of verification [CNY]

Nothing is sold between verifications. Arrays have dates along the first axis and draws along the last; in between stand
the forests of a block. Sums run along one axis in a fixed order and results are rounded to TONNE_DECIMALS,
MONEY_DECIMALS and SHARE_DECIMALS, so that the same inputs and seed give the same bytes, alone or in any block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative
from services.sink.formulas.growth import stock_increments
from services.sink.formulas.price import (
    issued_value,
    liquidity_haircut,
    lognormal_price_mean,
    lognormal_prices,
    mean_reverting_price_mean,
    mean_reverting_prices,
    normal_draws,
    turnover_share,
)
from services.sink.formulas.reversal import event_probability, expected_surviving_share, surviving_share
from services.sink.formulas.uncertainty import effective_deduction, sampling_sigma, unit_lognormal

TONNE_DECIMALS = 3
MONEY_DECIMALS = 2
SHARE_DECIMALS = 6
QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
#: Part of the draws, the worst of them, over which the expected shortfall is taken.
TAIL = 0.05
MARKET_KEY = 1_000_000
#: Forests times draws of one block: what is computed date by date then stays in the cache of a processor.
BLOCK = 8192
Array = NDArray[np.float64]


@dataclass(frozen=True)
class VarianceShares:
    """Share of the variance of the present value by source; they sum to one, or are all zero if nothing varies. [-]"""

    growth: float
    sampling: float
    model: float
    reversal: float
    price: float


@dataclass(frozen=True)
class Sensitivities:
    """Mean value when one thing alone is other than assumed, on the same draws. [CNY]"""

    price_bump: float
    """Every price of every path, today's included, lower and higher by this share. [-]"""
    price_down: float
    price_up: float
    rate_low: float
    """Discount rate lower than the one used [1/yr], and the value with it."""
    pv_rate_low: float
    rate_high: float
    pv_rate_high: float
    survival_bump: float
    """Growth still to come carried by fewer and by more trees, by this share. [-]"""
    survival_down: float
    survival_up: float


@dataclass(frozen=True)
class Valuation:
    """What the tonnes of one asset are worth today, and how sure that is. P05 is the low tail, P95 the high one."""

    years: tuple[float, ...]
    """Verification dates, counted from the as-of date. [yr]"""
    tonnes_gross_mean: tuple[float, ...]
    """Issuable at each date before the uncertainty and buffer deductions. [tCO2e]"""
    tonnes_uncertainty_mean: tuple[float, ...]
    tonnes_buffer_mean: tuple[float, ...]
    tonnes_mean: tuple[float, ...]
    """Sellable at each date after both deductions; gross = uncertainty + buffer + this. [tCO2e]"""
    tonnes_p05: tuple[float, ...]
    tonnes_p10: tuple[float, ...]
    tonnes_p25: tuple[float, ...]
    tonnes_p50: tuple[float, ...]
    tonnes_p75: tuple[float, ...]
    tonnes_p90: tuple[float, ...]
    tonnes_p95: tuple[float, ...]
    price_mean: tuple[float, ...]
    """Expected price at each date. [CNY/tCO2e]"""
    haircut: tuple[float, ...]
    """Liquidity haircut on the block expected at each date. [-]"""
    pv_mean: float
    """Present value after haircut, fee and verification costs; may be negative. [CNY]"""
    pv_p05: float
    pv_p10: float
    pv_p25: float
    pv_p50: float
    pv_p75: float
    pv_p90: float
    pv_p95: float
    pv_expected_shortfall: float
    """Expected shortfall: mean of the worst 5 % of the draws. [CNY]"""
    pv_at_expectation: float
    """Value if everything goes as expected, without a draw (S172). [CNY]"""
    pv_issued: float
    """Value of the units issued and not retired, already inside every pv. [CNY]"""
    pv_standard_error: float
    """Monte-Carlo standard error of pv_mean. [CNY]"""
    pv_costs: float
    """Present value of the verification costs, already inside every pv. [CNY]"""
    variance_shares: VarianceShares
    sensitivities: Sensitivities
    uncertainty_deduction: float
    """Part of the issuable tonnes given up for sampling error, share(U)·U. [-]"""
    buffer_share: float
    seed: int
    price_seed: int
    draws: int


def verification_years(interval: float, horizon: float) -> Array:
    """Eq. (S76): verification dates from the as-of date, i·k for k = 1 … ⌊horizon/i⌋. [yr]

    Source: Gold Standard 403 v2.1 asks for a verification at least every five years.

    >>> verification_years(5, 20).tolist()
    [5.0, 10.0, 15.0, 20.0]
    """
    # The slack keeps the last date where a horizon is an exact multiple of a fractional interval.
    return np.asarray(interval * np.arange(1, np.floor(horizon / interval + 1e-9) + 1))


def simulated_stock(stocks: ArrayLike, growth_factors: ArrayLike, surviving_shares: ArrayLike) -> Array:
    """Eq. (S77): stock at each verification, L_k·(C_0+Σ_(j≤k) g_j·(C_j-C_(j-1))) with L the live share. [tCO2e]

    stocks starts with C_0, the stock at the as-of date, which no growth error touches.
    Source: this project.

    >>> simulated_stock([10.0, 20.0], np.array([[1.0, 1.1]]), np.array([[1.0, 0.5]])).tolist()
    [[20.0, 10.5]]
    """
    levels = np.asarray(stocks, dtype=np.float64)
    grown = stock_increments(levels)[:, None] * np.asarray(growth_factors)
    grown[0] += levels[0]
    # Adding date after date over all draws at once is faster than a running sum along the short axis.
    for date in range(1, len(grown)):
        grown[date] += grown[date - 1]
    return np.asarray(grown * np.asarray(surviving_shares))


def net_removal(project_change: Numbers, baseline_change: Numbers, emissions: Numbers, leakage: Numbers) -> Numbers:
    """Eq. (S78): removal owed to the project, ΔC_PROJ-GHG_PROJ-ΔC_BSL-LK, before the risk deduction. [tCO2e]

    Source: CCER-14-001-V01, from memory.

    >>> net_removal(1000.0, 50.0, 10.0, 0.0)
    940.0
    """
    return project_change - emissions - baseline_change - leakage


def issuable_tonnes(cumulative_removal: ArrayLike) -> Array:
    """Eq. (S79): tonnes issuable at each verification, max(0, N_1 … N_k)-max(0, N_1 … N_(k-1)). [tCO2e]

    A loss must be regrown before anything new is issued, and nothing is issued while the removal is not positive.
    Source: Gold Standard 403 v2.1 (no issuance while cumulative net ≤ 0); the running maximum is this project's.

    >>> issuable_tonnes([-5.0, 10.0, 7.0, 12.0]).tolist()
    [0.0, 10.0, 0.0, 2.0]
    """
    removal = np.asarray(cumulative_removal, dtype=np.float64)
    issued = np.empty_like(removal)
    highest = np.zeros(removal.shape[1:])
    for date in range(len(removal)):
        reached = np.maximum(highest, removal[date])
        issued[date] = reached - highest
        highest = reached
    return issued


def net_issuable_tonnes(issuable: ArrayLike, deduction: Numbers, buffer_share: Numbers) -> Array:
    """Eq. (S80): tonnes the owner may sell, (1-buffer)·(1-u_eff)·S. [tCO2e]

    Source: this project; AR-TOOL14 v04.2 for u_eff, Verra AFOLU NPRT v4.2 for the buffer before issuance.

    >>> round(float(net_issuable_tonnes(1000.0, 0.0375, 0.12)), 3)
    847.0
    """
    kept = (1 - fraction("buffer share", buffer_share)) * (1 - fraction("deduction", deduction))
    return np.asarray(kept * np.asarray(issuable, dtype=np.float64))


def discount_factor(discount_rate: float, years: ArrayLike) -> Array:
    """Eq. (S81): value today of one yuan later, 1/(1+r)^t. [-]

    Source: definition.

    >>> discount_factor(0.08, [0.0, 1.0]).round(6).tolist()
    [1.0, 0.925926]
    """
    return np.asarray((1 + discount_rate) ** -np.asarray(years, dtype=np.float64))


def present_value(
    net_tonnes: ArrayLike,
    prices: ArrayLike,
    haircuts: ArrayLike,
    fee_share: float,
    costs: ArrayLike,
    discount_rate: float,
    years: ArrayLike,
) -> Array:
    """Eq. (S82): present value, Σ_k S_k·P_k·(1-h_k)·(1-fee)/(1+r)^t_k - Σ_k K_k/(1+r)^t_k with S_k of (S80). [CNY]

    One value per draw; plain lists of dates give a single one.
    Source: this project.

    >>> round(float(present_value([1000.0], [70.0], [0.1], 0.0, [5000.0], 0.08, [5.0])), 2)
    39473.83
    """
    factors = discount_factor(discount_rate, years)
    weights = (1 - np.asarray(haircuts, dtype=np.float64)) * (1 - fraction("fee", fee_share)) * factors
    revenues = np.asarray(net_tonnes, dtype=np.float64).T * np.asarray(prices, dtype=np.float64).T
    return _ordered_sum((revenues * weights).T) - _ordered_sum(np.asarray(costs, dtype=np.float64) * factors)


def variance_shares(
    total_variance: float, variances_alone: Sequence[float], variances_without: Sequence[float]
) -> tuple[float, ...]:
    """Eq. (S83): share of variance by source, w_i/Σw with w_i = ½·(V_i alone + max(0, V - V_without_i)). [-]

    Each source is let loose first of all (the others frozen at their means) and last of all (it alone frozen); the
    mean of the two does not depend on an order of the sources, and equals the Shapley share when there are two.
    Rounded; the largest share takes the rounding. All zero if nothing varies.
    Source: this project.

    >>> variance_shares(5.0, [3.0, 1.0], [1.0, 3.0])
    (0.7, 0.3)
    """
    contributions = [
        0.5 * (alone + max(0.0, total_variance - without))
        for alone, without in zip(variances_alone, variances_without, strict=True)
    ]
    # One after the other: the order of the sum is ours.
    total = contributions[0]
    for one in contributions[1:]:
        total += one
    if total <= 0:
        return (0.0,) * len(contributions)
    shares = [round(one / total, SHARE_DECIMALS) for one in contributions]
    largest = shares.index(max(shares))
    others = sum(share for source, share in enumerate(shares) if source != largest)
    shares[largest] = round(1.0 - others, SHARE_DECIMALS)
    return tuple(shares)


def growth_factors(common_normals: Array, period_normals: Array, growth_sigma: Numbers, persistence: float) -> Array:
    """Eq. (S84): error of the growth of each period, exp(σ·y-σ²/2) with y_k = √ρ·z_0+√(1-ρ)·z_k. [-]

    The quality of the site is common to all periods (z_0), the weather is not (z_k).
    Source: this project.

    >>> growth_factors(np.zeros((1, 1)), np.zeros((2, 1)), 0.0, 0.5).ravel().tolist()
    [1.0, 1.0]
    """
    shared_part = np.sqrt(fraction("persistence", persistence)) * common_normals
    return unit_lognormal(shared_part + np.sqrt(1 - persistence) * period_normals, growth_sigma)


def loan_per_tonne(loan_cny: Numbers, pledged_tonnes: Numbers) -> Numbers:
    """Eq. (S85): loan per pledged tonne, loan/tonnes. [CNY/tCO2e]

    Source: arithmetic on a bank case of 2014.

    >>> round(loan_per_tonne(40_000_000, 2_110_000), 2)
    18.96
    """
    return loan_cny / pledged_tonnes


def quantiles(ordered: Array, probabilities: Sequence[float]) -> Array:
    """Eq. (S170): quantiles of ordered draws, x_i+(p·(n-1)-i)·(x_(i+1)-x_i) with i = ⌊p·(n-1)⌋. [unit of x]

    Draws rise along the last axis; the quantiles come along the first.
    Source: Hyndman and Fan 1996, definition 7, from memory; the default of numpy.

    >>> quantiles(np.array([1.0, 2.0, 4.0]), (0.5, 0.75)).tolist()
    [2.0, 3.0]
    """
    places = np.asarray(probabilities) * (ordered.shape[-1] - 1)
    lower = np.floor(places).astype(np.intp)
    upper = np.minimum(lower + 1, ordered.shape[-1] - 1)
    below, above = ordered[..., lower], ordered[..., upper]
    return np.moveaxis(below + (places - lower) * (above - below), -1, 0)


def expected_shortfall(ordered: Array, tail: float) -> Array:
    """Eq. (S171): mean of the lower tail of ordered draws, Σ_(i<m) x_i/m with m = max(1, ⌊p·n⌋). [unit of x]

    Draws rise along the last axis. Never above the quantile at p.
    Source: textbook, expected shortfall; the empirical tail.

    >>> float(expected_shortfall(np.array([1.0, 3.0, 5.0, 7.0]), 0.5))
    2.0
    """
    # The slack keeps the last draw where p·n is a whole number but for a rounding error.
    count = max(1, int(fraction("tail", tail) * ordered.shape[-1] + 1e-9))
    return _mean(ordered[..., :count])


def expected_values(
    stocks: Array,
    live_shares: ArrayLike,
    deductions: ArrayLike,
    kept_share: Numbers,
    prices: ArrayLike,
    years: ArrayLike,
    turnover_t: float,
    haircut_reference_discount: float,
    haircut_reference_share: float,
    haircut_exponent: float,
    haircut_cap: float,
    fee_share: float,
    costs: ArrayLike,
    discount_rate: float,
) -> Array:
    """Eq. (S172): value of many parcels without a draw, (S82) on (S79) of L_k·C_k-C_0-B_k and (S64). [CNY]

    stocks       expected stock of each parcel today and at each date [tCO2e], dates by parcels, K+1 rows
    live_shares  expected live share at each date [-], K rows; deductions likewise: baseline, emissions, leakage [tCO2e]
    kept_share   part of the issuable tonnes left to the owner (S80) [-], one for each parcel or for all
    prices       expected price at each date [CNY/tCO2e], K values; costs of the verifications likewise [CNY]

    Source: this project.

    >>> flat = expected_values(np.array([[0.0], [1000.0]]), [[1.0]], [[0.0]], 0.9, [70.0], [5.0],
    ...                        1e12, 0.16, 0.1, 0.5, 0.5, 0.0, [[0.0]], 0.0)
    >>> flat.round(0).tolist()
    [62999.0]
    """
    factors = discount_factor(discount_rate, years)
    weights = (1 - fraction("fee", fee_share)) * factors * np.asarray(prices, dtype=np.float64)
    live, given = np.asarray(live_shares, dtype=np.float64), np.asarray(deductions, dtype=np.float64)
    paid = np.asarray(costs, dtype=np.float64)
    scale = 1 / (turnover_t * haircut_reference_share)
    first, total = stocks[0], np.zeros(stocks.shape[1])
    reached, highest, tonnes, kept = (np.zeros_like(total) for _ in range(4))
    # In place: with many parcels each pass through memory costs more than its arithmetic.
    for date in range(len(weights)):
        np.multiply(live[date], stocks[date + 1], out=reached)
        reached -= first
        reached -= given[date]
        np.maximum(highest, reached, out=reached)
        np.subtract(reached, highest, out=tonnes)
        tonnes *= kept_share
        np.multiply(tonnes, scale, out=kept)
        np.power(kept, haircut_exponent, out=kept)
        kept *= haircut_reference_discount
        np.minimum(haircut_cap, kept, out=kept)
        np.subtract(1, kept, out=kept)
        tonnes *= kept
        tonnes *= weights[date]
        total += tonnes
        total -= paid[date] * factors[date]
        reached, highest = highest, reached
    return total


class Terms(NamedTuple):
    """What the forests of one valuation have in common: coefficients, market, number of draws."""

    growth_persistence: float
    confidence: float
    mean_severity: float
    discount_bounds: tuple[float, ...]
    discount_shares: tuple[float, ...]
    price: float
    price_drift: float
    price_sigma: float
    price_reversion: float
    """Speed towards long_run_price [1/yr]; 0 means geometric Brownian motion with price_drift."""
    long_run_price: float
    turnover_t: float
    haircut_reference_discount: float
    haircut_reference_share: float
    haircut_exponent: float
    haircut_cap: float
    fee_share: float
    discount_rate: float
    draws: int
    price_seed: int | None = None
    """Seed of the market, shared by all assets that must meet the same prices; each asset's own seed if not given."""
    rate_band: tuple[float, float] | None = None
    """Discount rates of the sensitivities [1/yr]; the rate itself if not given."""
    price_bump: float = 0.1
    survival_bump: float = 0.1


class Forest(NamedTuple):
    """One asset to be valued, with K verifications to come."""

    years: Sequence[float]
    """Verification dates from the as-of date, increasing. [yr]"""
    project_stocks: Sequence[float] | Array
    """Expected stock at the as-of date and at each verification, K+1 values. [tCO2e]"""
    baseline_stocks: Sequence[float] | Array
    """The same without the project, K+1 values. [tCO2e]"""
    emissions: Sequence[float] | Array
    """Project emissions since the as-of date at each verification, K values; leakage likewise. [tCO2e]"""
    leakage: Sequence[float] | Array
    costs: Sequence[float] | Array
    """Cost of each verification, K values. [CNY]"""
    growth_sigma: float
    sampling_width: float
    """Relative half-width U expected at verification [-]; it both varies the measured stock and costs the discount
    (S41). Permanent plots keep their error, so one draw serves all dates."""
    model_sigma: float
    """Spread of the biomass routes (S15), one draw for all dates. [-]"""
    event_frequency: float
    buffer_share: float
    seed: int
    issued_t: float = 0.0
    """Units issued and not retired, sold today at once (S173). [tCO2e]"""


def valuations(terms: Terms, forests: Sequence[Forest]) -> list[Valuation]:
    """Eq. (S86): Monte-Carlo value of assets, (S82) over draws of growth, sampling, model, reversal and price. [CNY]

    Forests are drawn and valued in blocks; each gets, bit for bit, what it would get alone. One that cannot be valued
    raises a ValueError for all. Memory: some dozens of arrays of BLOCK numbers for each date, however many forests.
    Source: this project.
    """
    found: dict[int, Valuation] = {}
    # Those of one calendar stand together, so that they meet the same paths of the price.
    calendars = [(len(one.years), *one.years) for one in forests]
    order = sorted(range(len(forests)), key=calendars.__getitem__)
    size = max(1, BLOCK // max(1, terms.draws))
    for _, alike in groupby(order, key=lambda place: calendars[place][0]):
        places = list(alike)
        for start in range(0, len(places), size):
            here = places[start : start + size]
            found.update(zip(here, _block(terms, [forests[place] for place in here]), strict=True))
    return [found[place] for place in range(len(forests))]


def _block(terms: Terms, forests: Sequence[Forest]) -> list[Valuation]:
    """Value a few forests with as many verifications each."""
    times = _dated([one.years for one in forests])
    stocks = _dated([one.project_stocks for one in forests])
    _check_shapes(times, stocks, terms.draws)
    nonnegative("project stock", stocks)
    growth_sigma, model_sigma, width, frequency, buffer_share = (
        np.array([getattr(one, name) for one in forests], dtype=np.float64)
        for name in ("growth_sigma", "model_sigma", "sampling_width", "event_frequency", "buffer_share")
    )
    nonnegative("sigma", np.array([*growth_sigma, *model_sigma, terms.price_sigma, terms.price_reversion]))
    nonnegative("price", np.array([terms.price, terms.long_run_price, terms.turnover_t]))
    baseline, emissions, leakage, paid = (
        _dated([getattr(one, name) for one in forests]) for name in ("baseline_stocks", "emissions", "leakage", "costs")
    )
    given = (baseline[1:] - baseline[0]) + emissions + leakage
    deduction = effective_deduction(width, terms.discount_bounds, terms.discount_shares)
    kept = net_issuable_tonnes(1.0, deduction, buffer_share)
    chances = event_probability(frequency, np.diff(times, axis=0, prepend=0.0))
    live_mean = expected_surviving_share(chances, terms.mean_severity)
    sampling = np.asarray(sampling_sigma(width, terms.confidence))
    drawn = _drawn(terms, forests, growth_sigma, sampling, model_sigma, chances)
    seeds = [one.seed if terms.price_seed is None else terms.price_seed for one in forests]
    prices, curve = _markets(terms, seeds, [tuple(one.years) for one in forests])

    # The highest removal reached up to each date says what is issuable (S79), of which what is sold is the steps.
    grown, expected = _grown(stocks, drawn.growth)
    today, live = stocks[0][:, None], drawn.live
    errors = drawn.sampling * drawn.model
    change = grown * live - today
    reached = _reached(errors, change, given)
    gross = reached.copy()
    gross[1:] -= reached[:-1]
    gross_mean = _mean(gross)
    tonnes_mean = kept * gross_mean
    market = (
        terms.haircut_reference_discount,
        terms.haircut_reference_share,
        terms.haircut_exponent,
        terms.haircut_cap,
    )
    haircuts = liquidity_haircut(turnover_share(tonnes_mean, terms.turnover_t), *market)
    net = (1 - haircuts) * (1 - fraction("fee", terms.fee_share))
    factors = discount_factor(terms.discount_rate, times)
    pv_costs = _ordered_sum(paid * factors)
    pv_issued = np.array(
        [float(issued_value(one.issued_t, terms.price, terms.turnover_t, *market, terms.fee_share)) for one in forests]
    )
    weights = kept * net * factors
    drawn_falls, mean_falls = _falls(weights[..., None] * prices), _falls(weights * curve)[..., None]

    # One row for each combination of sources let loose.
    values = np.empty((_ROWS, len(forests), terms.draws))
    values[_WHOLE] = _revenue(reached, drawn_falls)
    values[_WITHOUT_PRICE] = _revenue(reached, mean_falls)

    def let_loose(row: int, factor: Array | float, change: Array, falls: Array) -> None:
        values[row] = _revenue(_reached(factor, change, given), falls)

    let_loose(_WITHOUT_SAMPLING, drawn.model, change, drawn_falls)
    let_loose(_WITHOUT_MODEL, drawn.sampling, change, drawn_falls)
    change = expected * live - today
    let_loose(_WITHOUT_GROWTH, errors, change, drawn_falls)
    let_loose(_REVERSAL_ALONE, 1.0, change, mean_falls)
    change = grown * live_mean[..., None] - today
    let_loose(_WITHOUT_REVERSAL, errors, change, drawn_falls)
    let_loose(_GROWTH_ALONE, 1.0, change, mean_falls)
    change = expected * live_mean[..., None] - today
    let_loose(_PRICE_ALONE, 1.0, change, drawn_falls)
    let_loose(_SAMPLING_ALONE, drawn.sampling, change, mean_falls)
    let_loose(_MODEL_ALONE, drawn.model, change, mean_falls)
    grown -= today
    for row, share in ((_FEWER_TREES, 1 - terms.survival_bump), (_MORE_TREES, 1 + terms.survival_bump)):
        let_loose(row, errors, (today + share * grown) * live - today, drawn_falls)
    values += (pv_issued - pv_costs)[:, None]

    mean = _mean(values[: _MORE_TREES + 1])
    variances = _variances(values)
    sold = _mean(gross * prices) * kept * net
    forecast_mean = mean[_WHOLE] - pv_issued + pv_costs
    low, high = terms.rate_band or (terms.discount_rate, terms.discount_rate)
    ordered = np.sort(values[_WHOLE], axis=-1)
    given_up = deduction * gross_mean
    at_expectation = expected_values(
        stocks,
        live_mean,
        given,
        kept,
        curve,
        times,
        terms.turnover_t,
        *market,
        terms.fee_share,
        paid,
        terms.discount_rate,
    )

    def at_rate(rate: float) -> Array:
        return np.asarray(_ordered_sum((sold - paid) * discount_factor(rate, times)) + pv_issued)

    def at_price(change: float) -> Array:
        return np.asarray((1 + change) * (forecast_mean + pv_issued) - pv_costs)

    tonnes = kept * quantiles(np.sort(gross, axis=-1), QUANTILES)
    by_date = {
        "tonnes_gross_mean": gross_mean,
        "tonnes_uncertainty_mean": given_up,
        "tonnes_buffer_mean": buffer_share * (gross_mean - given_up),
        "tonnes_mean": tonnes_mean,
        **{f"tonnes_{name}": row for name, row in zip(_NAMES, tonnes, strict=True)},
    }
    worth = {
        "pv_mean": mean[_WHOLE],
        **{f"pv_{name}": row for name, row in zip(_NAMES, quantiles(ordered, QUANTILES), strict=True)},
        "pv_expected_shortfall": expected_shortfall(ordered, TAIL),
        "pv_at_expectation": at_expectation + pv_issued,
        "pv_issued": pv_issued,
        "pv_standard_error": np.sqrt(variances[_WHOLE] / terms.draws),
        "pv_costs": pv_costs,
    }
    moved = {
        "price_down": at_price(-terms.price_bump),
        "price_up": at_price(terms.price_bump),
        "pv_rate_low": at_rate(low),
        "pv_rate_high": at_rate(high),
        "survival_down": mean[_FEWER_TREES],
        "survival_up": mean[_MORE_TREES],
    }
    by_date_each, worth_each, moved_each = (
        _by_forest(by_date, TONNE_DECIMALS),
        _by_forest(worth, MONEY_DECIMALS),
        _by_forest(moved, MONEY_DECIMALS),
    )
    shares_each = _by_forest(
        {"years": times, "price_mean": np.broadcast_to(curve, times.shape), "haircut": haircuts}, SHARE_DECIMALS
    )
    alone, without = variances[_ALONE].T.tolist(), variances[_WITHOUT].T.tolist()
    whole = variances[_WHOLE].tolist()
    return [
        Valuation(
            **shares_each[place],
            **by_date_each[place],
            **worth_each[place],
            variance_shares=VarianceShares(*variance_shares(whole[place], alone[place], without[place])),
            sensitivities=Sensitivities(
                price_bump=terms.price_bump,
                rate_low=low,
                rate_high=high,
                survival_bump=terms.survival_bump,
                **moved_each[place],
            ),
            uncertainty_deduction=round(float(deduction[place]), SHARE_DECIMALS),
            buffer_share=round(one.buffer_share, SHARE_DECIMALS),
            seed=one.seed,
            price_seed=seeds[place],
            draws=terms.draws,
        )
        for place, one in enumerate(forests)
    ]


_NAMES = tuple(f"p{round(100 * probability):02}" for probability in QUANTILES)

# The rows of a block's values; the sources stand in the order of VarianceShares.
_WHOLE, _FEWER_TREES, _MORE_TREES = 0, 1, 2
_WITHOUT_GROWTH, _WITHOUT_SAMPLING, _WITHOUT_MODEL, _WITHOUT_REVERSAL, _WITHOUT_PRICE = 3, 4, 5, 6, 7
_GROWTH_ALONE, _SAMPLING_ALONE, _MODEL_ALONE, _REVERSAL_ALONE, _PRICE_ALONE = 8, 9, 10, 11, 12
_WITHOUT, _ALONE, _ROWS = slice(3, 8), slice(8, 13), 13


@dataclass(frozen=True)
class _Drawn:
    """What was drawn: dates by forests by draws, or forests by draws where one draw serves all dates."""

    growth: Array
    sampling: Array
    model: Array
    live: Array


def _dated(rows: Sequence[Sequence[float] | Array]) -> Array:
    """One column for each forest."""
    return np.ascontiguousarray(np.array(rows, dtype=np.float64).T)


def _grown(stocks: Array, growth: Array) -> tuple[Array, Array]:
    """Stock at each date if nothing were lost, as drawn and as expected, by (S77); the growth is used up. [tCO2e]"""
    grown, steps = growth, stock_increments(stocks)[..., None]
    expected = np.empty_like(steps)
    # The mean path adds up like the drawn ones, so that a source without spread changes no bit.
    before, level = stocks[0][:, None], stocks[0][:, None]
    for date, step in enumerate(steps):
        grown[date] *= step
        grown[date] += before
        before = grown[date]
        level = expected[date] = level + step
    return grown, expected


def _reached(factor: Array | float, change: Array, given: Array) -> Array:
    """Highest removal reached up to each date, (S78) and (S79). [tCO2e]"""
    reached = factor * change
    reached -= given[..., None]
    before: Array | float = 0.0
    for here in reached:
        np.maximum(before, here, out=here)
        before = here
    return reached


def _falls(weighted_prices: Array) -> Array:
    """Fall of the weighted price after each date: Σ (M_k-M_(k-1))·q_k = Σ M_k·(q_k-q_(k+1))."""
    falls = weighted_prices.copy()
    falls[:-1] -= weighted_prices[1:]
    return falls


def _revenue(reached: Array, falls: Array) -> Array:
    """What is earned by what is reached."""
    total = np.asarray(reached[0] * falls[0])
    for here, fall in zip(reached[1:], falls[1:], strict=True):
        total += here * fall
    return total


def _drawn(
    terms: Terms,
    forests: Sequence[Forest],
    growth_sigma: Array,
    sampling_error: Array,
    model_sigma: Array,
    chances: Array,
) -> _Drawn:
    """Factors of growth, sampling and model and the live share, as drawn for each asset from its own seed."""
    shape = (len(forests), terms.draws)
    shared = np.empty((3, *shape))
    weather, fires = np.empty((len(chances), *shape)), np.empty((len(chances), *shape))
    for place, one in enumerate(forests):
        # One stream, read date by date after what serves all dates: a longer horizon only appends, and as each source
        # takes its numbers whether it varies or not, changing one leaves the draws of the others alone.
        stream = np.random.Generator(np.random.PCG64(one.seed))
        for row in shared[:, place]:
            stream.standard_normal(out=row)
        for date in range(len(chances)):
            stream.standard_normal(out=weather[date, place])
            stream.random(out=fires[date, place])
    site, sampling, model = shared
    return _Drawn(
        growth_factors(site, weather, growth_sigma[:, None], terms.growth_persistence),
        unit_lognormal(sampling, sampling_error[:, None]),
        unit_lognormal(model, model_sigma[:, None]),
        surviving_share(fires, chances, terms.mean_severity),
    )


@lru_cache(maxsize=16)
def _market_normals(seed: int, dates: int, draws: int) -> Array:
    """Normals of the market; all assets of a register meet the same."""
    # The spawn key keeps the market apart from an asset that happens to have the same seed.
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(MARKET_KEY,)))
    normals = normal_draws(stream, dates, draws)
    normals.flags.writeable = False
    return normals


@lru_cache(maxsize=64)
def _market(
    seed: int,
    draws: int,
    years: tuple[float, ...],
    price: float,
    drift: float,
    sigma: float,
    reversion: float,
    long_run_price: float,
) -> tuple[Array, Array]:
    """Price paths and, as a column, the expected price; kept, as a register has few calendars of verification."""
    normals, times = _market_normals(seed, len(years), draws), np.array(years)
    if reversion > 0:
        curve = mean_reverting_price_mean(price, long_run_price, reversion, sigma, times)
        paths = mean_reverting_prices(price, long_run_price, reversion, sigma, times, normals)
    else:
        curve = lognormal_price_mean(price, drift, times)
        paths = lognormal_prices(price, drift, sigma, times, normals)
    paths, column = paths[:, None, :], curve[:, None]
    paths.flags.writeable = column.flags.writeable = False
    return paths, column


def _markets(terms: Terms, seeds: Sequence[int], calendars: Sequence[tuple[float, ...]]) -> tuple[Array, Array]:
    """Price paths, dates by forests by draws, and the expected prices; of one forest where all have the same."""
    t = terms
    process = (t.price, t.price_drift, t.price_sigma, t.price_reversion, t.long_run_price)
    met = list(zip(seeds, calendars, strict=True))
    markets = [_market(seed, t.draws, years, *process) for seed, years in (met[:1] if len(set(met)) == 1 else met)]
    if len(markets) == 1:
        return markets[0]
    return np.concatenate([paths for paths, _ in markets], axis=1), np.concatenate([mean for _, mean in markets], 1)


def _check_shapes(years: Array, stocks: Array, draws: int) -> None:
    if len(years) == 0 or np.any(np.diff(years, axis=0, prepend=0.0) <= 0):
        raise ValueError("verification dates must be positive and increasing")
    if stocks.shape != (len(years) + 1, years.shape[1]):
        raise ValueError("stocks must hold one value for the as-of date and one for each verification")
    if draws < 2:
        raise ValueError("a distribution needs at least two draws")


def _ordered_sum(values: Array) -> Array:
    total = values[0]
    for row in values[1:]:
        total = total + row
    return np.asarray(total)


def _mean(values: Array) -> Array:
    # Halves are laid on each other while that is even, then a running sum adds what is left one after the other: the
    # order of the sum is ours, whatever the vector unit of the processor.
    total = values
    while total.shape[-1] > 64 and total.shape[-1] % 2 == 0:
        half = total.shape[-1] // 2
        total = total[..., :half] + total[..., half:]
    return np.asarray(np.cumsum(total, axis=-1)[..., -1] / values.shape[-1])


def _variances(values: Array) -> Array:
    # Counted from the first value, so that equal values have no variance at all rather than a rounding error's.
    shifted = values - values[..., :1]
    shifted -= _mean(shifted)[..., None]
    shifted *= shifted
    return np.asarray(_mean(shifted) * (values.shape[-1] / (values.shape[-1] - 1)))


def _rounded(values: Array, decimals: int) -> Array:
    """Round like `round`, one by one. Only close to a half can the scaled value lie on the wrong side of it: there
    `round` itself decides. A zero loses its sign, which prints alike everywhere.
    """
    scale = 10.0**decimals
    scaled = values * scale
    nearest = np.rint(scaled)
    found = nearest / scale
    doubtful = np.abs(np.abs(scaled - nearest) - 0.5) <= 1e-9 + 1e-15 * np.abs(scaled)
    if np.any(doubtful):
        found[doubtful] = [round(value, decimals) for value in values[doubtful].tolist()]
    return np.asarray(found + 0.0)


def _by_forest(named: Mapping[str, Array], decimals: int) -> list[dict[str, Any]]:
    """The rounded numbers of each forest by name; the dates of a name as a tuple."""
    table = np.moveaxis(_rounded(np.stack(list(named.values())), decimals), -1, 0)
    dated = table.ndim > 2
    return [dict(zip(named, map(tuple, row) if dated else row, strict=True)) for row in table.tolist()]

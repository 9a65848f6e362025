"""Value today of the tonnes a forest will issue.        docs/equations/sink.md (S76)-(S86), (S170)-(S173)

C_k  stock at verification k [tCO2e]      S_k  tonnes issuable at k [tCO2e]      P_k  price at k [CNY/tCO2e]
h_k  liquidity haircut [-]                r    discount rate [1/yr]              K_k  cost of verification [CNY]

Nothing is sold between verifications. Arrays have dates along the first axis and draws along the second. Sums run
along one axis in a fixed order and results are rounded to TONNE_DECIMALS, MONEY_DECIMALS and SHARE_DECIMALS, so that
the same inputs and seed give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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


def net_issuable_tonnes(issuable: ArrayLike, deduction: float, buffer_share: float) -> Array:
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
    alone = np.asarray(variances_alone, dtype=np.float64)
    added = np.maximum(0.0, total_variance - np.asarray(variances_without, dtype=np.float64))
    contributions = 0.5 * (alone + added)
    total = float(np.cumsum(contributions)[-1])
    if total <= 0:
        return (0.0,) * len(alone)
    shares = [round(float(share), SHARE_DECIMALS) for share in contributions / total]
    largest = shares.index(max(shares))
    others = sum(share for source, share in enumerate(shares) if source != largest)
    shares[largest] = round(1.0 - others, SHARE_DECIMALS)
    return tuple(shares)


def growth_factors(common_normals: Array, period_normals: Array, growth_sigma: float, persistence: float) -> Array:
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

    Draws rise along the last axis of one or two; the quantiles come along the first.
    Source: Hyndman and Fan 1996, definition 7, from memory; the default of numpy.

    >>> quantiles(np.array([1.0, 2.0, 4.0]), (0.5, 0.75)).tolist()
    [2.0, 3.0]
    """
    places = np.asarray(probabilities) * (ordered.shape[-1] - 1)
    lower = np.floor(places).astype(np.intp)
    upper = np.minimum(lower + 1, ordered.shape[-1] - 1)
    below, above = ordered[..., lower], ordered[..., upper]
    return np.asarray((below + (places - lower) * (above - below)).T)


def expected_shortfall(ordered: Array, tail: float) -> float:
    """Eq. (S171): mean of the lower tail of ordered draws, Σ_(i<m) x_i/m with m = max(1, ⌊p·n⌋). [unit of x]

    Never above the quantile at p.
    Source: textbook, expected shortfall; the empirical tail.

    >>> expected_shortfall(np.array([1.0, 3.0, 5.0, 7.0]), 0.5)
    2.0
    """
    # The slack keeps the last draw where p·n is a whole number but for a rounding error.
    count = max(1, int(fraction("tail", tail) * ordered.shape[-1] + 1e-9))
    return float(_mean(ordered[:count]))


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


def valuation(
    *,
    years: ArrayLike,
    project_stocks: ArrayLike,
    baseline_stocks: ArrayLike,
    emissions: ArrayLike,
    leakage: ArrayLike,
    costs: ArrayLike,
    growth_sigma: float,
    growth_persistence: float,
    sampling_width: float,
    confidence: float,
    model_sigma: float,
    event_frequency: float,
    mean_severity: float,
    discount_bounds: ArrayLike,
    discount_shares: ArrayLike,
    buffer_share: float,
    price: float,
    price_drift: float,
    price_sigma: float,
    price_reversion: float,
    long_run_price: float,
    turnover_t: float,
    haircut_reference_discount: float,
    haircut_reference_share: float,
    haircut_exponent: float,
    haircut_cap: float,
    fee_share: float,
    discount_rate: float,
    seed: int,
    draws: int,
    price_seed: int | None = None,
    issued_t: float = 0.0,
    rate_band: tuple[float, float] | None = None,
    price_bump: float = 0.1,
    survival_bump: float = 0.1,
) -> Valuation:
    """Eq. (S86): Monte-Carlo value of an asset, (S82) over draws of growth, sampling, model, reversal and price. [CNY]

    years            verification dates from the as-of date, increasing [yr], K of them
    project_stocks   expected stock at the as-of date and at each verification [tCO2e], K+1 values
    baseline_stocks  the same without the project [tCO2e], K+1 values
    emissions        project emissions since the as-of date at each verification [tCO2e], K values; leakage likewise
    costs            cost of each verification [CNY], K values
    sampling_width   relative half-width U expected at verification [-]; it both varies the measured stock and costs
                     the discount (S41). Permanent plots keep their error, so one draw serves all dates
    model_sigma      spread of the biomass routes (S15), one draw for all dates [-]
    price_reversion  speed towards long_run_price [1/yr]; 0 means geometric Brownian motion with price_drift
    price_seed       seed of the market, shared by all assets that must meet the same prices; seed if not given
    issued_t         units issued and not retired, sold today at once [tCO2e] (S173)
    rate_band        discount rates of the sensitivities [1/yr]; the rate itself if not given

    Source: this project.
    """
    times = np.asarray(years, dtype=np.float64)
    stocks = np.asarray(nonnegative("project stock", np.asarray(project_stocks, dtype=np.float64)))
    _check_shapes(times, stocks, draws)
    nonnegative("sigma", np.array([growth_sigma, model_sigma, price_sigma, price_reversion]))
    nonnegative("price", np.array([price, long_run_price, turnover_t]))
    baseline = np.asarray(baseline_stocks, dtype=np.float64)
    given = (baseline[1:] - baseline[0]) + np.asarray(emissions) + np.asarray(leakage)
    paid = np.asarray(costs, dtype=np.float64)
    market_seed = seed if price_seed is None else price_seed
    deduction = float(effective_deduction(sampling_width, discount_bounds, discount_shares))
    kept = float(net_issuable_tonnes(1.0, deduction, buffer_share))
    chances = event_probability(event_frequency, np.diff(times, prepend=0.0))
    live_mean = expected_surviving_share(chances, mean_severity)
    reached = _reached(
        stocks,
        given,
        _forest(
            seed,
            draws,
            growth_sigma,
            growth_persistence,
            sampling_sigma(sampling_width, confidence),
            model_sigma,
            chances,
            mean_severity,
        ),
        live_mean,
        survival_bump,
    )
    prices, curve = _market(
        market_seed, draws, tuple(times.tolist()), price, price_drift, price_sigma, price_reversion, long_run_price
    )

    gross = reached[:, _WHOLE].copy()
    gross[1:] -= reached[:-1, _WHOLE]
    gross_mean = _mean(gross)
    tonnes_mean = kept * gross_mean
    market = (haircut_reference_discount, haircut_reference_share, haircut_exponent, haircut_cap)
    haircuts = liquidity_haircut(turnover_share(tonnes_mean, turnover_t), *market)
    net = (1 - haircuts) * (1 - fraction("fee", fee_share))
    factors = discount_factor(discount_rate, times)
    pv_costs = float(_ordered_sum(paid * factors))
    pv_issued = float(issued_value(issued_t, price, turnover_t, *market, fee_share))

    weights = (kept * net * factors)[:, None]
    values = _revenues(reached[:, :_PRICED], _steps(weights * prices), curved=reached[:, _PRICED:], at=weights * curve)
    values += pv_issued - pv_costs
    variances = _variances(values)
    shares = variance_shares(float(variances[_WHOLE]), variances[_ALONE].tolist(), variances[_WITHOUT].tolist())

    mean = _mean(values[: _MORE_TREES + 1])
    sold = _mean(gross * prices) * kept * net
    forecast_mean = float(mean[_WHOLE]) - pv_issued + pv_costs
    low, high = rate_band or (discount_rate, discount_rate)
    ordered = np.sort(values[_WHOLE])
    value_quantiles = _rounded(quantiles(ordered, QUANTILES), MONEY_DECIMALS)
    tonne_quantiles = [_rounded(row, TONNE_DECIMALS) for row in kept * quantiles(np.sort(gross, axis=1), QUANTILES)]
    given_up = deduction * gross_mean
    expected = expected_values(
        stocks[:, None],
        live_mean,
        given,
        kept,
        curve[:, 0],
        times,
        turnover_t,
        *market,
        fee_share,
        paid,
        discount_rate,
    )

    def money(value: float) -> float:
        return round(value, MONEY_DECIMALS) + 0.0

    def at_rate(rate: float) -> float:
        return money(float(_ordered_sum((sold - paid) * discount_factor(rate, times))) + pv_issued)

    def at_price(change: float) -> float:
        return money((1 + change) * (forecast_mean + pv_issued) - pv_costs)

    return Valuation(
        years=_rounded(times, SHARE_DECIMALS),
        tonnes_gross_mean=_rounded(gross_mean, TONNE_DECIMALS),
        tonnes_uncertainty_mean=_rounded(given_up, TONNE_DECIMALS),
        tonnes_buffer_mean=_rounded(buffer_share * (gross_mean - given_up), TONNE_DECIMALS),
        tonnes_mean=_rounded(tonnes_mean, TONNE_DECIMALS),
        tonnes_p05=tonne_quantiles[0],
        tonnes_p10=tonne_quantiles[1],
        tonnes_p25=tonne_quantiles[2],
        tonnes_p50=tonne_quantiles[3],
        tonnes_p75=tonne_quantiles[4],
        tonnes_p90=tonne_quantiles[5],
        tonnes_p95=tonne_quantiles[6],
        price_mean=_rounded(curve[:, 0], SHARE_DECIMALS),
        haircut=_rounded(haircuts, SHARE_DECIMALS),
        pv_mean=money(float(mean[_WHOLE])),
        pv_p05=value_quantiles[0],
        pv_p10=value_quantiles[1],
        pv_p25=value_quantiles[2],
        pv_p50=value_quantiles[3],
        pv_p75=value_quantiles[4],
        pv_p90=value_quantiles[5],
        pv_p95=value_quantiles[6],
        pv_expected_shortfall=money(expected_shortfall(ordered, TAIL)),
        pv_at_expectation=money(float(expected[0]) + pv_issued),
        pv_issued=money(pv_issued),
        pv_standard_error=money(float(np.sqrt(variances[_WHOLE] / draws))),
        pv_costs=money(pv_costs),
        variance_shares=VarianceShares(*shares),
        sensitivities=Sensitivities(
            price_bump=price_bump,
            price_down=at_price(-price_bump),
            price_up=at_price(price_bump),
            rate_low=low,
            pv_rate_low=at_rate(low),
            rate_high=high,
            pv_rate_high=at_rate(high),
            survival_bump=survival_bump,
            survival_down=money(float(mean[_FEWER_TREES])),
            survival_up=money(float(mean[_MORE_TREES])),
        ),
        uncertainty_deduction=round(deduction, SHARE_DECIMALS),
        buffer_share=round(buffer_share, SHARE_DECIMALS),
        seed=seed,
        price_seed=market_seed,
        draws=draws,
    )


# One row for each combination of sources let loose. The rows before _PRICED meet the drawn prices, the others the
# expected ones; the last two are made of rows that are there already.
_WHOLE, _FEWER_TREES, _MORE_TREES = 0, 1, 2
_WITHOUT_GROWTH, _WITHOUT_SAMPLING, _WITHOUT_MODEL, _WITHOUT_REVERSAL, _PRICE_ALONE = 3, 4, 5, 6, 7
_PRICED = 8
_GROWTH_ALONE, _SAMPLING_ALONE, _MODEL_ALONE, _REVERSAL_ALONE, _WITHOUT_PRICE = 8, 9, 10, 11, 12
_ROWS = 13
_ALONE = [_GROWTH_ALONE, _SAMPLING_ALONE, _MODEL_ALONE, _REVERSAL_ALONE, _PRICE_ALONE]
_WITHOUT = [_WITHOUT_GROWTH, _WITHOUT_SAMPLING, _WITHOUT_MODEL, _WITHOUT_REVERSAL, _WITHOUT_PRICE]


@dataclass(frozen=True)
class _Forest:
    """What was drawn for one asset: dates by draws, or draws alone where one draw serves all dates."""

    growth: Array
    sampling: Array
    model: Array
    live: Array


def _reached(stocks: Array, given: Array, drawn: _Forest, live_mean: Array, bump: float) -> Array:
    """Highest removal reached up to each date, (S77) to (S79), for each row: dates by rows by draws. [tCO2e]"""
    dates, draws = drawn.growth.shape
    reached = np.empty((dates, _ROWS, draws))
    before = np.zeros((_ROWS, draws))
    today = stocks[0]
    errors = drawn.sampling * drawn.model
    # The mean path adds up like the drawn ones, so that a source without spread changes no bit.
    grown, expected = np.full(draws, today), today
    for date, step in enumerate(stock_increments(stocks)):
        grown += step * drawn.growth[date]
        expected = expected + step
        live, owed = drawn.live[date], given[date]
        change = grown * live - today
        without_growth = expected * live - today
        without_reversal = grown * live_mean[date] - today
        certain = expected * live_mean[date] - today
        here = reached[date]
        np.multiply(errors, change, out=here[_WHOLE])
        for row, share in ((_FEWER_TREES, 1 - bump), (_MORE_TREES, 1 + bump)):
            np.multiply(errors, (today + share * (grown - today)) * live - today, out=here[row])
        np.multiply(errors, without_growth, out=here[_WITHOUT_GROWTH])
        np.multiply(drawn.model, change, out=here[_WITHOUT_SAMPLING])
        np.multiply(drawn.sampling, change, out=here[_WITHOUT_MODEL])
        np.multiply(errors, without_reversal, out=here[_WITHOUT_REVERSAL])
        here[_PRICE_ALONE] = certain
        here[_GROWTH_ALONE] = without_reversal
        np.multiply(drawn.sampling, certain, out=here[_SAMPLING_ALONE])
        np.multiply(drawn.model, certain, out=here[_MODEL_ALONE])
        here[_REVERSAL_ALONE] = without_growth
        here[_WITHOUT_PRICE] = here[_WHOLE]
        here -= owed
        np.maximum(before, here, out=here)
        before = here
    return reached


def _steps(weighted_prices: Array) -> Array:
    """Fall of the weighted price after each date: Σ (M_k-M_(k-1))·q_k = Σ M_k·(q_k-q_(k+1))."""
    steps = weighted_prices.copy()
    steps[:-1] -= weighted_prices[1:]
    return steps


def _revenues(reached: Array, steps: Array, *, curved: Array, at: Array) -> Array:
    """Revenue of each row and draw: drawn prices for the rows of `reached`, expected ones for those of `curved`."""
    priced = reached.shape[1]
    total = np.empty((priced + curved.shape[1], reached.shape[2]))
    sold, rest = total[:priced], total[priced:]
    falls = _steps(at)[:, 0]
    np.multiply(reached[0], steps[0], out=sold)
    np.multiply(curved[0], falls[0], out=rest)
    for date in range(1, len(steps)):
        sold += reached[date] * steps[date]
        rest += curved[date] * falls[date]
    return total


def _forest(
    seed: int,
    draws: int,
    growth_sigma: float,
    growth_persistence: float,
    sampling_error: float,
    model_sigma: float,
    chances: Array,
    mean_severity: float,
) -> _Forest:
    """Factors of growth, sampling and model and the live share, as drawn for one asset."""
    # One stream, read date by date after what serves all dates: a longer horizon only appends, and as each source
    # takes its numbers whether it varies or not, changing one leaves the draws of the others alone.
    stream = np.random.Generator(np.random.PCG64(seed))
    site, sampling, model = stream.standard_normal((3, draws))
    weather, fires = np.empty((len(chances), draws)), np.empty((len(chances), draws))
    for date in range(len(chances)):
        stream.standard_normal(out=weather[date])
        stream.random(out=fires[date])
    return _Forest(
        growth_factors(site, weather, growth_sigma, growth_persistence),
        unit_lognormal(sampling, sampling_error),
        unit_lognormal(model, model_sigma),
        surviving_share(fires, chances, mean_severity),
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
    column = curve[:, None]
    paths.flags.writeable = column.flags.writeable = False
    return paths, column


def _check_shapes(years: Array, stocks: Array, draws: int) -> None:
    if years.ndim != 1 or len(years) == 0 or years[0] <= 0 or np.any(np.diff(years) <= 0):
        raise ValueError("verification dates must be positive and increasing")
    if stocks.shape != (len(years) + 1,):
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
    shifted = values - values[:, :1]
    shifted -= _mean(shifted)[:, None]
    shifted *= shifted
    return np.asarray(_mean(shifted) * (values.shape[1] / (values.shape[1] - 1)))


def _rounded(values: Array, decimals: int) -> tuple[float, ...]:
    # Adding zero turns a negative zero into a plain one, which prints alike everywhere.
    return tuple(round(value, decimals) + 0.0 for value in values.tolist())

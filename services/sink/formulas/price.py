"""Price of a tonne over time and what a block loses when it is sold.  docs/equations/sink.md (S54)-(S64), (S173)-(S177)

P  price [CNY/tCO2e]      μ  drift [1/yr]      σ  volatility [1/√yr]      κ  speed of reversion [1/yr]

Paths have dates along the first axis and draws along the second. Normals are an argument, so that two valuations
made with the same normals meet the same market.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative


def mean_price(turnover: Numbers, tonnes: Numbers) -> Numbers:
    """Eq. (S54): mean price of a market over a period, turnover/volume. [CNY/tCO2e]

    Source: arithmetic on the annual bulletin 2021 of the national exchange (cneeex.com).

    >>> round(mean_price(7_661_230_022.99, 178_789_350), 4)
    42.8506
    """
    return turnover / tonnes


def price_change(earlier: Numbers, later: Numbers) -> Numbers:
    """Eq. (S55): simple change of a price, 100·(P2/P1-1). [%]

    Source: market bulletins lvxunhk.com and gxtzh.net print -35.06 % for 2025.

    >>> round(price_change(96.03, 62.36), 2)
    -35.06
    """
    return 100 * (later / earlier - 1)


def simple_return(log_return: Numbers) -> NDArray[np.float64]:
    """Eq. (S56): simple return equal to a log return, exp(x)-1. [-]

    Source: definition; a log return of -0.45 is a fall of 36 %, not of 45 %.

    >>> round(float(simple_return(-0.45)), 4)
    -0.3624
    """
    return np.asarray(np.expm1(log_return))


def volatility(log_returns: ArrayLike) -> float:
    """Eq. (S57): volatility of yearly log returns, sample standard deviation. [1/√yr]

    Source: definition.

    >>> round(volatility([0.03, 0.35, 0.20, -0.45]), 3)
    0.347
    """
    return float(np.std(np.asarray(log_returns, dtype=np.float64), ddof=1))


def normal_draws(generator: np.random.Generator, dates: int, draws: int) -> NDArray[np.float64]:
    """Eq. (S58): independent standard normals, z ~ N(0, 1), dates by draws. [-]

    A longer horizon only appends dates, so the earlier ones keep their market.
    Source: definition.

    >>> normal_draws(np.random.default_rng(1), 3, 2).shape
    (3, 2)
    """
    return generator.standard_normal((dates, draws))


def lognormal_prices(
    price: float, drift: float, sigma: float, years: ArrayLike, normals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Eq. (S59): price paths by geometric Brownian motion, P·exp(Σ (μ-σ²/2)·Δt+σ·√Δt·z). [CNY/tCO2e]

    Source: textbook, geometric Brownian motion.

    >>> lognormal_prices(70.0, 0.0, 0.0, [5.0, 10.0], np.zeros((2, 1))).ravel().round(6).tolist()
    [70.0, 70.0]
    """
    steps = np.diff(np.asarray(years, dtype=np.float64), prepend=0.0)[:, None]
    shocks = (drift - 0.5 * sigma * sigma) * steps + sigma * np.sqrt(steps) * normals
    return np.asarray(price * np.exp(np.cumsum(shocks, axis=0)))


def lognormal_price_mean(price: float, drift: float, years: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S60): expected price under (S59), P·exp(μ·t). [CNY/tCO2e]

    Source: textbook, geometric Brownian motion.

    >>> lognormal_price_mean(70.0, 0.0, [5.0]).tolist()
    [70.0]
    """
    return np.asarray(price * np.exp(drift * np.asarray(years, dtype=np.float64)))


def mean_reverting_prices(
    price: float, long_run_price: float, reversion: float, sigma: float, years: ArrayLike, normals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Eq. (S61): price paths whose logarithm reverts, x' = m+(x-m)·e^(-κΔt)+σ·√((1-e^(-2κΔt))/2κ)·z. [CNY/tCO2e]

    m = ln(long_run_price)-σ²/4κ, so that the long-run mean price is the one named.
    Source: textbook, Ornstein-Uhlenbeck process of the logarithm, exact discretisation.

    >>> mean_reverting_prices(70.0, 70.0, 0.3, 0.0, [5.0], np.zeros((1, 1))).round(6).tolist()
    [[70.0]]
    """
    if reversion <= 0:
        raise ValueError("the speed of reversion must be positive")
    steps = np.diff(np.asarray(years, dtype=np.float64), prepend=0.0)
    centre = np.log(long_run_price) - sigma * sigma / (4 * reversion)
    spreads = sigma * np.sqrt(-np.expm1(-2 * reversion * steps) / (2 * reversion))
    memories = np.exp(-reversion * steps)
    logs = np.empty_like(normals)
    previous = np.full(normals.shape[1], np.log(price))
    for date in range(len(steps)):
        previous = centre + (previous - centre) * memories[date] + spreads[date] * normals[date]
        logs[date] = previous
    return np.asarray(np.exp(logs))


def mean_reverting_price_mean(
    price: float, long_run_price: float, reversion: float, sigma: float, years: ArrayLike
) -> NDArray[np.float64]:
    """Eq. (S62): expected price under (S61), exp(m+(ln P-m)·e^(-κt)+σ²·(1-e^(-2κt))/4κ). [CNY/tCO2e]

    Source: textbook, Ornstein-Uhlenbeck process of the logarithm.

    >>> mean_reverting_price_mean(90.0, 60.0, 0.5, 0.2, [100.0]).round(6).tolist()
    [60.0]
    """
    if reversion <= 0:
        raise ValueError("the speed of reversion must be positive")
    times = np.asarray(years, dtype=np.float64)
    centre = np.log(long_run_price) - sigma * sigma / (4 * reversion)
    middle = centre + (np.log(price) - centre) * np.exp(-reversion * times)
    variance = sigma * sigma * -np.expm1(-2 * reversion * times) / (2 * reversion)
    return np.asarray(np.exp(middle + 0.5 * variance))


def turnover_share(block_t: Numbers, turnover_t: Numbers) -> Numbers:
    """Eq. (S63): size of a block against a year's trade, block/turnover. [-]

    Source: arithmetic.

    >>> round(turnover_share(100_000, 8_844_100), 6)
    0.011307
    """
    return nonnegative("block", block_t) / turnover_t


def market_depth(turnover_t: Numbers, cap_share: float, obliged_t: float) -> NDArray[np.float64]:
    """Eq. (S179): offsets that the market takes in a year, min(T, q·E), E emissions of the obliged. [tCO2e/yr]

    Source: this project; what was traded, and no more than the obliged may surrender under the offset cap.

    >>> [float(market_depth(8_844_100, q, 8e9)) for q in (0.05, 0.001)]
    [8844100.0, 8000000.0]
    """
    return np.minimum(nonnegative("turnover", turnover_t), cap_share * obliged_t)


def liquidity_haircut(
    turnover_share: Numbers, reference_discount: float, reference_share: float, exponent: float, cap: float
) -> NDArray[np.float64]:
    """Eq. (S64): price given up to sell a block within the year, min(cap, d·(share/share_ref)^e). [-]

    Source: this project; concave in size, anchored on the largest block discount seen.

    >>> round(float(liquidity_haircut(0.011307, 0.16, 0.10, 0.5, 0.5)), 4)
    0.0538
    """
    relative = nonnegative("turnover share", turnover_share) / reference_share
    return np.asarray(np.minimum(cap, reference_discount * relative**exponent))


def issued_value(
    issued_t: Numbers,
    price: Numbers,
    turnover_t: float,
    reference_discount: float,
    reference_share: float,
    exponent: float,
    cap: float,
    fee_share: float,
) -> NDArray[np.float64]:
    """Eq. (S173): value of units issued and not retired, I·P·(1-h)·(1-fee) with h of (S64) at I and P today's. [CNY]

    They are certain and at hand: sold today in one block, they wait for no verification and pay for none.
    Source: this project.

    >>> round(float(issued_value(1000.0, 70.0, 1e12, 0.16, 0.1, 0.5, 0.5, 0.03)), 0)
    67899.0
    """
    haircut = liquidity_haircut(
        turnover_share(issued_t, turnover_t), reference_discount, reference_share, exponent, cap
    )
    return np.asarray(issued_t * price * (1 - haircut) * (1 - fraction("fee", fee_share)))


@dataclass(frozen=True)
class PriceFit:
    """A process fitted to a dated series by maximum likelihood; each estimate with its standard error."""

    process: str
    observations: int
    years: float
    """From the first price to the last. [yr]"""
    spot_price: float
    """The last price. [CNY/tCO2e]"""
    long_run_price: float
    """Mean the price tends to; the last price where it tends to none. [CNY/tCO2e]"""
    long_run_price_error: float
    reversion: float
    """[1/yr]"""
    reversion_error: float
    volatility: float
    """[1/√yr]"""
    volatility_error: float
    drift: float
    """[1/yr]"""
    drift_error: float
    log_likelihood: float
    """Of the logarithms of the prices after the first."""
    correlation: float
    """Of the logarithms of two prices, one year from today and two. [-]"""


def log_correlation(reversion: float, first: float, second: float) -> float:
    """Eq. (S174): correlation of the logs at t < s, e^(-κ(s-t))·√((1-e^(-2κt))/(1-e^(-2κs))); √(t/s) for κ = 0. [-]

    Both processes are seen from today, when the price is known.
    Source: textbook, Ornstein-Uhlenbeck process.

    >>> round(log_correlation(0.0, 1.0, 4.0), 3), round(log_correlation(0.5, 1.0, 2.0), 3)
    (0.5, 0.519)
    """
    if not 0 < first <= second:
        raise ValueError("the first date must be positive and not after the second")
    if reversion == 0:
        return float(np.sqrt(first / second))
    spread = np.expm1(-2 * reversion * first) / np.expm1(-2 * reversion * second)
    return float(np.exp(-reversion * (second - first)) * np.sqrt(spread))


def lognormal_fit(years: ArrayLike, prices: ArrayLike) -> PriceFit:
    """Eq. (S175): maximum likelihood of (S59), ν = ln(P_n/P_0)/T, σ² = Σ(r-ν·Δ)²/Δ/n, μ = ν+σ²/2. [1/yr and 1/√yr]

    Errors: σ/√T of ν, σ/√(2n) of σ. Dates may lie apart by any steps.
    Source: textbook, Gaussian increments.

    >>> lognormal_fit([0.0, 1.0, 2.0], [50.0, 60.0, 72.0]).volatility < 1e-9
    True
    """
    times, logs = _series(years, prices, 3)
    steps, returns = np.diff(times), np.diff(logs)
    span, count = float(times[-1] - times[0]), len(returns)
    slope = float(logs[-1] - logs[0]) / span
    variance = float(np.mean((returns - slope * steps) ** 2 / steps))
    sigma = float(np.sqrt(variance))
    sigma_error = sigma / np.sqrt(2 * count)
    spot = float(np.exp(logs[-1]))
    with np.errstate(divide="ignore"):
        likelihood = -0.5 * float(np.sum(np.log(2 * np.pi * variance * steps))) - 0.5 * count
    return PriceFit(
        process="lognormal",
        observations=len(logs),
        years=span,
        spot_price=spot,
        long_run_price=spot,
        long_run_price_error=0.0,
        reversion=0.0,
        reversion_error=0.0,
        volatility=sigma,
        volatility_error=float(sigma_error),
        drift=slope + 0.5 * variance,
        drift_error=float(np.hypot(sigma / np.sqrt(span), sigma * sigma_error)),
        log_likelihood=likelihood,
        correlation=log_correlation(0.0, 1.0, 2.0),
    )


def mean_reverting_log_likelihood(
    years: ArrayLike, prices: ArrayLike, reversion: float, centre: float, sigma: float
) -> float:
    """Eq. (S176): log-likelihood of (S61), -½·Σ (ln(2π·v)+(x'-m-(x-m)·a)²/v), a = e^(-κΔ), v = σ²·(1-a²)/2κ. [-]

    centre is m, the mean of the logarithm; the first price is given.
    Source: textbook, Gaussian transitions of the Ornstein-Uhlenbeck process on irregular dates.

    >>> round(mean_reverting_log_likelihood([0.0, 1.0], [60.0, 60.0], 1.0, float(np.log(60.0)), 1.0), 4)
    -0.4997
    """
    times, logs = _series(years, prices, 2)
    decays = np.exp(-reversion * np.diff(times))
    variances = sigma * sigma * (1 - decays * decays) / (2 * reversion)
    misses = logs[1:] - centre - (logs[:-1] - centre) * decays
    return float(-0.5 * np.sum(np.log(2 * np.pi * variances) + misses * misses / variances))


def mean_reverting_fit(years: ArrayLike, prices: ArrayLike) -> PriceFit:
    """Eq. (S177): maximum likelihood of (S61): κ by search, m and σ in closed form; errors from -∂²L, inverted. [1/yr]

    The long-run price is e^(m+σ²/4κ), its error by the delta method. A short series makes the speed look greater than
    it is, by about 4/T, which is within its error.
    Source: textbook, profile likelihood and observed information.

    >>> mean_reverting_fit([0.0, 1.0, 2.0, 3.0, 4.0], [60.0, 80.0, 50.0, 70.0, 65.0]).reversion > 0
    True
    """
    times, logs = _series(years, prices, 4)
    steps = np.diff(times)
    # The search runs over the logarithm of the speed, from a memory of centuries to one of a day, ever finer.
    low, high = np.log(_SLOWEST), np.log(_FASTEST)
    for _ in range(12):
        grid = np.linspace(low, high, 41)
        profile = [_profiled(logs, steps, float(speed))[0] for speed in np.exp(grid)]
        best = int(np.argmax(profile))
        low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    kappa = float(np.exp(grid[best]))
    if not 2 * _SLOWEST < kappa < _FASTEST / 2:
        raise ValueError("the series shows no reversion that can be measured")
    likelihood, centre, sigma = _profiled(logs, steps, kappa)
    covariance = _covariance(times, prices, np.array([kappa, centre, np.log(sigma)]))
    long_run = float(np.exp(centre + sigma * sigma / (4 * kappa)))
    spread = sigma * sigma / (4 * kappa)
    slopes = long_run * np.array([-spread / kappa, 1.0, 2 * spread])
    return PriceFit(
        process="mean_reverting",
        observations=len(logs),
        years=float(times[-1] - times[0]),
        spot_price=float(np.exp(logs[-1])),
        long_run_price=long_run,
        long_run_price_error=float(np.sqrt(slopes @ covariance @ slopes)),
        reversion=kappa,
        reversion_error=float(np.sqrt(covariance[0, 0])),
        volatility=sigma,
        volatility_error=float(sigma * np.sqrt(covariance[2, 2])),
        drift=0.0,
        drift_error=0.0,
        log_likelihood=likelihood,
        correlation=log_correlation(kappa, 1.0, 2.0),
    )


_SLOWEST, _FASTEST = 0.005, 1000.0


def _series(years: ArrayLike, prices: ArrayLike, fewest: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times, levels = np.asarray(years, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    if times.shape != levels.shape or times.ndim != 1 or len(times) < fewest:
        raise ValueError(f"a fit needs {fewest} dated prices")
    if np.any(np.diff(times) <= 0):
        raise ValueError("dates must rise")
    if not np.all(levels > 0):
        raise ValueError("prices must be positive")
    return times, np.log(levels)


def _profiled(logs: NDArray[np.float64], steps: NDArray[np.float64], reversion: float) -> tuple[float, float, float]:
    """Log-likelihood at the best centre and sigma for a speed, and the two."""
    decays = np.exp(-reversion * steps)
    spreads = -np.expm1(-2 * reversion * steps) / (2 * reversion)
    pulls, rest = -np.expm1(-reversion * steps), logs[1:] - decays * logs[:-1]
    centre = float(np.sum(pulls * rest / spreads) / np.sum(pulls * pulls / spreads))
    variance = float(np.mean((rest - centre * pulls) ** 2 / spreads))
    if variance <= 0:
        raise ValueError("a price that never moves tells nothing of its spread")
    likelihood = -0.5 * float(np.sum(np.log(2 * np.pi * variance * spreads))) - 0.5 * len(steps)
    return likelihood, centre, float(np.sqrt(variance))


def _covariance(times: ArrayLike, prices: ArrayLike, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the observed information in speed, centre and log sigma, by central differences."""
    widths = 1e-4 * np.array([at[0], 1.0, 1.0])

    def likelihood(*moves: int) -> float:
        kappa, centre, log_sigma = at + widths * np.array(moves)
        return mean_reverting_log_likelihood(times, prices, kappa, centre, float(np.exp(log_sigma)))

    information = np.empty((3, 3))
    unit = np.eye(3, dtype=int)
    for row in range(3):
        for column in range(3):
            crossed = sum(
                one * other * likelihood(*(one * unit[row] + other * unit[column]))
                for one in (1, -1)
                for other in (1, -1)
            )
            information[row, column] = -crossed / (4 * widths[row] * widths[column])
    covariance = np.linalg.inv(information)
    if not np.all(np.diag(covariance) > 0):
        raise ValueError("the series shows no reversion that can be measured")
    return np.asarray(covariance)

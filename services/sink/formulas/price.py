"""Price of a tonne over time and what a block loses when it is sold.        docs/equations/sink.md (S54)-(S64), (S173)-(S179)

P  price [CNY/tCO2e]      μ  drift [1/yr]      σ  volatility [1/√yr]      κ  speed of reversion [1/yr]

Paths have dates along the first axis and draws along the second. Normals are an argument, so that two valuations
made with the same normals meet the same market.
"""

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

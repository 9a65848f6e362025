"""From a tariff's rate to the premium that is charged.        docs/equations/insurance.md (I124)-(I133)"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Numbers = float | Array
Whole = npt.NDArray[np.int64]


def replanting_sum(area_mu: float, per_mu: int) -> int:
    """Eq. (I124): what planting a forest again costs, area·cost per mu, rounded down. [fen]

    Source: forest insurance on replanting cost as reported for several provinces. Verified: secondary.

    >>> replanting_sum(area_mu=1500.0, per_mu=80_000)
    120000000
    """
    if area_mu < 0 or per_mu < 0:
        raise ValueError(f"no replanting cost of {area_mu} mu at {per_mu}")
    return int(round(area_mu * per_mu, 6))


def units_sum(tonnes: float, price: int) -> int:
    """Eq. (I125): what carbon units are insured for, tonnes·agreed price, rounded down. [fen]

    Source: press on carbon covers with an agreed price per tonne. Verified: secondary.

    >>> units_sum(tonnes=13_626.0, price=3_500)
    47691000
    """
    if tonnes < 0 or price < 0:
        raise ValueError(f"no sum of {tonnes} t at {price}")
    return int(round(tonnes * price, 6))


def site_rate(peril_rate: Numbers, relativities: Numbers) -> Array:
    """Eq. (I126): rate of a peril at a site after its rating factors, min(r·∏ f, 1). [1/yr]

    The factors are along the last axis.

    Source: multiplicative tariff, textbook. Verified: no.

    >>> float(site_rate(0.001, np.array([1.2, 0.5])))
    0.0006
    """
    factors = np.asarray(relativities, dtype=np.float64)
    if not np.all(factors >= 0):
        raise ValueError(f"a rating factor is not below 0: {relativities}")
    return np.asarray(np.minimum(np.asarray(peril_rate) * factors.prod(axis=-1), 1.0))


def modelled_rate(count: Numbers, severity: Numbers, unit_size: float) -> Array:
    """Eq. (I127): share of a site lost in a year by a peril model, min(n·E[capped loss] / unit, 1). [1/yr]

    Source: frequency times severity, textbook. Verified: no.

    >>> float(modelled_rate(count=0.5, severity=20.0, unit_size=10_000.0))
    0.001
    """
    if not unit_size > 0:
        raise ValueError(f"a unit of exposure is larger than {unit_size}")
    return np.asarray(np.minimum(np.asarray(count) * np.asarray(severity) / unit_size, 1.0))


def log_interval(mean: float, log_sd: float, score: float = 1.6448536269514722) -> tuple[float, float]:
    """Eq. (I128): interval of a positive estimate, m·e^(±z·s); z = 1.645 holds 90 %. [unit of m]

    Source: lognormal approximation, textbook. Verified: no.

    >>> [round(edge, 6) for edge in log_interval(1.0, 0.1, score=1.0)]
    [0.904837, 1.105171]
    """
    return mean * float(np.exp(-score * log_sd)), mean * float(np.exp(score * log_sd))


def credit_amount(gross_premium: Numbers, credits: Sequence[float], most: float) -> Array:
    """Eq. (I129): what credits take off, gross·min(Σ c, most). [fen/yr]

    Source: additive credits with a ceiling, project rule. Verified: no.

    >>> float(credit_amount(1_000.0, [0.05, 0.1], most=0.3).round(9))
    150.0
    """
    if not (0 <= most < 1 and all(0 <= credit <= 1 for credit in credits)):
        raise ValueError(f"credits and their ceiling are shares: {credits}, {most}")
    return np.asarray(np.asarray(gross_premium) * min(float(np.sum(credits)), most))


def rate_deviation(technical: Numbers, filed: Numbers) -> Array:
    """Eq. (I130): how far the technical rate lies above the filed one, technical/filed − 1. [-]

    Source: textbook. Verified: no.

    >>> float(rate_deviation(0.003, 0.0025).round(12))
    0.2
    """
    if not np.all(np.asarray(filed) > 0):
        raise ValueError(f"a filed rate is above 0: {filed}")
    return np.asarray(np.asarray(technical) / np.asarray(filed) - 1)


def whole_fens(amounts: Numbers) -> Whole:
    """Eq. (I131): many amounts rounded half up to whole fen, ⌊x + ½⌋, as (I1). [fen]

    Source: project rounding rule. Verified: no.

    >>> whole_fens(np.array([267.5, 267.49, -0.4])).tolist()
    [268, 267, 0]
    """
    read = np.asarray(amounts, dtype=np.float64)
    if not np.isfinite(read).all():
        raise ValueError("not an amount of money")
    return np.asarray(np.floor(np.round(read, 6) + 0.5).astype(np.int64))


def step_amounts(levels: Numbers) -> Whole:
    """Eq. (I132): what each step of a price adds, differences of its levels to the fen; they sum to the last. [fen]

    Source: project rule: only levels are rounded, so no fen is lost between steps. Verified: no.

    >>> step_amounts(np.array([0.4, 0.8, 1.2])).tolist()
    [0, 1, 0]
    """
    rounded = whole_fens(levels)
    return np.asarray(np.diff(rounded, axis=-1, prepend=np.zeros_like(rounded[..., :1])))


def split_by_weights(amounts: Whole, weights: Sequence[int]) -> Whole:
    """Eq. (I133): many amounts split by weights with the largest remainder, ties first, as (I67). [fen]

    Rows are amounts, columns parts; each row sums to its amount.

    Source: largest-remainder method; the tie rule is ours. Verified: measured.

    >>> split_by_weights(np.array([10_001, 3]), [5_000, 5_000]).tolist()
    [[5001, 5000], [2, 1]]
    """
    whole, share = np.asarray(amounts, dtype=np.int64), np.asarray(weights, dtype=np.int64)
    if np.any(whole < 0) or share.sum() <= 0 or np.any(share < 0):
        raise ValueError(f"cannot split by {list(weights)}")
    product = whole[:, None] * share
    parts, remainder = np.divmod(product, share.sum())
    order = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return np.asarray(parts + (rank < (whole - parts.sum(axis=1))[:, None]))

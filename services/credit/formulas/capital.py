"""Capital a bank must hold for a loan by internal ratings.        docs/equations/credit.md (C56)-(C60)

PD  probability [-]      LGD  loss_given_default [-]      M  maturity [yr]
R   correlation [-]      K    capital requirement [-]
"""

import math

from scipy.special import ndtr, ndtri

_FIXED_CORRELATION = {"residential_mortgage": 0.15, "qrre": 0.04}
_NO_MATURITY = {"other_retail", *_FIXED_CORRELATION}


def size_relief(sales_eur_m: float) -> float:
    """Eq. (C56): cut of the correlation for smaller firms, 0.04·(1 − (min(max(S, 5), 50) − 5) / 45). [-]

    Source: Basel II 271-272, BIS CRE31; read.

    >>> size_relief(27.5)
    0.02
    """
    return 0.04 * (1 - (min(max(sales_eur_m, 5.0), 50.0) - 5) / 45)


def correlation(probability: float, asset_class: str, sales_eur_m: float | None = None) -> float:
    """Eq. (C57): asset correlation, R between its ends by e = (1 − e^(−k·PD)) / (1 − e^(−k)). [-]

    Corporate k 50, 0.12 to 0.24, less the size relief; other retail k 35, 0.03 to 0.16; two retail classes fixed.
    Source: Basel II 271-272, BIS CRE31; read.

    >>> round(correlation(0.01, "corporate"), 8)
    0.19278368
    """
    _checked(probability)
    if asset_class in _FIXED_CORRELATION:
        return _FIXED_CORRELATION[asset_class]
    if asset_class == "corporate":
        low, high, steepness = 0.12, 0.24, 50.0
    elif asset_class == "other_retail":
        low, high, steepness = 0.03, 0.16, 35.0
    else:
        raise ValueError(f"unknown asset class {asset_class!r}")
    weight = (1 - math.exp(-steepness * probability)) / (1 - math.exp(-steepness))
    relief = 0.0 if sales_eur_m is None or asset_class != "corporate" else size_relief(sales_eur_m)
    return low * weight + high * (1 - weight) - relief


def maturity_slope(probability: float) -> float:
    """Eq. (C58): maturity slope, b = (0.11852 − 0.05478·ln PD)². [-]

    Source: Basel II 271-272, BIS CRE31; read.

    >>> round(maturity_slope(0.01), 8)
    0.13748613
    """
    _checked(probability)
    return float((0.11852 - 0.05478 * math.log(probability)) ** 2)


def capital_requirement(
    probability: float,
    loss_given_default: float,
    asset_class: str,
    maturity: float | None = None,
    sales_eur_m: float | None = None,
) -> float:
    """Eq. (C59): K = LGD·[N((G(PD) + √R·G(0.999)) / √(1 − R)) − PD]·(1 + (M − 2.5)·b) / (1 − 1.5·b). [-]

    A PD of 0 is refused: a dated floor is applied before the call, never inside. Retail has no maturity term.
    Source: Basel II 271-272, BIS CRE31; read.

    >>> round(capital_requirement(0.01, 0.45, "corporate", maturity=2.5), 8)
    0.07385344
    """
    share = correlation(probability, asset_class, sales_eur_m)
    quantile = (ndtri(probability) + math.sqrt(share) * ndtri(0.999)) / math.sqrt(1 - share)
    requirement = loss_given_default * (float(ndtr(quantile)) - probability)
    if asset_class in _NO_MATURITY:
        return requirement
    if maturity is None:
        raise ValueError("a corporate exposure needs a maturity")
    slope = maturity_slope(probability)
    if 1.5 * slope >= 1:
        raise ValueError(f"the maturity adjustment has no meaning at PD {probability}; apply the floor first")
    return requirement * (1 + (maturity - 2.5) * slope) / (1 - 1.5 * slope)


def risk_weight(requirement: float) -> float:
    """Eq. (C60): risk weight, 12.5·K; times the exposure it gives risk-weighted assets. [-]

    Source: Basel II 271-272, BIS CRE31; read.

    >>> round(risk_weight(0.07385344), 6)
    0.923168
    """
    return 12.5 * requirement


def _checked(probability: float) -> None:
    if not 0 < probability <= 1:
        raise ValueError(f"capital needs a PD above 0 and at most 1, got {probability}; apply the dated floor first")

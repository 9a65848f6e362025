"""Bank capital for a loan and what a guarantee saves of it.        docs/equations/guarantee.md (G47)-(G57)

p  default_probability      R  correlation      b  maturity_adjustment      K  capital_requirement
"""

import math

from services.guarantee.formulas.vasicek import default_rate_quantile


def _blended(default_probability: float, low: float, high: float, decay: float) -> float:
    weight = math.expm1(-decay * default_probability) / math.expm1(-decay)
    return low * weight + high * (1 - weight)


def corporate_correlation(default_probability: float) -> float:
    """Eq. (G47): asset correlation of corporates, 0.12f + 0.24(1 − f), f = (1 − e^(−50p))/(1 − e^(−50)). [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> round(corporate_correlation(0.01), 6)
    0.192784
    """
    return _blended(default_probability, 0.12, 0.24, 50)


def small_firm_reduction(turnover_eur_m: float) -> float:
    """Eq. (G48): relief of the correlation for small firms, 0.04(1 − (S − 5)/45), S kept in 5 to 50. [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> small_firm_reduction(5.0), small_firm_reduction(50.0)
    (0.04, 0.0)
    """
    return 0.04 * (1 - (min(max(turnover_eur_m, 5.0), 50.0) - 5) / 45)


def retail_correlation(default_probability: float) -> float:
    """Eq. (G49): asset correlation of other retail, 0.03f + 0.16(1 − f), decay 35. [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> round(retail_correlation(0.01), 6)
    0.121609
    """
    return _blended(default_probability, 0.03, 0.16, 35)


def maturity_adjustment(default_probability: float) -> float:
    """Eq. (G50): slope of capital in maturity, b = (0.11852 − 0.05478·ln p)². [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> round(maturity_adjustment(0.01), 6)
    0.137486
    """
    return (0.11852 - 0.05478 * math.log(default_probability)) ** 2


def retail_capital(default_probability: float, loss_given_default: float, correlation: float) -> float:
    """Eq. (G51): capital per unit of exposure without maturity, K = LGD·(q₀.₉₉₉ − p). [-]

    Residential mortgages take R = 0.15, revolving retail 0.04.

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> round(12.5 * retail_capital(0.01, 0.45, 0.15), 3)
    0.564
    """
    worst = default_rate_quantile(default_probability, correlation, 0.999)
    return loss_given_default * (worst - default_probability)


def corporate_capital(
    default_probability: float, loss_given_default: float, correlation: float, maturity_years: float
) -> float:
    """Eq. (G52): capital per unit of exposure, K = LGD·(q₀.₉₉₉ − p)·(1 + (M − 2.5)b)/(1 − 1.5b). [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> round(12.5 * corporate_capital(0.01, 0.45, corporate_correlation(0.01), 2.5), 3)
    0.923
    """
    slope = maturity_adjustment(default_probability)
    at_one_year = retail_capital(default_probability, loss_given_default, correlation)
    return at_one_year * (1 + (maturity_years - 2.5) * slope) / (1 - 1.5 * slope)


def risk_weight(capital_requirement: float) -> float:
    """Eq. (G53): risk weight of a capital requirement, 12.5·K. [-]

    Source: Basel II (June 2006), Annex 5 for the printed weights. Verified: read.

    >>> risk_weight(0.08)
    1.0
    """
    return 12.5 * capital_requirement


def substituted_rwa(exposure: float, protection: float, borrower_weight: float, guarantor_weight: float) -> float:
    """Eq. (G54): risk-weighted amount under a guarantee, max(0, E − GA)·r + min(GA, E)·g. [CNY]

    A guarantee larger than the loan covers the loan and no more.

    Source: CRR art. 235. Verified: read.

    >>> substituted_rwa(1_000_000.0, 600_000.0, borrower_weight=1.0, guarantor_weight=0.3)
    580000.0
    """
    covered = min(protection, exposure)
    return (exposure - covered) * borrower_weight + covered * guarantor_weight


def currency_adjusted_protection(protection: float, haircut: float) -> float:
    """Eq. (G55): protection in another currency, G·(1 − haircut). [CNY]

    Source: acceptance scenario CRR-D6 of rwa_calculator; CRR art. 235. Verified: read.

    >>> currency_adjusted_protection(500_000.0, haircut=0.08)
    460000.0
    """
    return protection * (1 - haircut)


def maturity_adjusted_protection(protection: float, protection_years: float, exposure_years: float) -> float:
    """Eq. (G56): protection shorter than the loan, G·(t − 0.25)/(T − 0.25), T at most 5; none below t = 0.25. [CNY]

    Source: CRR art. 235 and the maturity factor it refers to. Verified: read.

    >>> maturity_adjusted_protection(100.0, protection_years=2.25, exposure_years=4.25)
    50.0
    """
    horizon = min(exposure_years, 5.0)
    if protection_years < 0.25:
        return 0.0
    if protection_years >= horizon:
        return protection
    return protection * (protection_years - 0.25) / (horizon - 0.25)


def capital_relief(rwa_without: float, rwa_with: float, capital_ratio: float) -> float:
    """Eq. (G57): capital a guarantee frees at the bank, ratio·(RWA without − RWA with). [CNY]

    Source: textbook. Verified: no.

    >>> capital_relief(1_000_000.0, 580_000.0, capital_ratio=0.08)
    33600.0
    """
    return capital_ratio * (rwa_without - rwa_with)

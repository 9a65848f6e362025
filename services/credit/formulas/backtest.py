"""Whether what came true fits what was stated, and whether groups fare alike.  docs/equations/credit.md (C112)-(C114)

d  defaults that came true [-]      n  loan years watched to their end [-]      PD  stated default probability [-]
"""

from scipy.special import betainc


def binomial_p_value(defaults: int, years: int, probability: float) -> float:
    """Eq. (C112): probability of at least d defaults among n if PD were right, P(X ≥ d). [-]

    Small where more defaulted than was stated. Defaults are taken as independent, so that after a common shock it
    alarms too early.
    Source: one-sided binomial test, textbook; no.

    >>> binomial_p_value(1, 2, 0.5), binomial_p_value(0, 10, 0.02)
    (0.75, 1.0)
    """
    _demand(defaults, years, probability)
    return 1.0 if defaults == 0 else float(betainc(defaults, years - defaults + 1, probability))


def jeffreys_p_value(defaults: int, years: int, probability: float) -> float:
    """Eq. (C113): posterior probability that the true PD is not above the stated one, Beta(d + ½, n − d + ½)(PD). [-]

    Small where the stated PD is too low; unlike (C112) it says something without a single default.
    Source: Jeffreys prior of a binomial share, as in supervisors' reporting of PD backtests; from memory; no.

    >>> round(jeffreys_p_value(5, 10, 0.5), 12), round(jeffreys_p_value(0, 50, 0.001), 6)
    (0.5, 0.248831)
    """
    _demand(defaults, years, probability)
    return float(betainc(defaults + 0.5, years - defaults + 0.5, probability))


def adverse_impact_ratio(rate: float, best_rate: float) -> float | None:
    """Eq. (C114): approval rate of a group over that of the best-faring group, r / r max; None where none is. [-]

    Source: four-fifths rule of US employment practice, from memory; no law here asks for it; no.

    >>> adverse_impact_ratio(0.4, 0.5)
    0.8
    """
    return rate / best_rate if best_rate > 0 else None


def _demand(defaults: int, years: int, probability: float) -> None:
    if not 0 <= defaults <= years or years == 0 or not 0 <= probability <= 1:
        raise ValueError(f"a backtest needs 0 ≤ d ≤ n, n > 0 and a probability: {defaults}, {years}, {probability}")

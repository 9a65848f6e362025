"""Default probability of a borrower, its interval, and under fire.        docs/equations/credit.md (C8)-(C16), (C89)

PD  default probability [-]      q  fire_probability within the horizon [-]
u   uplift: share of survivors a fire tips over [-]

The card's label is "charged off at some time in the loan's life", so its probability is a lifetime one; (C10) brings it
to a year.
"""

import math
from functools import lru_cache

from scipy.special import ndtri


def default_probability(log_odds: float) -> float:
    """Eq. (C8): default probability, 1 / (1 + exp(−ln(bad:good))). [-]

    Source: logistic regression, definition; no.

    >>> round(default_probability(-2.365), 8)
    0.08588085
    """
    if log_odds < 0:
        odds = math.exp(log_odds)
        return odds / (1 + odds)
    return 1 / (1 + math.exp(-log_odds))


def probability_interval(log_odds: float, log_odds_sd: float, level: float) -> tuple[float, float]:
    """Eq. (C9): interval of the default probability, logistic(ln(bad:good) ± z·sd). [-]

    It covers the sampling error of the card, not the choice of the card, nor its move to another country.
    Source: delta method on the logit; no.

    >>> low, high = probability_interval(-2.365, 0.5, level=0.9)
    >>> round(low, 4), round(high, 4)
    (0.0396, 0.1762)
    """
    if log_odds_sd < 0 or not 0 < level < 1:
        raise ValueError(f"an interval needs sd >= 0 and a level in (0, 1), got {log_odds_sd} and {level}")
    reach = _reach(level) * log_odds_sd
    return default_probability(log_odds - reach), default_probability(log_odds + reach)


def annual_default_probability(lifetime_probability: float, years: float) -> float:
    """Eq. (C10): yearly default probability of a constant hazard, 1 − (1 − PD)^(1/T). [-]

    Source: constant-hazard identity; no.

    >>> round(annual_default_probability(0.19, years=2), 12)
    0.1
    """
    _probability(lifetime_probability)
    if years <= 0:
        raise ValueError(f"years must be positive, got {years}")
    return float(1 - (1 - lifetime_probability) ** (1 / years))


def cumulative_default_probability(annual_probability: float, years: float) -> float:
    """Eq. (C11): default probability over a tenor at a constant hazard, 1 − (1 − PD)^T. [-]

    Source: constant-hazard identity; no.

    >>> round(cumulative_default_probability(0.1, years=2), 12)
    0.19
    """
    _probability(annual_probability)
    if years < 0:
        raise ValueError(f"years must not be negative, got {years}")
    return float(1 - (1 - annual_probability) ** years)


def floored_default_probability(probability: float, floor: float) -> float:
    """Eq. (C12): default probability not below the regulatory floor, max(PD, floor). [-]

    Source: Basel internal-ratings floor, 0.03 % in the text of 2019; read.

    >>> floored_default_probability(0.0, floor=0.0003)
    0.0003
    """
    _probability(probability)
    return max(probability, floor)


def stressed_default_probability(probability: float, uplift: float) -> float:
    """Eq. (C13): default probability given a fire on the pledged forest, PD + u·(1 − PD). [-]

    The uplift adds to the survivors only, so that the result never passes 1.
    Source: form our own; size of u from delinquency after wildfire, Federal Reserve Bank of Philadelphia WP 23-05; no.

    >>> round(stressed_default_probability(0.02, uplift=0.04), 6)
    0.0592
    """
    _probability(probability)
    _probability(uplift)
    return probability + uplift * (1 - probability)


def mixed_default_probability(probability: float, stressed_probability: float, fire_probability: float) -> float:
    """Eq. (C14): default probability over fire and no fire, (1 − q)·PD + q·PD given fire. [-]

    Source: law of total probability; no.

    >>> round(mixed_default_probability(0.02, 0.0592, fire_probability=0.1), 6)
    0.02392
    """
    _probability(fire_probability)
    return (1 - fire_probability) * probability + fire_probability * stressed_probability


def fire_probability_given_default(probability: float, stressed_probability: float, fire_probability: float) -> float:
    """Eq. (C15): probability that a defaulted loan stands on burnt forest, q·PD given fire / mixed PD. [-]

    This is what makes the risk wrong-way: collateral is weaker exactly where defaults gather.
    Source: Bayes' rule; no.

    >>> round(fire_probability_given_default(0.02, 0.0592, fire_probability=0.1), 6)
    0.247492
    """
    mixed = (1 - fire_probability) * probability + fire_probability * stressed_probability
    if mixed <= 0:
        raise ValueError("a borrower who never defaults has no fire probability given default")
    return fire_probability * stressed_probability / mixed


def fire_probability(reference_probability: float, score: float, reference_score: float) -> float:
    """Eq. (C89): yearly fire probability of a forest by its hazard score, min(1, q·h / h_ref). [1/yr]

    Source: our own rule, the same proportion as the register's event frequency (S88); no.

    >>> fire_probability(0.01, score=0.5, reference_score=0.25)
    0.02
    """
    _probability(reference_probability)
    if score < 0 or reference_score <= 0:
        raise ValueError(f"a hazard score is not negative and its reference is above 0: {score}, {reference_score}")
    return min(1.0, reference_probability * score / reference_score)


def decision_band(probability: float | None, approve_below: float, decline_from: float) -> str:
    """Eq. (C16): band of a default probability, approve below one cut-off, decline from the other, else refer. [-]

    Source: institution's policy; a missing probability is refused, never caught by a default row; no.

    >>> decision_band(0.02, approve_below=0.03, decline_from=0.08)
    'approve'
    """
    if probability is None:
        raise ValueError("a decision needs a default probability; none was given")
    _probability(probability)
    if approve_below > decline_from:
        raise ValueError(f"approve_below {approve_below} lies above decline_from {decline_from}")
    if probability < approve_below:
        return "approve"
    return "decline" if probability >= decline_from else "refer"


@lru_cache
def _reach(level: float) -> float:
    """Standard deviations to either side that hold a share of a normal distribution: few levels are ever asked for."""
    return float(ndtri((1 + level) / 2))


def _probability(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"a probability lies in [0, 1], got {value}")

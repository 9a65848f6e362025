"""Loss of stored carbon to fire, wind, pest or drought.        docs/equations/sink.md (S65)-(S71), (S88)

λ  event frequency [1/yr]      x  severity, share of the live biomass lost [-]

A fire turns most of the live carbon it takes into dead wood and sends a minor part to the air in that year. A cover
on live biomass and a cover on emissions pay very different sums, so both numbers are kept apart (S69, S70).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative


def event_probability(frequency: Numbers, years: Numbers) -> NDArray[np.float64]:
    """Eq. (S65): probability of an event within a period, 1-exp(-λ·Δt). [-]

    Source: Poisson arrivals, textbook.

    >>> round(float(event_probability(0.02, 5)), 4)
    0.0952
    """
    return np.asarray(-np.expm1(-nonnegative("frequency", frequency) * nonnegative("period", years)))


def severity_quantile(probabilities: Numbers, mean_severity: float) -> NDArray[np.float64]:
    """Eq. (S66): severity at a cumulative probability, p^((1-x̄)/x̄), a Beta(x̄/(1-x̄), 1) of mean x̄. [-]

    One parameter, a closed inverse, and a tail that reaches the loss of everything.
    Source: this project's choice of distribution.

    >>> float(severity_quantile(0.25, 0.5))
    0.25
    """
    if not 0 < mean_severity < 1:
        raise ValueError("the mean severity must lie strictly between 0 and 1")
    return np.asarray(fraction("probability", probabilities) ** ((1 - mean_severity) / mean_severity))


def surviving_share(
    uniforms: NDArray[np.float64], probabilities: ArrayLike, mean_severity: float
) -> NDArray[np.float64]:
    """Eq. (S67): live share left after each period, Π (1-x_j·[u_j < p_j]) with x_j = (S66) at u_j/p_j. [-]

    Periods along the first axis, draws along the last; one uniform decides both the event and its severity. At most
    one event in a period, and no regrowth beyond the survivors: replanting calls for a new valuation.
    Source: this project.

    >>> surviving_share(np.array([[0.5], [0.02]]), [0.1, 0.08], 0.5).ravel().tolist()
    [1.0, 0.75]
    """
    chances = np.asarray(probabilities, dtype=np.float64)[..., None]
    hit = uniforms < chances
    left = np.ones_like(uniforms)
    # Few cells are hit, so the power is taken of those alone.
    left[hit] = 1 - severity_quantile(uniforms[hit] / np.broadcast_to(chances, uniforms.shape)[hit], mean_severity)
    # Period by period over all draws at once, which is faster than a running product along the short axis.
    for earlier, share in pairwise(left):
        share *= earlier
    return left


def expected_surviving_share(probabilities: ArrayLike, mean_severity: float) -> NDArray[np.float64]:
    """Eq. (S68): expected live share left after each period, Π (1-p_j·x̄). [-]

    Source: expectation of (S67).

    >>> expected_surviving_share([0.1, 0.1], 0.5).round(6).tolist()
    [0.95, 0.9025]
    """
    return np.asarray(np.cumprod(1 - np.asarray(probabilities, dtype=np.float64) * mean_severity, axis=0))


def live_biomass_lost(live_stock: Numbers, severity: Numbers) -> Numbers:
    """Eq. (S69): live biomass lost in an event, x·C. [tCO2e]

    Source: IPCC 2006 Vol. 4 equation 2.14 (from memory), as a stock.

    >>> live_biomass_lost(1000.0, 0.5)
    500.0
    """
    return nonnegative("live stock", live_stock) * fraction("severity", severity)


def carbon_lost_to_air(live_lost: Numbers, emitted_share: Numbers) -> Numbers:
    """Eq. (S70): carbon lost to the air in the year of an event, e·loss; the rest turns into dead wood. [tCO2e]

    Source: structure of the disturbance matrices of libcbm 2.10.2; the share itself is a parameter by peril.

    >>> carbon_lost_to_air(500.0, 0.25)
    125.0
    """
    return nonnegative("live biomass lost", live_lost) * fraction("emitted share", emitted_share)


def buffer_shortfall(issued_tonnes: Numbers, standing_tonnes: Numbers, buffer_tonnes: Numbers) -> NDArray[np.float64]:
    """Eq. (S71): issued tonnes held by neither forest nor buffer, max(0, issued-standing-buffer). [tCO2e]

    Source: this project.

    >>> float(buffer_shortfall(1000.0, 700.0, 120.0))
    180.0
    """
    return np.asarray(np.maximum(0.0, issued_tonnes - standing_tonnes - buffer_tonnes))


def hazard_frequency(frequency: float, scores: ArrayLike, reference_score: float) -> float:
    """Eq. (S88): event frequency of a parcel by its hazard scores, λ·mean(h)/h_ref; λ itself without any score. [1/yr]

    Source: this project; linear for want of a local record.

    >>> hazard_frequency(0.01, [0.2, 0.8], 0.25)
    0.02
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.size == 0:
        return float(nonnegative("frequency", frequency))
    return float(nonnegative("frequency", frequency) * np.mean(fraction("hazard score", given)) / reference_score)

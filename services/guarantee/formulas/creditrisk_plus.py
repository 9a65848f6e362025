"""Loss distribution of a book, one sector, by one transform.        docs/equations/guarantee.md (G58)-(G62), (G73)

E  exposures, amount kept on default  [fen]      p  default probabilities      rel  relative volatility of the sector
unit  size of a loss step  [fen]                 f  probabilities of losses 0, unit, 2·unit, …
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def portfolio_mean(exposures: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Eq. (G58): expected loss of the book, Σ E·p. [fen]

    Source: CreditRisk+. Verified: no.

    >>> portfolio_mean([100, 200], [0.01, 0.02])
    5.0
    """
    return float(np.asarray(exposures, dtype=np.float64) @ np.asarray(probabilities, dtype=np.float64))


def portfolio_sd(exposures: npt.ArrayLike, probabilities: npt.ArrayLike, relative_volatility: float) -> float:
    """Eq. (G59): standard deviation of the book's loss, √(Σ E²p + (rel·EL)²). [fen]

    Source: CreditRisk+. Verified: no.

    >>> portfolio_sd([100.0], [0.01], relative_volatility=0.0)
    10.0
    """
    e, p = np.asarray(exposures, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    return float(np.sqrt(e**2 @ p + (relative_volatility * portfolio_mean(e, p)) ** 2))


def loss_distribution(
    exposures: npt.ArrayLike, probabilities: npt.ArrayLike, relative_volatility: float, unit: float, steps: int
) -> Array:
    """Eq. (G60): probabilities of the book's loss, G(z) = (1 + β(1 − P(z)))^(−α) inverted by one FFT. [-]

    α = 1/rel², β = μ·rel², P(z) = Σ (p/μ)·z^units. Each exposure is rounded up to units and its probability lowered
    by as much, which keeps the expected loss. `steps` must span at least twice the largest loss of interest.

    Source: CreditRisk+. Verified: no.

    >>> loss_distribution([1.0], [0.1], relative_volatility=1.0, unit=1.0, steps=64)[:2].round(6)
    array([0.909091, 0.082645])
    """
    e, p = np.asarray(exposures, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if not np.all(e > 0) or not np.all((p >= 0) & (p <= 1)) or unit <= 0 or relative_volatility <= 0:
        raise ValueError("exposures, unit and volatility are above 0, probabilities between 0 and 1")
    units = np.maximum(np.ceil(e / unit), 1).astype(np.int64)
    if units.max() >= steps:
        raise ValueError(f"{steps} steps of {unit} do not hold an exposure of {e.max()}")
    rates = p * e / (units * unit)
    mean = float(rates.sum())
    if mean == 0:
        return np.asarray(np.eye(1, steps)[0])
    severity = np.bincount(units, weights=rates / mean, minlength=steps)
    spread = mean * relative_volatility**2
    transform = (1 + spread * (1 - np.fft.rfft(severity))) ** (-1 / relative_volatility**2)
    # The inverse leaves noise of machine size around 0, and a probability is not below it.
    return np.asarray(np.maximum(np.fft.irfft(transform, steps), 0))


def loss_quantile(distribution: npt.ArrayLike, unit: float, confidence: float) -> float:
    """Eq. (G61): smallest loss that is not exceeded with the confidence, min{x: F(x) ≥ α}. [fen]

    Source: textbook. Verified: no.

    >>> loss_quantile([0.9, 0.08, 0.02], unit=10.0, confidence=0.95)
    10.0
    """
    reached = np.cumsum(np.asarray(distribution, dtype=np.float64)) >= confidence - 1e-12
    if not reached.any():
        raise ValueError(f"the distribution is too short for a confidence of {confidence}")
    return float(np.argmax(reached) * unit)


def economic_capital(distribution: npt.ArrayLike, unit: float, confidence: float) -> float:
    """Eq. (G62): capital for the loss beyond the expected, q − EL. [fen]

    Source: textbook. Verified: no.

    >>> economic_capital([0.9, 0.08, 0.02], unit=10.0, confidence=0.95)
    8.8
    """
    f = np.asarray(distribution, dtype=np.float64)
    return loss_quantile(f, unit, confidence) - float(f @ np.arange(len(f))) * unit


def sd_contributions(exposures: npt.ArrayLike, probabilities: npt.ArrayLike, relative_volatility: float) -> Array:
    """Eq. (G73): what each exposure adds to the standard deviation, E·p·(E + rel²·EL)/sd, its Euler share. [fen]

    The standard deviation (G59) grows in step with all exposures, so that E·∂sd/∂E sum to it.

    Source: derived from (G59). Verified: measured.

    >>> sd_contributions([100.0, 300.0], [0.01, 0.01], relative_volatility=0.0).round(6)
    array([ 3.162278, 28.460499])
    """
    e, p = np.asarray(exposures, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    sd = portfolio_sd(e, p, relative_volatility)
    if sd == 0:
        return np.zeros_like(e)
    return np.asarray(e * p * (e + relative_volatility**2 * portfolio_mean(e, p)) / sd)

"""What one event costs after the terms of a policy.        docs/equations/insurance.md (I118)-(I123)

D  damage ratio, beta distributed, 0 ≤ D ≤ 1  [-], by its mean and standard deviation      S  chance that it exceeds u
X  loss SI·D  [fen]      δ  deductible_share      d  deductible, f franchise, l limit of an event  [fen], l = 0 is none
c  insurer_share, the part of what is left that is paid (coinsurance)

Y = c·min(X·(1 − δ) − d, l) where X exceeds f and d/(1 − δ), else 0: the order of (I114). All arguments broadcast.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Numbers = float | Array


def damage_survival(mean: Numbers, sd: Numbers, share: Numbers) -> Array:
    """Eq. (I118): chance that the damage ratio exceeds a share, S(u) = 1 − I_u(a, b). [-]

    Source: beta distribution by moments, textbook. Verified: no.

    >>> float(damage_survival(0.5, np.sqrt(1 / 12), 0.25).round(12))
    0.75
    """
    a, b = _shape(mean, sd)
    return np.asarray(1 - special.betainc(a, b, np.clip(share, 0, 1)))


def damage_lev(mean: Numbers, sd: Numbers, share: Numbers) -> Array:
    """Eq. (I119): limited expected value of the damage ratio, E[D∧u] = m·I_u(a+1, b) + u·S(u). [-]

    Source: beta distribution by moments, textbook. Verified: no.

    >>> float(damage_lev(0.5, np.sqrt(1 / 12), 0.5).round(12))
    0.375
    """
    a, b = _shape(mean, sd)
    u = np.clip(share, 0, 1)
    return np.asarray(mean * special.betainc(a + 1, b, u) + u * (1 - special.betainc(a, b, u)))


def damage_square_lev(mean: Numbers, sd: Numbers, share: Numbers) -> Array:
    """Eq. (I120): limited second moment of the damage ratio, E[(D∧u)²] = E[D²]·I_u(a+2, b) + u²·S(u). [-]

    Source: beta distribution by moments, textbook. Verified: no.

    >>> float(damage_square_lev(0.5, np.sqrt(1 / 12), 1.0).round(12))
    0.333333333333
    """
    a, b = _shape(mean, sd)
    u = np.clip(share, 0, 1)
    second = np.square(mean) + np.square(sd)
    return np.asarray(second * special.betainc(a + 2, b, u) + np.square(u) * (1 - special.betainc(a, b, u)))


def event_payment(
    sum_insured: Numbers, mean: Numbers, sd: Numbers, deductible_share: Numbers = 0.0,
    deductible: Numbers = 0.0, franchise: Numbers = 0.0, limit: Numbers = 0.0,
    insurer_share: Numbers = 1.0,
) -> Array:  # fmt: skip
    """Eq. (I121): expected payment of an event, c·(g(x₁)·S(x₁) + (1−δ)·(E[X∧x₂] − E[X∧x₁])). [fen]

    g(x) = (1−δ)x − d; x₁ is where payments begin, max(f, d/(1−δ)); x₂ where they are limited, (d + l)/(1−δ).
    Raises ValueError for terms that no wording can mean.

    Source: layers and franchise by limited expected values, textbook. Verified: no.

    >>> float(event_payment(1_000.0, 0.5, np.sqrt(1 / 12), deductible=500.0).round(9))
    125.0
    """
    whole, kept, start, end = _layer(sum_insured, deductible_share, deductible, franchise, limit, insurer_share)
    layer = damage_lev(mean, sd, end) - damage_lev(mean, sd, start)
    jump = np.maximum(kept * start * whole - deductible, 0)
    if np.any(jump > 0):
        jump = np.where(jump > 0, np.minimum(jump, _ceiling(limit)) * damage_survival(mean, sd, start), 0.0)
    return np.asarray(insurer_share * (jump + kept * whole * layer))


def event_payment_square(
    sum_insured: Numbers, mean: Numbers, sd: Numbers, deductible_share: Numbers = 0.0,
    deductible: Numbers = 0.0, franchise: Numbers = 0.0, limit: Numbers = 0.0,
    insurer_share: Numbers = 1.0,
) -> Array:  # fmt: skip
    """Eq. (I122): second moment of an event's payment, c²·(g(x₁)²·S(x₁) + ∫ 2g(x)·(1−δ)·S(x) dx from x₁ to x₂). [fen²]

    Source: layers and franchise by limited moments, textbook. Verified: no.

    >>> float(event_payment_square(1_000.0, 0.5, np.sqrt(1 / 12)).round(6))
    333333.333333
    """
    whole, kept, start, end = _layer(sum_insured, deductible_share, deductible, franchise, limit, insurer_share)
    squares = damage_square_lev(mean, sd, end) - damage_square_lev(mean, sd, start)
    layer = damage_lev(mean, sd, end) - damage_lev(mean, sd, start)
    jump = np.maximum(kept * start * whole - deductible, 0)
    if np.any(jump > 0):
        jump = np.where(jump > 0, np.square(np.minimum(jump, _ceiling(limit))) * damage_survival(mean, sd, start), 0.0)
    inner = np.square(kept * whole) * squares - 2 * np.asarray(deductible) * kept * whole * layer
    return np.asarray(np.square(insurer_share) * (jump + np.maximum(inner, 0)))


def annual_lev(frequency: float, payment_levs: Sequence[float], cap: float) -> float:
    """Eq. (I123): expected payment of a year under an aggregate cap, E[S∧A], by Panjer's recursion. [fen/yr]

    `payment_levs` are E[Y∧jh] at j = 0, 1, …, n with nh = A; the payments are put on that grid so that each of these
    limited expected values is kept, g₀ = e^(−λ(1−f₀)) and g_s = (λ/s)·Σ j·f_j·g_{s−j}.

    Source: Panjer recursion with the discretisation that keeps limited expected values, textbook. Verified: no.

    >>> round(annual_lev(0.1, [0.0, 1.0, 1.0], cap=2.0), 6)  # payments of exactly 1
    0.099841
    """
    levs = np.asarray(payment_levs, dtype=np.float64)
    n = len(levs) - 1
    if frequency < 0 or cap <= 0 or n < 1:
        raise ValueError(f"no year under a cap of {cap} from {frequency} events and {n} grid points")
    h = cap / n
    mass = np.empty(n + 1)
    mass[0] = 1 - levs[1] / h
    mass[1:n] = np.maximum(2 * levs[1:n] - levs[: n - 1] - levs[2:], 0) / h
    mass[n] = (levs[n] - levs[n - 1]) / h
    weighted = mass * np.arange(n + 1)
    g = np.zeros(n + 1)
    g[0] = np.exp(-frequency * (1 - mass[0]))
    for s in range(1, n):
        g[s] = frequency / s * float(weighted[1 : s + 1] @ g[s - 1 :: -1])
    # Whatever is not below the cap is at it.
    return float(h * (np.arange(n) @ g[:n]) + cap * max(1 - g[:n].sum(), 0.0))


def _shape(mean: Numbers, sd: Numbers) -> tuple[Array, Array]:
    m, s = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
    if not (np.all(m > 0) and np.all(m < 1) and np.all(s > 0) and np.all(s**2 < m * (1 - m))):
        raise ValueError(f"no damage ratio has a mean of {mean} and a standard deviation of {sd}")
    size = m * (1 - m) / s**2 - 1
    return m * size, (1 - m) * size


def _ceiling(limit: Numbers) -> Array:
    return np.where(np.asarray(limit) > 0, limit, np.inf)


def _layer(
    sum_insured: Numbers, deductible_share: Numbers, deductible: Numbers, franchise: Numbers,
    limit: Numbers, insurer_share: Numbers,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Sum insured, share after the deductible's, and where payments begin and end as damage ratios."""
    whole = np.asarray(sum_insured, dtype=np.float64)
    kept = 1 - np.asarray(deductible_share, dtype=np.float64)
    d, f, ceiling = np.asarray(deductible), np.asarray(franchise), _ceiling(limit)
    if not (np.all(whole > 0) and np.all(kept > 0) and np.all(kept <= 1) and np.all(d >= 0) and np.all(f >= 0)):
        raise ValueError("a sum insured is above 0, a deductible's share from 0 to below 1, amounts not below 0")
    if not np.all(np.asarray(limit) >= 0):
        raise ValueError("a limit is not below 0")
    if not (np.all(np.asarray(insurer_share) > 0) and np.all(np.asarray(insurer_share) <= 1)):
        raise ValueError("the insurer's share is above 0 and at most 1")
    begins = np.maximum(f, d / kept)
    # Without such terms the layer is all of the loss at every site, which is computed once.
    start = np.minimum(begins / whole, 1) if begins.any() else np.zeros(())
    end = np.minimum((d + ceiling) / kept / whole, 1) if np.isfinite(ceiling).any() else np.ones(())
    return whole, kept, start, np.maximum(end, start)

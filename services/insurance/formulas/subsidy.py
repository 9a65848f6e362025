"""Who pays a premium and who gets it back.        docs/equations/insurance.md (I67)-(I71)

Amounts are whole fen, shares are basis points of 10,000; parts always sum to the whole.
"""

from collections.abc import Sequence


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Eq. (I67): split by weights, ⌊amount·w/Σw⌋ and the missing fen to the largest remainders, ties first. [fen]

    Source: largest-remainder method; the tie rule is ours. Verified: measured.

    >>> largest_remainder(10_001, [5_000, 2_500, 2_000, 500])
    [5001, 2500, 2000, 500]
    """
    whole = sum(weights)
    if amount < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError(f"cannot split {amount} by {list(weights)}")
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % whole), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def capped_levels(parts: Sequence[int], budgets: Sequence[int | None], takes_excess: int) -> list[int]:
    """Eq. (I68): parts under the budgets of their levels, min(part, budget); the excess goes to the named level. [fen]

    Source: project rule: an exhausted budget never falls on the owner in silence. Verified: no.

    >>> capped_levels([500, 250, 200, 50], [400, None, None, None], takes_excess=1)
    [400, 350, 200, 50]
    """
    if len(parts) != len(budgets) or budgets[takes_excess] is not None:
        raise ValueError("each level needs a budget or None, and the level that takes the excess has none")
    kept = [part if budget is None else min(part, max(budget, 0)) for part, budget in zip(parts, budgets, strict=True)]
    kept[takes_excess] += sum(parts) - sum(kept)
    return kept


def return_premium(premium: int, days: int, days_used: int) -> int:
    """Eq. (I69): premium given back on cancellation, premium·unused days / days, half a fen up. [fen]

    Source: pro rata rule, textbook. Verified: measured.

    >>> return_premium(120_000, days=365, days_used=146)
    72000
    """
    if premium < 0 or days <= 0 or not 0 <= days_used <= days:
        raise ValueError(f"no return premium from {premium}, {days_used} of {days} days")
    return (2 * premium * (days - days_used) + days) // (2 * days)


def refund_split(return_premium: int, paid: Sequence[int]) -> list[int]:
    """Eq. (I70): return premium back to those who paid, by what each actually paid. [fen]

    Source: project rule, largest remainder. Verified: measured.

    >>> refund_split(72_001, [60_000, 30_000, 24_000, 6_000])
    [36001, 18000, 14400, 3600]
    """
    if return_premium > sum(paid):
        raise ValueError(f"cannot give back {return_premium} of {sum(paid)}")
    return largest_remainder(return_premium, paid)


def endorsement_premium(rate: float, sum_insured_change: int, days: int, days_left: int) -> float:
    """Eq. (I71): premium of a changed sum insured, rate·ΔSI·days left / days; below 0 it is a return. [fen]

    Source: pro rata rule, textbook. Verified: measured.

    >>> round(endorsement_premium(0.0025, 30_000_000, days=365, days_left=265), 4)
    54452.0548
    """
    if rate < 0 or days <= 0 or not 0 <= days_left <= days:
        raise ValueError(f"no endorsement at {rate}, {days_left} of {days} days")
    return rate * sum_insured_change * days_left / days

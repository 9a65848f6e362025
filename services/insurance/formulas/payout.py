"""What a claim pays, on indemnity and on an index.        docs/equations/insurance.md (I52)-(I62)

SI  sum_insured  [fen]      V  carbon_value, insurable value of the carbon before the loss  [fen]
T   cumulative_loss of the year  [tCO2e]
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from services.insurance.formulas.fen import whole_fen
from services.insurance.formulas.terms import average_clause_loss


def carbon_loss(carbon_value: int, severity: float) -> int:
    """Eq. (I52): value of the carbon an event took, V·severity. [fen]

    Source: indemnity on carbon value, project rule. Verified: no.

    >>> carbon_loss(1_000_000, severity=0.4)
    400000
    """
    if carbon_value < 0 or not 0 <= severity <= 1:
        raise ValueError(f"no loss from a value of {carbon_value} at severity {severity}")
    return whole_fen(carbon_value * severity)


def indemnity(loss: int, sum_insured: int, carbon_value: int, deductible_share: float, paid_before: int = 0) -> int:
    """Eq. (I53): payment on a loss, min(loss·min(1, SI/V)·(1 − d), SI − paid before). [fen]

    The deductible is a share of every loss; the sum insured is an annual limit that earlier payments use up.

    Source: average clause and proportional deductible, textbook. Verified: no.

    >>> indemnity(400_000, sum_insured=600_000, carbon_value=1_000_000, deductible_share=0.1)
    216000
    """
    if min(loss, sum_insured, paid_before) < 0 or not 0 <= deductible_share < 1:
        raise ValueError(f"no indemnity from {loss}, {sum_insured}, {deductible_share}, {paid_before}")
    covered = average_clause_loss(loss, sum_insured, carbon_value) * (1 - deductible_share)
    return min(whole_fen(covered), max(sum_insured - paid_before, 0))


def interim_payment(assessed: int, interim_share: float) -> int:
    """Eq. (I54): payment on account while the loss is open, share·assessed, rounded down. [fen]

    Source: Guangxi forestry notice, 2013. Verified: secondary.

    >>> interim_payment(1_000_000, interim_share=0.6)
    600000
    """
    if assessed < 0 or not 0 <= interim_share <= 1:
        raise ValueError(f"no interim payment from {assessed}, {interim_share}")
    return math.floor(round(assessed * interim_share, 6))


def final_payment(payable: int, paid_on_account: int) -> int:
    """Eq. (I55): payment that closes a claim, max(payable − paid on account, 0). [fen]

    Source: project rule. Verified: no.

    >>> final_payment(payable=1_000_000, paid_on_account=600_000)
    400000
    """
    if min(payable, paid_on_account) < 0:
        raise ValueError(f"no final payment from {payable}, {paid_on_account}")
    return max(payable - paid_on_account, 0)


def shortfall_payout(target_t: float, actual_t: float, price: int, limit: int) -> int:
    """Eq. (I56): payment for tonnes short of the target, min(max(target − actual, 0)·price, limit). [fen]

    Source: press on the Gaochun carbon cover, form inferred from its wording. Verified: secondary.

    >>> shortfall_payout(13_626, 12_000, price=3_500, limit=47_690_000)
    5691000
    """
    if min(target_t, actual_t, price, limit) < 0:
        raise ValueError(f"no payout from {target_t}, {actual_t}, {price}, {limit}")
    return min(whole_fen(max(target_t - actual_t, 0.0) * price), limit)


def growth_bonus(target_t: float, actual_t: float, bonus_per_t: int) -> int:
    """Eq. (I57): bonus for tonnes above the target, max(actual − target, 0)·bonus rate. [fen]

    Source: press on the Gaoyou wetland cover. Verified: secondary.

    >>> growth_bonus(100.0, 110.0, bonus_per_t=500)
    5000
    """
    if min(target_t, actual_t, bonus_per_t) < 0:
        raise ValueError(f"no bonus from {target_t}, {actual_t}, {bonus_per_t}")
    return whole_fen(max(actual_t - target_t, 0.0) * bonus_per_t)


def area_index_payout(damaged_share: float, limit: int, steps: Sequence[tuple[float, float]]) -> int:
    """Eq. (I58): payment by damaged share of the insured area, limit·f(share), f linear between steps. [fen]

    Steps are (damaged share, paid share), both rising; before the first step nothing is paid.

    Source: area index covers as reported, project form. Verified: no.

    >>> area_index_payout(0.3, 1_000_000, [(0.1, 0.0), (0.5, 1.0)])
    500000
    """
    shares, paid = [share for share, _ in steps], [part for _, part in steps]
    if not steps or shares != sorted(set(shares)) or paid != sorted(paid) or not 0 <= paid[0] <= paid[-1] <= 1:
        raise ValueError(f"steps rise in both parts and pay between nothing and all: {steps}")
    if limit < 0 or not 0 <= damaged_share <= 1:
        raise ValueError(f"no payout from {damaged_share}, {limit}")
    if damaged_share < shares[0]:
        return 0
    return whole_fen(limit * float(np.interp(damaged_share, shares, paid)))


def cumulative_loss(observations: Iterable[tuple[str, int, float]]) -> float:
    """Eq. (I59): accepted loss of a year, T = Σ last revision of each observation (id, revision, tonnes). [tCO2e]

    A repeated observation counts once; the same revision with another number is an error, not a choice.

    Source: press on the Xinluo carbon index cover, 2021-04; the revision rule is ours. Verified: no.

    >>> cumulative_loss([("a", 1, 100.0), ("b", 1, 90.0), ("a", 1, 100.0), ("b", 2, 120.0), ("c", 1, 30.0)])
    250.0
    """
    latest: dict[str, tuple[int, float]] = {}
    seen: dict[tuple[str, int], float] = {}
    for name, revision, tonnes in observations:
        if not tonnes >= 0 or seen.setdefault((name, revision), tonnes) != tonnes:
            raise ValueError(f"observation {name} revision {revision} is below 0 or contradicts itself")
        if revision >= latest.get(name, (revision, 0.0))[0]:
            latest[name] = (revision, tonnes)
    return math.fsum(tonnes for _, tonnes in latest.values())


def aggregate_event(cumulative_loss: float, threshold: float) -> bool:
    """Eq. (I60): the year is an event once its cumulative loss reaches the threshold, T ≥ threshold. [-]

    Source: press on the Xinluo carbon index cover, 2021-04; that the number itself counts is ours. Verified: no.

    >>> aggregate_event(250.0, threshold=232.0)
    True
    """
    return cumulative_loss >= threshold


def tier_payout(cumulative_loss: float, tiers: Sequence[tuple[float, int]]) -> int:
    """Eq. (I61): total owed for a year under tiers (threshold, amount), amount of the highest tier reached. [fen]

    Source: annual aggregate cover, project form. Verified: no.

    >>> tier_payout(250.0, [(100.0, 1_000), (232.0, 5_000), (400.0, 20_000)])
    5000
    """
    amounts = [amount for _, amount in sorted(tiers)]
    if amounts != sorted(amounts) or any(amount < 0 for amount in amounts):
        raise ValueError(f"a higher tier pays no less: {tiers}")
    return max((amount for threshold, amount in tiers if cumulative_loss >= threshold), default=0)


def top_up(owed: int, paid_before: int) -> int:
    """Eq. (I62): payment when a further tier is reached, max(owed − paid before, 0). [fen]

    Source: project rule: an event and tier pay once, a late revision never takes money back here. Verified: no.

    >>> top_up(owed=5_000, paid_before=1_000), top_up(owed=1_000, paid_before=5_000)
    (4000, 0)
    """
    return max(owed - paid_before, 0)

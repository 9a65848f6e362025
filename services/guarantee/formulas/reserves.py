"""Reserves a guarantor sets aside.        docs/equations/guarantee.md (G30)-(G32)"""

from services.guarantee.formulas.fen import share_up


def unearned_premium_reserve(fee_income: int, share_bp: int) -> int:
    """Eq. (G30): unearned premium reserve, share·fee income of the year. [fen]

    Source: interim measures of 2010 art. 31, as quoted. Verified: secondary.

    >>> unearned_premium_reserve(100_000_000, share_bp=5_000)
    50000000
    """
    return share_up(fee_income, share_bp)


def compensation_reserve_target(liability: int, target_bp: int) -> int:
    """Eq. (G31): compensation reserve at which the yearly addition ends, target·liability. [fen]

    Source: interim measures of 2010 art. 31, as quoted. Verified: secondary.

    >>> compensation_reserve_target(10_000_000_000, target_bp=1_000)
    1000000000
    """
    return share_up(liability, target_bp)


def compensation_reserve_addition(
    liability: int, reserve: int, addition_bp: int, target_bp: int, reached_before: bool
) -> int:
    """Eq. (G32): smallest addition of a year, min(1 %·liability, gap) on the way, the whole gap once reached. [fen]

    Source: interim measures of 2010 art. 31, as quoted. Verified: secondary.

    >>> compensation_reserve_addition(10_000_000_000, 0, 100, 1_000, reached_before=False)
    100000000
    """
    gap = max(compensation_reserve_target(liability, target_bp) - reserve, 0)
    return gap if reached_before else min(share_up(liability, addition_bp), gap)

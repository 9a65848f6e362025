"""Fees of guarantee and re-guarantee, and the technical price.        docs/equations/guarantee.md (G25)-(G29)"""

from collections.abc import Sequence

from services.guarantee.formulas.fen import BASIS, whole_fen


def fee_rate(obligor_total: int, threshold: int, small_rate: float, large_rate: float) -> float:
    """Eq. (G25): fee rate by the size of the obligor, small up to the threshold included. [1/yr]

    Source: national financing guarantee fund terms 2019 for the re-guarantee tiers. Verified: read.

    >>> [fee_rate(x, 500_000_000, 0.003, 0.005) for x in (500_000_000, 500_000_001)]
    [0.003, 0.005]
    """
    return small_rate if obligor_total <= threshold else large_rate


def guarantee_fee(guaranteed: Sequence[int], rate: float) -> int:
    """Eq. (G26): fee of a guarantee for its term, rate·Σ guaranteed/12 over its months. [fen]

    guaranteed  what is guaranteed in each month: of a loan repaid in parts it falls

    Source: textbook; the rate is policy. Verified: no.

    >>> guarantee_fee([240_000_000] * 18, rate=0.01), guarantee_fee([300, 200, 100], rate=0.12)
    (3600000, 6)
    """
    if rate < 0 or any(one < 0 for one in guaranteed):
        raise ValueError(f"no fee at {rate} from {guaranteed}")
    return whole_fen(sum(guaranteed) * rate / 12)


def reguarantee_fee(amount: int, share_bp: int, rate: float, months: int) -> int:
    """Eq. (G27): fee to a re-guarantor, rate·share·amount·months/12. [fen]

    Source: national financing guarantee fund terms 2019. Verified: read.

    >>> reguarantee_fee(500_000_000, share_bp=2_000, rate=0.003, months=12)
    300000
    """
    if amount < 0 or not 0 <= share_bp <= BASIS or rate < 0 or months < 0:
        raise ValueError(f"no fee from {amount}, {share_bp}, {rate}, {months}")
    return whole_fen(amount * share_bp * rate * months / 12 / BASIS)


def technical_price(
    default_probability: float,
    loss_given_default: float,
    recovery_rate: float,
    cost_rate: float,
    hurdle_rate: float,
    capital_rate: float,
) -> float:
    """Eq. (G28): rate that pays for a retained exposure, PD·LGD·(1 − recovery) + cost + hurdle·capital. [1/yr]

    All as shares of the retained exposure. When LGD already nets recovery, recovery_rate is 0: never twice.

    Source: ours. Verified: no.

    >>> round(technical_price(0.03, 0.5, 0.2, cost_rate=0.004, hurdle_rate=0.08, capital_rate=0.1), 6)
    0.024
    """
    return default_probability * loss_given_default * (1 - recovery_rate) + cost_rate + hurdle_rate * capital_rate


def fee_subsidy(technical_price: float, fee_rate: float) -> float:
    """Eq. (G29): how far a policy fee lies below the technical price, max(p* − fee, 0). [1/yr]

    Source: ours. Verified: no.

    >>> round(fee_subsidy(0.024, 0.01), 6)
    0.014
    """
    return max(technical_price - fee_rate, 0.0)

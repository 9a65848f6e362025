"""Who receives a payout: loss payees by rank, then the owner.        docs/equations/insurance.md (I63)-(I66)

b  interests, live balances of the lenders in rank order at the day of payment  [fen]
"""

from collections.abc import Sequence


def lender_payments(payout: int, interests: Sequence[int]) -> list[int]:
    """Eq. (I63): payments to lenders by rank, pᵢ = min(payout − Σ earlier p, bᵢ). [fen]

    Source: trade press on loss-payee clauses, interest as it may appear. Verified: secondary.

    >>> lender_payments(10_000_001, [6_000_000, 5_000_000])
    [6000000, 4000001]
    """
    if payout < 0 or any(interest < 0 for interest in interests):
        raise ValueError(f"a payout and an interest are not below 0: {payout}, {list(interests)}")
    rest, payments = payout, []
    for interest in interests:
        payments.append(min(rest, interest))
        rest -= payments[-1]
    return payments


def owner_payment(payout: int, lender_payments: Sequence[int]) -> int:
    """Eq. (I64): payment to the owner, payout − Σ p. [fen]

    Source: trade press on loss-payee clauses. Verified: secondary.

    >>> owner_payment(10_000_001, [6_000_000, 4_000_001])
    0
    """
    rest = payout - sum(lender_payments)
    if rest < 0:
        raise ValueError(f"lenders cannot receive more than the payout: {payout}, {list(lender_payments)}")
    return rest


def breach_payments(payout: int, interests: Sequence[int], *, lender_clause: bool) -> list[int]:
    """Eq. (I65): payments to lenders when the owner broke the policy, by rank under a lender clause, else 0. [fen]

    The owner receives nothing in either case.

    Source: trade press on US forms; open for a Chinese first beneficiary. Verified: secondary.

    >>> [breach_payments(300_000, [250_000], lender_clause=clause) for clause in (True, False)]
    [[250000], [0]]
    """
    return lender_payments(payout if lender_clause else 0, interests)


def subrogated_claim(breach_payments: Sequence[int]) -> int:
    """Eq. (I66): claim on the owner that passes to the insurer after paying in spite of a breach, Σ p. [fen]

    Source: trade press on US forms. Verified: secondary.

    >>> subrogated_claim([250_000])
    250000
    """
    return sum(breach_payments)

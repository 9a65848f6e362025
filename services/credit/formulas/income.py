"""What a pledged forest earns, issuance by issuance.        docs/equations/credit.md (C92)

t  tonnes expected at a verification      s  share of them that is pledged      p  price of a tonne
"""


def issuance_income(tonnes: float, share: float, price: float) -> float:
    """Eq. (C92): income of the pledged part of one issuance at a price, t·s·p. [CNY]

    Undiscounted and before costs: what reaches the account in that year, not what it is worth today.
    Source: definition; no.

    >>> issuance_income(10_000.0, 0.5, 80.0)
    400000.0
    """
    if tonnes < 0 or not 0 <= share <= 1 or price < 0:
        raise ValueError(f"tonnes and price cannot be negative, and a share lies in 0 to 1: {tonnes}, {share}, {price}")
    return tonnes * share * price

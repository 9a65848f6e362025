"""How a scheme splits an amount between its parties.        docs/equations/guarantee.md (G4)-(G8)

Shares are basis points and sum to 10,000; amounts are whole fen. Parties stand in one fixed order, which breaks ties.
"""

from collections.abc import Mapping, Sequence

from services.guarantee.formulas.fen import BASIS, share_up

PARTIES = ("primary", "province", "national", "bank", "pool")


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Eq. (G4): split by weights, ⌊amount·w/Σw⌋ and the missing fen to the largest remainders, ties first. [fen]

    Source: largest-remainder method; the tie rule is ours. Verified: measured.

    >>> largest_remainder(1_000_001, [4_000, 3_000, 2_000, 1_000])
    [400001, 300000, 200000, 100000]
    """
    whole = sum(weights)
    if amount < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError(f"cannot split {amount} by {list(weights)}")
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % whole), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def split(amount: int, shares_bp: Mapping[str, int]) -> dict[str, int]:
    """Eq. (G5): what each party bears of an amount pari passu, largest remainder in the order of PARTIES. [fen]

    Source: Anhui 4-3-2-1 for the example. Verified: read.

    >>> split(1_000_001, {"primary": 4_000, "province": 3_000, "bank": 2_000, "pool": 1_000})
    {'primary': 400001, 'province': 300000, 'national': 0, 'bank': 200000, 'pool': 100000}
    """
    unknown = set(shares_bp) - set(PARTIES)
    weights = [shares_bp.get(party, 0) for party in PARTIES]
    if unknown or sum(weights) != BASIS or min(weights) < 0:
        raise ValueError(f"shares name the five parties, are not below 0 and sum to {BASIS}: {dict(shares_bp)}")
    return dict(zip(PARTIES, largest_remainder(amount, weights), strict=True))


def first_loss_split(amount: int, layers: Mapping[str, int], order: Sequence[str]) -> dict[str, int]:
    """Eq. (G6): what each party bears first loss, min(rest, its layer) in the agreed order. [fen]

    What is left after the last layer stays with the bank, which gave the loan.

    Source: first-loss guarantee, textbook. Verified: no.

    >>> first_loss_split(90, {"pool": 20, "primary": 50}, order=["pool", "primary"])
    {'pool': 20, 'primary': 50, 'bank': 20}
    """
    if amount < 0 or any(layers[party] < 0 for party in order) or len(set(order)) != len(order):
        raise ValueError(f"no first-loss split of {amount} by {dict(layers)} in order {list(order)}")
    borne, rest = {}, amount
    for party in order:
        borne[party] = min(rest, layers[party])
        rest -= borne[party]
    borne["bank"] = borne.get("bank", 0) + rest
    return borne


def bank_share_sufficient(bank_bp: int, minimum_bp: int) -> bool:
    """Eq. (G7): the bank keeps its part, δ ≥ minimum, the number included. [-]

    Source: national financing guarantee fund terms 2019. Verified: read.

    >>> bank_share_sufficient(2_000, minimum_bp=2_000), bank_share_sufficient(1_999, minimum_bp=2_000)
    (True, False)
    """
    return bank_bp >= minimum_bp


def tiered_cover(loan: int, threshold: int, small_bp: int, large_bp: int, maximum: int) -> int:
    """Eq. (G8): guaranteed part of a loan by size, min(share·loan, maximum), small up to the threshold included. [fen]

    Source: US SBA 7(a) terms, for comparison. Verified: read.

    >>> tiered_cover(15_000_100, 15_000_000, small_bp=8_500, large_bp=7_500, maximum=375_000_000)
    11250075
    """
    return min(share_up(loan, small_bp if loan <= threshold else large_bp), maximum)

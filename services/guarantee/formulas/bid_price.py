"""Placing by prices of room.        docs/equations/guarantee.md (G67)-(G70)

v  value of a placing  [fen]      λ  price of each limit  [fen per unit of use]
R  use of each limit              b  room of each limit
"""

from collections.abc import Mapping, Sequence

Limit = tuple[str, str]


def placing_value(
    amount: float, carbon: float, default_probability: float, loss_given_default: float, primary_share: float,
    k_amount: float, k_carbon: float, k_el: float,
) -> float:  # fmt: skip
    """Eq. (G67): what placing a loan is worth, k_A·A + k_C·C − k_L·PD·LGD·α·A. [fen]

    Source: objective of a queue, ours; its coefficients are policy. Verified: no.

    >>> placing_value(1_000_000, 200_000, 0.03, 0.5, 0.4, k_amount=1.0, k_carbon=0.5, k_el=3.0)
    1082000.0
    """
    lost = default_probability * loss_given_default * primary_share * amount
    return k_amount * amount + k_carbon * carbon - k_el * lost


def price_of_use(uses: Mapping[Limit, int], prices: Mapping[Limit, float]) -> float:
    """Eq. (G68): what the room that a placing takes is worth to others, λ·R. [fen]

    Source: Lagrangian relaxation, textbook. Verified: no.

    >>> price_of_use({("headroom", ""): 100, ("pool", "youyu"): 50}, {("headroom", ""): 0.5})
    50.0
    """
    return sum(prices.get(limit, 0.0) * use for limit, use in uses.items())


def worth_its_room(value: float, price: float) -> bool:
    """Eq. (G69): a placing is taken if it is worth more than its room, v > λ·R. [-]

    Source: bid prices, textbook; measured against the best placing of whole queues. Verified: measured.

    >>> worth_its_room(100.0, 99.5), worth_its_room(100.0, 100.0)
    (True, False)
    """
    return value > price


def lagrangian_bound(prices: Sequence[float], room: Sequence[float], best_reduced: Sequence[float]) -> float:
    """Eq. (G70): no placing is worth more than L(λ) = λ·b + Σ max(0, max_j (v − λ·R)), whatever λ ≥ 0. [fen]

    Source: Lagrangian relaxation, checked by enumeration. Verified: measured.

    >>> lagrangian_bound([25.5], [6], [-1, 15, 23.5, 20.5, 13.5, 0.5])
    226.0
    """
    return sum(p * b for p, b in zip(prices, room, strict=True)) + sum(max(0.0, best) for best in best_reduced)

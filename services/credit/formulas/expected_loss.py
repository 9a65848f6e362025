"""Expected loss and who bears it.        docs/equations/credit.md (C41)-(C47)

Legs stand in the order of the contract: an `Amount` pays up to its limit (sale of the pledge, insurer), `Shares` divide
what is then left in fixed proportions (guarantor, re-guarantor …), and the bank keeps the rest. Amounts are whole fen,
so parts sum exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BANK = "bank"
_PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Amount:
    """A leg that pays the loss up to a limit."""

    leg: str
    limit_fen: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Legs that bear fixed shares of the loss left when their turn comes."""

    shares: tuple[tuple[str, float], ...]


Stage = Amount | Shares


def expected_loss(probability: float, loss_given_default: float, exposure: float) -> float:
    """Eq. (C41): expected loss, PD·LGD·EAD. [CNY]

    Source: definition; no.

    >>> expected_loss(0.25, 0.5, 1_000_000)
    125000.0
    """
    return probability * loss_given_default * exposure


def loss_split(loss_fen: int, stages: Sequence[Stage]) -> dict[str, int]:
    """Eq. (C42): loss borne by each leg in contract order; the bank keeps the rest. [fen]

    A share is taken to the millionth and its fen are rounded down, so a doubtful fen stays with the bank.
    Source: our own rule; the order of the legs is a contract term; no.

    >>> stages = [Amount("carbon", 30_000_000), Amount("insurer", 10_000_000), Shares((("guarantor", 0.8),))]
    >>> loss_split(100_000_000, stages)
    {'carbon': 30000000, 'insurer': 10000000, 'guarantor': 48000000, 'bank': 12000000}
    """
    if loss_fen < 0:
        raise ValueError(f"a loss is not negative, got {loss_fen}")
    left, parts = loss_fen, dict[str, int]()
    for stage in stages:
        if isinstance(stage, Amount):
            bearings = [(stage.leg, min(left, max(0, stage.limit_fen)))]
        else:
            weights = [round(share * _PARTS) for _, share in stage.shares]
            if min(weights, default=0) < 0 or sum(weights) > _PARTS:
                raise ValueError(f"shares of a loss lie in [0, 1] and sum to at most 1: {stage.shares}")
            bearings = [(leg, left * weight // _PARTS) for (leg, _), weight in zip(stage.shares, weights, strict=True)]
        for leg, borne in bearings:
            if leg in parts or leg == BANK:
                raise ValueError(f"leg {leg!r} stands twice in the contract")
            parts[leg] = borne
        left -= sum(borne for _, borne in bearings)
    parts[BANK] = left
    return parts


def mixed_split(
    without_fire: Mapping[str, int], with_fire: Mapping[str, int], fire_probability_given_default: float
) -> dict[str, int]:
    """Eq. (C43): loss borne by each leg over fire and no fire, (1 − π)·part + π·part given fire. [fen]

    Both splits must divide the same loss; whole fen go to the largest remainders, so the sum is that loss again.
    Source: law of total expectation; no.

    >>> mixed_split({"insurer": 0, "bank": 100}, {"insurer": 60, "bank": 40}, 0.25)
    {'insurer': 15, 'bank': 85}
    """
    if set(without_fire) != set(with_fire) or sum(without_fire.values()) != sum(with_fire.values()):
        raise ValueError("both splits must name the same legs and divide the same loss")
    exact = {
        leg: (1 - fire_probability_given_default) * part + fire_probability_given_default * with_fire[leg]
        for leg, part in without_fire.items()
    }
    return _whole(exact, sum(without_fire.values()))


def expected_loss_split(probability: float, parts: Mapping[str, int]) -> dict[str, int]:
    """Eq. (C44): expected loss of each leg, PD·part; the parts sum to PD times the loss before legs. [fen]

    Source: linearity of expectation; whole fen by largest remainder; no.

    >>> expected_loss_split(0.02, {"carbon": 30_000_000, "insurer": 10_000_000, "guarantor": 48_000_000,
    ...     "bank": 12_000_000})
    {'carbon': 600000, 'insurer': 200000, 'guarantor': 960000, 'bank': 240000}
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability lies in [0, 1], got {probability}")
    return _whole({leg: probability * part for leg, part in parts.items()}, round(probability * sum(parts.values())))


def bank_losses_without(loss_fen: int, stages: Sequence[Stage]) -> dict[str, int]:
    """Eq. (C45): the bank's loss when one leg alone is taken out, for each leg. [fen]

    Leave-one-out: the other legs move up and bear what they can. Two marginal worths never add up.
    Source: our own rule; no.

    >>> bank_losses_without(1000, [Amount("insurer", 400), Shares((("guarantor", 0.8),))])
    {'insurer': 200, 'guarantor': 600}
    """
    legs = [leg for stage in stages for leg in _legs(stage)]
    return {leg: loss_split(loss_fen, [_without(stage, leg) for stage in stages])[BANK] for leg in legs}


def leg_worth_bp(
    loss_without: float,
    loss_with: float,
    exposure: float,
    probability: float,
    capital_per_lgd: float = 0.0,
    capital_spread: float = 0.0,
) -> float:
    """Eq. (C46): worth of a leg in rate, ΔLGD·(PD + capital per LGD·(hurdle − funding)) · 10⁴. [bp]

    ΔLGD = (loss without − loss with) / exposure. Capital is linear in LGD, so this is the difference of two break-even
    rates (C50); with no capital arguments it is the expected loss alone.
    Source: difference of two break-even rates, our own arithmetic; no.

    >>> round(leg_worth_bp(45, 9, 100, 0.02, capital_per_lgd=0.092973 / 0.45, capital_spread=0.091), 2)
    139.68
    """
    return (loss_without - loss_with) / exposure * (probability + capital_per_lgd * capital_spread) * 1e4


def retained_share(shares: Sequence[float]) -> float:
    """Eq. (C47): share of the loss the bank keeps beside the sharing legs, 1 − Σ shares. [-]

    Source: national financing guarantee fund terms of 2019 ask for at least 20 %; secondary.

    >>> retained_share([0.4, 0.3, 0.1])
    0.2
    """
    return round(1 - sum(shares), 12)


def _legs(stage: Stage) -> list[str]:
    return [stage.leg] if isinstance(stage, Amount) else [leg for leg, _ in stage.shares]


def _without(stage: Stage, leg: str) -> Stage:
    if isinstance(stage, Amount):
        return Amount(stage.leg, 0) if stage.leg == leg else stage
    return Shares(tuple((name, 0.0 if name == leg else share) for name, share in stage.shares))


def _whole(exact: Mapping[str, float], total: int) -> dict[str, int]:
    whole = {leg: int(value) for leg, value in exact.items()}
    by_remainder = sorted(exact, key=lambda leg: exact[leg] - whole[leg], reverse=True)
    left = total - sum(whole.values())
    for position in range(abs(left)):
        leg = (
            by_remainder[position % len(by_remainder)] if left > 0 else by_remainder[-1 - position % len(by_remainder)]
        )
        whole[leg] += 1 if left > 0 else -1
    return whole

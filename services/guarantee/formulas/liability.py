"""Liability balance of a guarantor and the room left under its limits.        docs/equations/guarantee.md (G9)-(G24)

x   obligor_total, what the guarantor bears for one obligor  [fen]      T  threshold of the small-business weight
B   liability balance, Σ weight·amount borne  [fen]                     NA net assets, not consolidated  [fen]
In Chinese drafting 以上, 以下, 以内 include the number (Civil Code art. 1259): every threshold here contains itself.
"""

from collections.abc import Mapping

from services.guarantee.formulas.fen import share_down, share_up


def liability_weight(
    obligor_total: int, small_or_farmer: bool, threshold: int, small_weight_bp: int, full_weight_bp: int
) -> int:
    """Eq. (G9): weight of an obligor's business, the small one for small and farmer obligors with x ≤ T. [bp]

    Source: liability measure of 2018 as implemented by one agricultural guarantor. Verified: secondary.

    >>> [liability_weight(x, True, 500_000_000, 7_500, 10_000) for x in (500_000_000, 500_000_001)]
    [7500, 10000]
    """
    return small_weight_bp if small_or_farmer and obligor_total <= threshold else full_weight_bp


def weighted_liability(amount: int, weight_bp: int) -> int:
    """Eq. (G10): liability of an amount borne, w·x, a fraction of a fen counted whole. [fen]

    Source: liability measure of 2018 as implemented by one agricultural guarantor. Verified: secondary.

    >>> weighted_liability(480_000_000, 7_500)
    360000000
    """
    if amount < 0 or weight_bp < 0:
        raise ValueError(f"amount and weight are not below 0: {amount}, {weight_bp}")
    return share_up(amount, weight_bp)


def marginal_liability(
    existing: int, new: int, small_or_farmer: bool, threshold: int, small_weight_bp: int, full_weight_bp: int
) -> int:
    """Eq. (G11): liability that a new amount adds, f(e + a) − f(e) with f(x) = w(x)·x: it jumps at the flip. [fen]

    Source: derived from the weights. Verified: measured.

    >>> marginal_liability(480_000_000, 30_000_000, True, 500_000_000, 7_500, 10_000)
    150000000
    """
    before = liability_weight(existing, small_or_farmer, threshold, small_weight_bp, full_weight_bp)
    after = liability_weight(existing + new, small_or_farmer, threshold, small_weight_bp, full_weight_bp)
    return weighted_liability(existing + new, after) - weighted_liability(existing, before)


def room_below_flip(existing: int, threshold: int) -> int:
    """Eq. (G12): largest amount that still keeps the small weight, max(T − e, 0). [fen]

    Source: derived from the weights. Verified: measured.

    >>> room_below_flip(480_000_000, threshold=500_000_000)
    20000000
    """
    return max(threshold - existing, 0)


def weight_flips(existing: int, new: int, small_or_farmer: bool, threshold: int) -> bool:
    """Eq. (G13): a new amount moves the whole obligor to the full weight, e ≤ T < e + a. [-]

    Source: derived from the weights. Verified: measured.

    >>> [weight_flips(480_000_000, new, True, 500_000_000) for new in (30_000_000, 20_000_000)]
    [True, False]
    """
    return small_or_farmer and existing <= threshold < existing + new


def net_assets_for_ratios(net_assets: int, equity_in_guarantors: int) -> int:
    """Eq. (G14): net assets that limits are measured on, NA less equity in other guarantors, at least 0. [fen]

    Source: product rules of a Xiamen guarantor; article of the 2018 measure not seen. Verified: secondary.

    >>> net_assets_for_ratios(1_000, equity_in_guarantors=200)
    800
    """
    return max(net_assets - equity_in_guarantors, 0)


def leverage_multiple(
    small_balance_share: float,
    small_household_share: float,
    balance_test: float,
    household_test: float,
    base_multiple: int,
    small_multiple: int,
) -> int:
    """Eq. (G15): multiple of net assets a guarantor may write, the larger one if it mainly serves small business. [-]

    Source: State Council Order 683 art. 15 for 10 and 15; the two tests are from memory. Verified: no.

    >>> leverage_multiple(0.5, 0.8, 0.5, 0.8, 10, 15), leverage_multiple(0.49, 0.8, 0.5, 0.8, 10, 15)
    (15, 10)
    """
    mainly_small = small_balance_share >= balance_test and small_household_share >= household_test
    return small_multiple if mainly_small else base_multiple


def leverage_room(net_assets: int, multiple: int, liability: int, held: int) -> int:
    """Eq. (G16): liability a guarantor can still take on, multiple·NA − B − held; below 0 it is over its limit. [fen]

    Source: State Council Order 683 art. 15. Verified: read.

    >>> leverage_room(20_000_000_000, 15, liability=230_000_000_000, held=0)
    70000000000
    """
    return multiple * net_assets - liability - held


def concentration_room(net_assets: int, limit_bp: int, liability: int, held: int) -> int:
    """Eq. (G17): liability still possible for one obligor or group, ⌊limit·NA⌋ − B − held, the number included. [fen]

    Source: State Council Order 683 art. 16 (10 % obligor, 15 % group). Verified: read.

    >>> concentration_room(20_000_000_000, 1_000, liability=1_800_000_000, held=0)
    200000000
    """
    return share_down(net_assets, limit_bp) - liability - held


def county_room(net_assets: int, multiple: int, share_bp: int, liability: int, held: int) -> int:
    """Eq. (G18): liability still possible in a county, ⌊share·multiple·NA⌋ − B − held. [fen]

    Source: internal cap, project rule. Verified: no.

    >>> county_room(1_000, multiple=10, share_bp=3_000, liability=1_000, held=500)
    1500
    """
    return share_down(multiple * net_assets, share_bp) - liability - held


def binding_room(rooms: Mapping[str, int]) -> tuple[str, int]:
    """Eq. (G19): the limit that binds and its room, the smallest of all; equal rooms by the order given. [-, fen]

    Source: project rule: a refusal names its limit. Verified: no.

    >>> binding_room({"obligor": 200_000_000, "group": 50_000_000})
    ('group', 50000000)
    """
    name = min(rooms, key=lambda limit: rooms[limit])
    return name, rooms[name]


def pool_room(pool_balance: int, pool_multiple: int, promised: int, held: int) -> int:
    """Eq. (G20): what a county's reimbursement pool can still promise, multiple·balance − promised − held. [fen]

    Source: project rule; Civil Code art. 683 keeps the pool from being cover. Verified: no.

    >>> pool_room(1_000, pool_multiple=5, promised=3_000, held=500)
    1500
    """
    return pool_multiple * pool_balance - promised - held


def loss_rate_use(default_probability: float, cap: float, borne: int) -> float:
    """Eq. (G21): use of the loss-rate slack of a scheme, (PD − cap)·borne; below 0 it gives slack. [fen]

    Source: linear form of the loss-rate cut-off, ours. Verified: no.

    >>> loss_rate_use(0.0625, cap=0.03125, borne=1_000)
    31.25
    """
    return (default_probability - cap) * borne


def loss_rate(paid: int, released: int) -> float:
    """Eq. (G22): loss rate of a window, paid / released; nothing released is 0. [-]

    Source: batch guarantee contracts. Verified: no.

    >>> loss_rate(paid=30, released=1_000)
    0.03
    """
    return paid / released if released else 0.0


def contract_liability(balance: int, weight_bp: int) -> int:
    """Eq. (G23): liability in the regulator's report of one guarantor, weight·contract balance, no share. [fen]

    Source: public code of an agricultural guarantor. Verified: read.

    >>> contract_liability(400_000_000, weight_bp=7_500)
    300000000
    """
    return share_up(balance, weight_bp)


def borne_liability(balance: int, share_bp: int) -> int:
    """Eq. (G24): liability in the industry report of the same guarantor, share·balance, no weight. [fen]

    Source: public code of an agricultural guarantor. Verified: read.

    >>> borne_liability(400_000_000, share_bp=8_000)
    320000000
    """
    return share_up(balance, share_bp)

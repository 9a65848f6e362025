"""The same queue under other limits, in seconds: prices begin where they were, and no integer core is solved."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.guarantee.allocation.allocate import Allocation, allocate
from services.guarantee.allocation.placing import NONE
from services.guarantee.allocation.queue_file import WHOLE_BP, Bucket, Guarantor, Queue
from services.guarantee.allocation.refusal import InfeasibleError, QueueError
from services.guarantee.allocation.search import Effort

#: What net assets carry of a related group's limit: 15 % of them. [bp]
_GROUP_BP = 1500
QUICK = Effort(price_steps=80, lines=1, sifts=4, line_columns=100_000, cores=0)


def changed(queue: Queue, change: str) -> Queue:
    """A queue after `net_assets:-20` (per cent), `quota:50` (per cent that is left) or `cut_off:GUARANTOR`."""
    kind, _, given = change.partition(":")
    if kind == "net_assets" and _is_whole(given) and -100 <= int(given) <= 0:
        lost = {one.id: one.net_assets * -int(given) // 100 for one in queue.guarantors}
        by_id = {one.id: one for one in queue.guarantors}
        return replace(
            queue,
            guarantors=tuple(_poorer(one, int(given)) for one in queue.guarantors),
            buckets=tuple(_less(one, by_id, lost) for one in queue.buckets),
        )
    if kind == "quota" and _is_whole(given) and 0 <= int(given) <= 100:
        return replace(
            queue,
            buckets=tuple(
                replace(one, cap=one.cap * int(given) // 100) if one.kind in ("province", "national") else one
                for one in queue.buckets
            ),
        )
    if kind == "cut_off" and given in {one.id for one in queue.guarantors}:
        return replace(queue, contracts=tuple(one for one in queue.contracts if one.guarantor != given))
    raise QueueError("what-if", f"{change!r} is none of net_assets:-20, quota:50, cut_off:GUARANTOR")


def what_if(made: Allocation, change: str) -> dict[str, Any]:
    """Value and bound under other limits, and which loans lose or gain their place."""
    queue = made.problem.queue
    prices = {one.id: float(price) for one, price in zip(queue.buckets, made.sharp_prices, strict=False)}
    try:
        other = allocate(changed(queue, change), QUICK, warm=prices)
    except InfeasibleError as error:
        return {"change": change, "infeasible": str(error)}
    before, after = made.placing.chosen != NONE, other.placing.chosen != NONE
    names = [one.id for one in queue.loans]
    return {
        "change": change,
        "value": other.value,
        "bound": other.sharp_bound,
        "gap": other.gap,
        "lost_value": made.value - other.value,
        "lose_their_place": [name for name, was, now in zip(names, before, after, strict=True) if was and not now],
        "gain_a_place": [name for name, was, now in zip(names, before, after, strict=True) if now and not was],
    }


def _poorer(one: Guarantor, percent: int) -> Guarantor:
    cap = None if one.single_cap is None else one.single_cap * (100 + percent) // 100
    return replace(one, net_assets=one.net_assets * (100 + percent) // 100, single_cap=cap)


def _less(one: Bucket, guarantors: Mapping[str, Guarantor], lost: Mapping[str, int]) -> Bucket:
    """What a limit loses when net assets are lost that it is a multiple or a share of."""
    if one.kind == "headroom":
        return replace(one, cap=max(one.cap - guarantors[one.keys[0]].leverage * lost[one.keys[0]], 0))
    if one.kind == "group":
        return replace(one, cap=max(one.cap - _GROUP_BP * lost[one.keys[0]] // WHOLE_BP, 0))
    return one


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 6

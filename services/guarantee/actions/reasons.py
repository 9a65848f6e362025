"""Why there is no guarantee, in Chinese and English, with the rule and where it stands."""

from collections.abc import Iterator
from decimal import Decimal

from services.guarantee.actions.capacity import Measure
from services.guarantee.actions.schemes import Scheme
from services.guarantee.tables import Profile
from shared import money
from shared.events.parts import Reason
from shared.parameters import InForce

NO_PROFILE = Reason(
    code="profile.missing",
    zh="担保机构尚未设置额度档案，没有可占用的额度；请先提交档案。",
    en="The guarantor has set no profile, so there is no capacity to hold; it has to set one first.",
)
CHANGED = Reason(
    code="request.changed",
    zh="同一笔贷款已按不同的条件占用额度；请先撤销，再重新申请。",
    en="Capacity is held for this loan under other terms; undo that first, then ask again.",
)
TOO_LATE = Reason(
    code="deadline.passed",
    zh="答复期限已过，不再占用额度。",
    en="The time to answer is over; no capacity is held.",
)
NO_AMOUNT = Reason(
    code="request.empty",
    zh="贷款金额或期限为零，无可担保。",
    en="The loan has no amount or no term; there is nothing to guarantee.",
)
ASKED_ALREADY = Reason(
    code="loan.asked",
    zh="该贷款已申请过担保，或另一次分配已为其占用额度。",
    en="A guarantee was asked for this loan already, or another allocation holds room for it.",
)


def unknown_scheme(name: str) -> Reason:
    """No such scheme is in force."""
    return Reason(
        code="scheme.unknown",
        zh=f"没有名为“{name}”的有效分担方案。",
        en=f"No sharing scheme named {name!r} is in force.",
    )


def bank_share_too_small(scheme: Scheme, minimum_bp: int, p: InForce) -> Reason:
    """The bank would keep too little of the risk."""
    source = p.entries["bank_minimum_share"].source
    kept = _percent(scheme.shares.get("bank", 0))
    return Reason(
        code="scheme.bank_share",
        zh=f"方案 {scheme.name} 中银行仅承担 {kept}，低于最低 {_percent(minimum_bp)}（依据：{source}）。",
        en=f"Under {scheme.name} the bank keeps {kept}, at least {_percent(minimum_bp)} is needed ({source}).",
    )


def default_too_likely(default_probability: Decimal, ceiling: Decimal, source: str) -> Reason:
    """The loan is riskier than the guarantor accepts."""
    found, most = f"{default_probability * 100:.2f} %", f"{ceiling * 100:.2f} %"
    return Reason(
        code="default_probability",
        zh=f"违约概率 {found} 超过可接受上限 {most}（依据：{source}）。",
        en=f"The default probability of {found} is above the accepted {most} ({source}).",
    )


def no_room(measures: list[Measure], profile: Profile, scheme: Scheme, p: InForce) -> Iterator[Reason]:
    """A limit has no room: what it is, what was needed, what was left, and where the rule stands."""
    for one in measures:
        zh, en, source = _rule(one.kind, one.key, profile, scheme, p)
        need, room = money.from_fen(one.need), money.from_fen(one.room)
        yield Reason(
            code=f"limit.{one.kind}",
            zh=f"{zh}：需要 {need:,} 元，剩余 {room:,} 元（依据：{source}）。",
            en=f"{en}: {need:,} CNY needed, {room:,} CNY left ({source}).",
        )


def room_too_dear(
    value: float, price: float, dearest: tuple[str, str], profile: Profile, scheme: Scheme, p: InForce
) -> Reason:
    """The loan is worth less than the room it would take is to others."""
    kind, key = dearest
    zh, en, source = _rule(kind, key, profile, scheme, p)
    worth, cost = money.from_fen(round(value)), money.from_fen(round(price))
    return Reason(
        code=f"price.{kind}",
        zh=f"该笔价值 {worth:,} 元，不高于其占用额度的影子价 {cost:,} 元；占比最大的限额：{zh}（依据：{source}）。",
        en=f"The loan is worth {worth:,} CNY and its room {cost:,} CNY to others; most of that is: {en} ({source}).",
    )


def _rule(kind: str, key: str, profile: Profile, scheme: Scheme, p: InForce) -> tuple[str, str, str]:
    own = f"guarantor's profile, version {profile.version}"
    if kind == "headroom":
        times = p["leverage_multiple"]["base" if profile.leverage_class == 10 else "small"]
        source = p.entries["leverage_multiple"].source
        return f"融资担保责任余额不超过净资产 {times} 倍", f"Liability balance of at most {times} x net assets", source
    if kind == "obligor":
        share, source = _percent(p["obligor_limit"]), p.entries["obligor_limit"].source
        return f"单户担保责任余额不超过净资产的 {share}", f"One obligor at most {share} of net assets", source
    if kind == "county":
        agreed = any(county.county == key and county.cap is not None for county in profile.counties)
        source = own if agreed else p.entries["county_cap"].source
        return f"县域（{key}）担保责任余额上限", f"Cap of the county {key}", source
    if kind == "pool":
        source = f"{own}; {p.entries['pool_multiple'].source}"
        return (
            f"{key} 代偿补偿资金池承诺不超过余额的 {p['pool_multiple']} 倍",
            f"Promises of the reimbursement pool of {key}, at most {p['pool_multiple']} x its balance",
            source,
        )
    if kind == "household":
        return f"方案 {scheme.name} 的单户上限", f"Most for one household under {scheme.name}", scheme.source
    if kind == "loss_rate":
        return "预期代偿率", "Expected loss rate", "queue of the allocation"
    if kind == "bank":
        return f"银行（{key}）额度", f"Appetite of the bank {key}", "queue of the allocation"
    if kind == "province":
        return "省级再担保额度", "Quota of the provincial re-guarantor", own
    return "国家融资担保基金额度", "Quota of the national fund", own


def weight_flip(borne_before: int, borne: int, added: int, room_below: int, p: InForce) -> Reason:
    """The obligor's total crosses the threshold, so all of it counts in full."""
    total, new = money.from_fen(borne_before + borne), money.from_fen(borne)
    liability, room = money.from_fen(added), money.from_fen(room_below)
    source = p.entries["small_threshold"].source
    return Reason(
        code="weight.flip",
        zh=f"该户总额升至 {total:,} 元，越过小微门槛：新增 {new:,} 元使责任余额增加 {liability:,} 元；"
        f"不超过 {room:,} 元则仍按小微权重（依据：{source}）。",
        en=f"The obligor's total of {total:,} CNY crosses the small-business threshold: {new:,} CNY of cover add"
        f" {liability:,} CNY of liability; up to {room:,} CNY would keep the small weight ({source}).",
    )


def cannot_issue(code: str, zh: str, en: str) -> Reason:
    """What stands in the way of issuing."""
    return Reason(code=f"issue.{code}", zh=zh, en=en)


def _percent(bp: int) -> str:
    return f"{Decimal(bp) / 100:f} %"

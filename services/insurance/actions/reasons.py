"""Why an insurer says no, in words an officer can read out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from shared.clock import BUSINESS
from shared.events.parts import Reason

COUNTIES = {
    "shuocheng": ("朔城区", "Shuocheng"),
    "pinglu": ("平鲁区", "Pinglu"),
    "shanyin": ("山阴县", "Shanyin"),
    "yingxian": ("应县", "Yingxian"),
    "youyu": ("右玉县", "Youyu"),
    "huairen": ("怀仁市", "Huairen"),
}
PERILS = {
    "fire": ("火灾", "fire"),
    "pest": ("病虫害", "pests"),
    "drought": ("旱灾", "drought"),
    "frost_snow": ("冻害雪灾", "frost and snow"),
    "wind": ("风灾", "wind"),
    "flood": ("洪涝", "flood"),
    "harvest": ("采伐", "harvest"),
}


def as_json(reasons: list[Reason]) -> list[Any]:
    """Reasons as they are stored."""
    return [{"code": reason.code, "zh": reason.zh, "en": reason.en} for reason in reasons]


def county_names(county: str) -> tuple[str, str]:
    """A county in Chinese and English; its code where it has no name here."""
    return COUNTIES.get(county, (county, county))


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(BUSINESS):%Y-%m-%d %H:%M}"


def no_forest() -> Reason:
    """The request names no forest."""
    return Reason(code="no_forest", zh="申请未列明任何林地。", en="The request names no forest.")


def hazard_too_high(county: str, peril: str, score: Decimal, ceiling: Decimal) -> Reason:
    """A peril's score at a site is above what the insurer takes."""
    (county_zh, county_en), (peril_zh, peril_en) = county_names(county), PERILS.get(peril, (peril, peril))
    return Reason(
        code="hazard_too_high",
        zh=f"{county_zh}林地的{peril_zh}风险评分为{score:.2f}，超过可承保上限{ceiling:.2f}。",
        en=f"A forest in {county_en} scores {score:.2f} for {peril_en}, above the highest insurable {ceiling:.2f}.",
    )


def valuation_expired(county: str, valid_until: date) -> Reason:
    """The forest's latest valuation is no longer valid."""
    zh, en = county_names(county)
    return Reason(
        code="valuation_expired",
        zh=f"{zh}林地的最新估值有效期至{valid_until}，已过期，请先重新估值。",
        en=f"The latest valuation of a forest in {en} was valid until {valid_until}; have it valued again first.",
    )


def beyond_tenure(county: str, ends_on: date, title_until: date) -> Reason:
    """The cover would outlast the right to the forest."""
    zh, en = county_names(county)
    return Reason(
        code="beyond_tenure",
        zh=f"{zh}林地权属期限至{title_until}，保险期间至{ends_on}，超出权属期限。",
        en=f"The title to a forest in {en} runs until {title_until}; the cover would last until {ends_on}.",
    )


def no_insurable_value(county: str) -> Reason:
    """Nothing of value is pledged, or the forest has none."""
    zh, en = county_names(county)
    return Reason(
        code="no_insurable_value",
        zh=f"{zh}林地没有可承保的碳汇价值。",
        en=f"A forest in {en} has no carbon value that can be insured.",
    )


def above_value(county: str, wanted: Decimal, limit: Decimal, value: Decimal) -> Reason:
    """More is to be insured than the forest is worth to insurance."""
    zh, en = county_names(county)
    return Reason(
        code="above_value",
        zh=f"{zh}林地拟承保{_money(wanted)}元，超过可承保上限{_money(limit)}元（价值{_money(value)}元）。",
        en=(
            f"{_money(wanted)} CNY is to be insured on a forest in {en}, above the limit of {_money(limit)} CNY on its"
            f" value of {_money(value)} CNY."
        ),
    )


def duplicate_cover(county: str, wanted: Decimal, carried: Decimal, limit: Decimal) -> Reason:
    """Earlier covers leave too little of the forest's insurable value."""
    zh, en = county_names(county)
    return Reason(
        code="duplicate_cover",
        zh=f"{zh}林地已承保{_money(carried)}元，再加{_money(wanted)}元将超过该林地可承保价值{_money(limit)}元。",
        en=(
            f"A forest in {en} is insured for {_money(carried)} CNY already; {_money(wanted)} CNY more would exceed its"
            f" insurable value of {_money(limit)} CNY."
        ),
    )


def capacity_exceeded(county: str, needed: Decimal, room: Decimal) -> Reason:
    """The insurer's capacity in a county, or in all of them, does not suffice."""
    zh, en = ("全市", "all counties together") if county == "all" else county_names(county)
    return Reason(
        code="total_capacity" if county == "all" else "county_capacity",
        zh=f"{zh}剩余承保额度{_money(room)}元，不足所需的{_money(needed)}元。",
        en=f"The insurer has room for {_money(room)} CNY in {en}; {_money(needed)} CNY is needed.",
    )


def place_unknown(limit: str) -> Reason:
    """A limit by place cannot be judged for a forest that has none."""
    return Reason(
        code="place_unknown",
        zh=f"无法判断累积限额“{limit}”：林地位置未知。",
        en=f"Whether the limit {limit} holds cannot be said: the place of a forest is not known.",
    )


def aggregate_exceeded(kind: str, name: str, needed: Decimal, cap: Decimal) -> Reason:
    """Too much would stand together."""
    zh, en = {
        "ring": (f"范围“{name}”内", f"within the ring {name}"),
        "zone": (f"区域“{name}”内", f"in the zone {name}"),
        "bank": (f"银行{name}名下", f"with the bank {name}"),
        "guarantor": (f"担保机构{name}名下", f"with the guarantor {name}"),
    }[kind]
    return Reason(
        code=f"aggregate_{kind}",
        zh=f"{zh}累积保险金额将达{_money(needed)}元，超过限额{_money(cap)}元。",
        en=f"{_money(needed)} CNY would be insured {en}, above the limit of {_money(cap)} CNY.",
    )


def sum_beyond_authority(total: Decimal, most: Decimal) -> Reason:
    """More than one person may write."""
    return Reason(
        code="sum_beyond_authority",
        zh=f"保险金额{_money(total)}元超过单人承保权限{_money(most)}元，须两人核准。",
        en=f"The sum insured of {_money(total)} CNY is above one person's authority of {_money(most)} CNY.",
    )


def rate_beyond_authority(deviation: Decimal, furthest: Decimal) -> Reason:
    """The technical rate is farther from the filed one than one person may decide."""
    return Reason(
        code="rate_beyond_authority",
        zh=f"技术费率偏离备案费率{deviation:.0%}，超过单人权限{furthest:.0%}，须两人核准。",
        en=f"The technical rate is {deviation:.0%} off the filed one, beyond one person's authority of {furthest:.0%}.",
    )


def referral_rejected() -> Reason:
    """A second person said no."""
    return Reason(code="referral_rejected", zh="转报核保未获核准。", en="The referred cover was not approved.")


def answer_too_late(answer_by: datetime) -> Reason:
    """The quote could not be given in time."""
    return Reason(
        code="answer_too_late",
        zh=f"未能在{_moment(answer_by)}前报价。",
        en=f"No quote could be given by {_moment(answer_by)}.",
    )


def valuation_missing(answer_by: datetime, county: str, version: int) -> Reason:
    """The valuation that credit judged never reached the insurer."""
    zh, en = county_names(county)
    return Reason(
        code="valuation_missing",
        zh=f"截至{_moment(answer_by)}，保险公司仍未收到{zh}林地的第{version}版估值。",
        en=f"Valuation {version} of a forest in {en} had not reached the insurer by {_moment(answer_by)}.",
    )


def no_quote() -> Reason:
    """There is nothing to bind."""
    return Reason(code="no_quote", zh="没有可生效的报价。", en="There is no standing quote to bind.")


def quote_expired(expires_at: datetime) -> Reason:
    """The quote is past its date."""
    return Reason(
        code="quote_expired",
        zh=f"报价已于{_moment(expires_at)}失效。",
        en=f"The quote expired at {_moment(expires_at)}.",
    )


def bind_too_late(bind_by: datetime) -> Reason:
    """The deadline for binding is past."""
    return Reason(
        code="bind_too_late",
        zh=f"承保期限{_moment(bind_by)}已过。",
        en=f"The deadline for binding, {_moment(bind_by)}, has passed.",
    )


def pledges_changed() -> Reason:
    """What was accepted is not what was quoted."""
    return Reason(
        code="pledges_changed",
        zh="接受的质押林地与报价时不一致。",
        en="The forests pledged are not those the quote was given for.",
    )


def reversal_since_quote(county: str, peril: str, occurred_on: date) -> Reason:
    """The forest was damaged after the quote."""
    (county_zh, county_en), (peril_zh, peril_en) = county_names(county), PERILS.get(peril, (peril, peril))
    return Reason(
        code="reversal_since_quote",
        zh=f"报价后获知{county_zh}林地于{occurred_on}发生{peril_zh}，须重新报价。",
        en=f"After the quote, {peril_en} of {occurred_on} was reported on a forest in {county_en}; get a new quote.",
    )


def value_fell(county: str, quoted: Decimal, current: Decimal) -> Reason:
    """The forest is worth less than when it was quoted, by more than is tolerated."""
    zh, en = county_names(county)
    return Reason(
        code="value_fell",
        zh=f"{zh}林地可承保价值由报价时的{_money(quoted)}元降至{_money(current)}元，须重新报价。",
        en=(
            f"The insurable value of a forest in {en} fell from {_money(quoted)} to {_money(current)} CNY since the"
            " quote; a new quote is needed."
        ),
    )


def small_fire(event_area_mu: Decimal, excluded_mu: Decimal) -> Reason:
    """The whole fire was too small for the policy."""
    return Reason(
        code="small_fire",
        zh=f"整场火灾过火面积{event_area_mu:.1f}亩，未超过免责面积{excluded_mu:.1f}亩。",
        en=f"The whole fire burnt {event_area_mu:.1f} mu, not more than the excluded {excluded_mu:.1f} mu.",
    )


def slight_pest(degree: Decimal, threshold: Decimal) -> Reason:
    """The pest damage stays under the policy's threshold."""
    return Reason(
        code="slight_pest",
        zh=f"病虫害损失程度{degree:.1%}，低于起赔线{threshold:.1%}。",
        en=f"The pest damage of {degree:.1%} is below the threshold of {threshold:.1%}.",
    )


def no_loss() -> Reason:
    """The event took no value."""
    return Reason(
        code="no_loss", zh="该事件未造成可承保价值损失。", en="The event took nothing of the insurable value."
    )


def sum_used_up(sum_insured: Decimal) -> Reason:
    """Earlier claims took the whole sum insured."""
    return Reason(
        code="sum_used_up",
        zh=f"该林地保险金额{_money(sum_insured)}元已由此前赔案用尽。",
        en=f"Earlier claims took the forest's whole sum insured of {_money(sum_insured)} CNY.",
    )


def below_deductible(loss: Decimal) -> Reason:
    """After the terms nothing is left to pay."""
    return Reason(
        code="below_deductible",
        zh=f"损失{_money(loss)}元按条款扣减后无应付赔款。",
        en=f"Nothing of the loss of {_money(loss)} CNY is payable after the policy's terms.",
    )


# -- notices of a loss ------------------------------------------------------------------------------------------------


def before_inception(inception: date, day: date) -> Reason:
    """The loss happened before there was cover."""
    return Reason(
        code="before_inception",
        zh=f"出险日{day}早于保险起期{inception}。",
        en=f"The loss of {day} happened before the cover began on {inception}.",
    )


def after_end(ends_on: date, day: date) -> Reason:
    """The loss happened when there was no cover any more."""
    return Reason(
        code="after_end",
        zh=f"出险日{day}时保险责任已于{ends_on}终止。",
        en=f"The loss of {day} happened after the cover ended on {ends_on}.",
    )


def peril_not_insured(peril: str) -> Reason:
    """The policy does not cover the peril."""
    zh, en = PERILS.get(peril, (peril, peril))
    return Reason(code="peril_not_insured", zh=f"保单不承保{zh}。", en=f"The policy does not cover {en}.")


def notice_rejected() -> Reason:
    """A second person rejected a flagged claim."""
    return Reason(code="notice_rejected", zh="经复核，该报案不予赔付。", en="A second person rejected this claim.")


def late_notice(days: int, most: int) -> Reason:
    """The loss was told long after it happened."""
    return Reason(
        code="late_notice",
        zh=f"出险后{days}日才报案，超过{most}日。",
        en=f"The loss was told {days} days after it happened, more than {most}.",
    )


def early_loss(days: int) -> Reason:
    """The loss happened soon after the cover began."""
    return Reason(
        code="early_loss",
        zh=f"保险起期后{days}日即出险。",
        en=f"The loss happened {days} days after the cover began.",
    )


def raised_before_loss(raised_on: date, day: date) -> Reason:
    """The sum insured was raised shortly before the loss."""
    return Reason(
        code="raised_before_loss",
        zh=f"保险金额于{raised_on}调高，{day}即出险。",
        en=f"The sum insured was raised on {raised_on}, shortly before the loss of {day}.",
    )


def many_claims(count: int) -> Reason:
    """The policy has many claims within a year."""
    return Reason(
        code="many_claims",
        zh=f"该保单一年内第{count}次索赔。",
        en=f"This is claim {count} on the policy within a year.",
    )


def not_in_register() -> Reason:
    """The register knows nothing of the event."""
    return Reason(
        code="not_in_register",
        zh="碳汇登记系统尚无该事件的逆转记录。",
        en="The register of forests knows of no such damage.",
    )

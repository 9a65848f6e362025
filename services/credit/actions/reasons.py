"""Why, in words an officer can read out: one function for each reason, in Chinese and English, with a way to a yes."""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from services.credit.formulas import scorecard
from shared.events.parts import Reason


def valuation_missing(asset: str) -> Reason:
    """An asset was never valued."""
    return Reason(
        code="valuation_missing",
        zh=f"资产 {asset} 尚无估值,贷款价值比未知;请先由登记方完成估值",
        en=f"asset {asset} has no valuation, so the loan to value is unknown; have it valued first",
    )


def valuation_stale(asset: str, as_of: str, valid_until: str) -> Reason:
    """An asset's valuation is too old, or no longer valid."""
    return Reason(
        code="valuation_stale",
        zh=f"资产 {asset} 的估值(基准日 {as_of},有效至 {valid_until})已过期,贷款价值比未知;请重新估值",
        en=f"the valuation of asset {asset} as of {as_of}, valid until {valid_until}, is stale, so the loan to value"
        " is unknown; have it valued anew",
    )


def loan_to_value_high(quantile: str, ratio: float, limit: float, maximum: str) -> Reason:
    """The loan is too large for the pledge."""
    shown = "∞" if ratio == float("inf") else f"{ratio:.1%}"
    return Reason(
        code="loan_to_value_high",
        zh=f"按 {quantile} 估值的贷款价值比为 {shown},高于上限 {limit:.0%};该押品最多可贷 {maximum} 元",
        en=f"the loan to value at {quantile} is {shown}, above the limit of {limit:.0%};"
        f" this pledge carries at most CNY {maximum}",
    )


def pledge_rate_high(rate: float, limit: float, maximum: str) -> Reason:
    """The loan is too large a part of the present value of the pledged carbon."""
    shown = "∞" if rate == float("inf") else f"{rate:.1%}"
    return Reason(
        code="pledge_rate_high",
        zh=f"质押率为 {shown},高于上限 {limit:.0%};该押品最多可贷 {maximum} 元",
        en=f"the pledge rate is {shown}, above the limit of {limit:.0%}; this pledge carries at most CNY {maximum}",
    )


def pledge_exceeds_forecast(asset: str, tonnes: float, forecast: float) -> Reason:
    """More tonnes are pledged than the asset is expected to bring."""
    return Reason(
        code="pledge_exceeds_forecast",
        zh=f"拟质押 {tonnes:,.3f} 吨,超过资产 {asset} 的预计签发量 {forecast:,.3f} 吨",
        en=f"{tonnes:,.3f} t are to be pledged, more than the {forecast:,.3f} t forecast for asset {asset}",
    )


def term_too_long(months: int, limit: int) -> Reason:
    """The term is longer than policy allows."""
    return Reason(
        code="term_too_long",
        zh=f"期限 {months} 个月,超过上限 {limit} 个月;请缩短期限",
        en=f"the term of {months} months is above the limit of {limit}; ask for a shorter one",
    )


def term_beyond(what: str, asset: str, matures_on: date, until: str) -> Reason:
    """The loan would outlast the asset's land-use title or its crediting period."""
    zh = {"title": "林地使用权", "crediting": "计入期"}[what]
    en = {"title": "land-use title", "crediting": "crediting period"}[what]
    return Reason(
        code=f"term_beyond_{what}",
        zh=f"到期日 {matures_on} 晚于资产 {asset} 的{zh}到期日 {until};请缩短期限",
        en=f"the loan would mature on {matures_on}, after the {en} of asset {asset} ends on {until};"
        " ask for a shorter term",
    )


def term_beyond_insurance(months: int, limit: int) -> Reason:
    """The loan would outlast the cover that can be rolled."""
    return Reason(
        code="term_beyond_insurance",
        zh=f"期限 {months} 个月,超过可连续投保的 {limit} 个月;请缩短期限",
        en=f"the term of {months} months is longer than the {limit} over which cover can be rolled;"
        " ask for a shorter one",
    )


def asset_class_unknown(asset: str, methodology: str) -> Reason:
    """Policy has no pledge rate for the methodology of an asset."""
    return Reason(
        code="asset_class_unknown",
        zh=f"资产 {asset} 的方法学“{methodology or '不详'}”未列入本行质押率政策;请改用政策内的资产",
        en=f"the methodology of asset {asset} ({methodology or 'unknown'}) has no pledge rate in the bank's policy;"
        " pledge an asset that has one",
    )


def verifier_unnamed() -> Reason:
    """Issued units without the name of who verified them."""
    return Reason(
        code="verifier_unnamed",
        zh="质押的是已签发减排量,但未说明核查机构;请补充核查机构",
        en="issued units are pledged and nobody said who verified them; name the verifier",
    )


_DIMENSIONS = {
    "county": ("县区", "county"),
    "fire_zone": ("火险区", "fire zone"),
    "verifier": ("核查机构", "verifier"),
    "guarantor": ("担保机构", "guarantor"),
    "group": ("借款人及关联方", "borrower group"),
}


def concentrated(dimension: str, name: str, part: float, limit: float) -> Reason:
    """Too much of the bank's forest book would stand in one place or on one party."""
    zh, en = _DIMENSIONS[dimension]
    return Reason(
        code=f"{dimension}_concentrated",
        zh=f"发放后{zh} {name} 占本行林权贷款的 {part:.1%},高于限额 {limit:.0%};请减少金额",
        en=f"{en} {name} would be {part:.1%} of the bank's forest loans, above the limit of {limit:.0%}; borrow less",
    )


def concentration_close(dimension: str, name: str, part: float, limit: float) -> Reason:
    """A limit of the book is nearly reached."""
    zh, en = _DIMENSIONS[dimension]
    return Reason(
        code=f"watch_{dimension}",
        zh=f"发放后{zh} {name} 占本行林权贷款的 {part:.1%},接近限额 {limit:.0%}",
        en=f"{en} {name} would be {part:.1%} of the bank's forest loans, close to the limit of {limit:.0%}",
    )


def loan_to_value_close(quantile: str, ratio: float, limit: float) -> Reason:
    """The loan to value is nearly at its limit."""
    return Reason(
        code="watch_loan_to_value",
        zh=f"按 {quantile} 估值的贷款价值比为 {ratio:.1%},接近上限 {limit:.0%}",
        en=f"the loan to value at {quantile} is {ratio:.1%}, close to the limit of {limit:.0%}",
    )


def valuation_ageing(until: date, days: int) -> Reason:
    """A valuation will soon be stale."""
    return Reason(
        code="watch_valuation",
        zh=f"估值将于 {until} 后过期(剩余 {days} 天);放款前请重新估值",
        en=f"a valuation may be used until {until} only, {days} days from now; have it valued anew before paying out",
    )


def rate_too_high(rate: float, limit: float) -> Reason:
    """The rate that pays every cost is above what the bank offers."""
    return Reason(
        code="rate_too_high",
        zh=f"覆盖成本所需利率 {rate:.2%} 高于上限 {limit:.2%};可提高担保比例或追加押品",
        en=f"the rate that pays every cost is {rate:.2%}, above the limit of {limit:.2%};"
        " a larger guarantee or pledge would lower it",
    )


def default_probability_high(probability: float, limit: float) -> Reason:
    """The default probability passes a cut-off though no single attribute costs points."""
    return Reason(
        code="default_probability_high",
        zh=f"估计年违约概率 {probability:.2%},达到 {limit:.2%} 的界限",
        en=f"the estimated yearly default probability is {probability:.2%}, at or above {limit:.2%}",
    )


@lru_cache(maxsize=4096)
def points_lost(lost: scorecard.Reason) -> Reason:
    """An attribute that costs points against the best one."""
    path_zh = f";{lost.path_zh}" if lost.path_zh else ""
    path_en = f"; {lost.path_en}" if lost.path_en else ""
    return Reason(
        code=f"score_{lost.feature}",
        zh=f"{lost.zh}(所在档 {lost.attribute},最优档 {lost.best_attribute}){path_zh}",
        en=f"{lost.en} (in {lost.attribute}, best is {lost.best_attribute}){path_en}",
    )


def cover_lapsed(ends_on: date | None) -> Reason:
    """The policy ended while the loan needs it."""
    return Reason(
        code="cover_lapsed",
        zh=f"保险保障已终止({ends_on or '日期不详'});请恢复投保",
        en=f"the cover ended ({ends_on or 'date unknown'}); have the forest insured again",
    )


def cover_void() -> Reason:
    """The owner broke the policy and its clause does not protect the bank."""
    return Reason(
        code="cover_void",
        zh="投保人违反保险合同,保险人不再向银行赔付;请补救并恢复投保",
        en="the owner broke the policy, the insurer pays the bank no more; have the forest insured again",
    )


def policy_broken(reason: str) -> Reason:
    """The owner broke the policy before any money flowed."""
    return Reason(
        code="policy_broken",
        zh=f"投保人违反保险合同({reason[:100]}),不予放款",
        en=f"the owner broke the policy ({reason[:100]}); no money flows on it",
    )


def bank_appraises(limit: Decimal) -> Reason:
    """An appraisal fee on a loan for which the bank itself values the forest."""
    return Reason(
        code="bank_appraises",
        zh=f"{limit:,.0f} 元以下的林权抵押贷款由银行自行评估,不得收取评估费(银监发〔2013〕32号)",
        en=f"on forest loans below CNY {limit:,.0f} the bank values the forest itself and charges no fee for it",
    )


def nothing_to_enforce() -> Reason:
    """Costs of enforcing a claim that is not late."""
    return Reason(
        code="nothing_to_enforce",
        zh="贷款未逾期,不发生实现债权的费用",
        en="nothing is past due, so there is no claim to enforce and no cost of it",
    )


def fee_too_high(amount: Decimal, most: Decimal) -> Reason:
    """A fee beyond the bank's own tariff."""
    return Reason(
        code="fee_too_high",
        zh=f"费用 {amount:,} 元高于收费标准上限 {most:,} 元",
        en=f"a fee of CNY {amount:,} is above the tariff's CNY {most:,} for this loan",
    )


def guarantee_released(reason: str) -> Reason:
    """The guarantee was let go while the loan needs it."""
    return Reason(
        code="guarantee_released",
        zh=f"担保已解除({reason[:100]})",
        en=f"the guarantee was released ({reason[:100]})",
    )


def pledge_released(asset: str, reason: str) -> Reason:
    """A pledge was struck out while the loan needs it."""
    return Reason(
        code="pledge_released",
        zh=f"资产 {asset} 的质押已注销({reason[:100]})",
        en=f"the pledge on asset {asset} was released ({reason[:100]})",
    )


def margin_breached(ratio: float | None, limit: float) -> Reason:
    """The loan to value is above the margin level."""
    if ratio is None:
        return Reason(
            code="collateral_worthless",
            zh="押品估值为零,贷款已无押品支持",
            en="the collateral is worth nothing: no pledge carries the loan",
        )
    return Reason(
        code="margin_breached",
        zh=f"贷款价值比 {ratio:.1%} 高于追加担保线 {limit:.0%};请还款或追加押品",
        en=f"the loan to value is {ratio:.1%}, above the margin level of {limit:.0%}; repay or add to the pledge",
    )


def margin_not_cured() -> Reason:
    """The cure period of a margin call passed."""
    return Reason(
        code="margin_not_cured",
        zh="追加担保的宽限期已过,缺口未补足",
        en="the cure period of the margin call passed and the shortfall was not made good",
    )


_WARNINGS = {
    "valuation_unusable": (
        "押品估值缺失或过期,贷款价值比未知",
        "a valuation is missing or stale, so the ratio is unknown",
    ),
    "margin_broken": ("贷款价值比高于合同警戒线", "the loan to value is above the level of the contract"),
    "margin_close": ("贷款价值比接近合同警戒线", "the loan to value is close to the margin level"),
    "cover_lost": ("保险已失效", "no insurance is in force"),
    "guarantee_lost": ("担保已解除", "no guarantee is in force"),
    "pledge_lost": ("有质押登记已注销", "a pledge was struck out"),
    "valuation_ageing": ("估值即将过期", "a valuation is about to grow stale"),
    "cover_breached": (
        "投保人违反保险合同,仅凭贷款人条款仍向银行赔付",
        "the owner broke the policy; only the lender's clause still has the bank paid",
    ),
    "cover_reduced": (
        "有效保额低于签约保额与贷款余额:保额已减,或已被赔款占用",
        "what is still insured is below the sum agreed and below the balance: lowered, or used by claims",
    ),
    "cover_ending": ("保险即将到期", "the insurance is about to end"),
    "past_due": ("已有逾期", "an instalment is past due"),
    "debt_service_short": (
        "有签发年份的碳收益不足以覆盖当年本息",
        "a year's issuance does not cover that year's debt service",
    ),
}


def warning(code: str) -> Reason:
    """Why a loan is on the list of early warnings."""
    zh, en = _WARNINGS[code]
    return Reason(code=code, zh=zh, en=en)


def declined_by_officer() -> Reason:
    """A person decided against a referred application."""
    return Reason(
        code="declined_by_officer", zh="经人工复核,不予贷款", en="after review by a person the loan was declined"
    )


def rejected_by_approver() -> Reason:
    """The second person rejected the offer."""
    return Reason(code="rejected_by_approver", zh="审批人未批准该报价", en="the approver rejected the offer")


#: What an officer may declare a default for.
DEFAULT_GROUNDS = {
    "overdue": Reason(
        code="overdue", zh="借款人逾期未还,已达违约标准", en="the borrower is overdue beyond the default limit"
    ),
    "insolvency": Reason(code="insolvency", zh="借款人已无力偿债", en="the borrower is insolvent"),
    "misuse": Reason(code="misuse", zh="借款人挪用贷款", en="the borrower misused the loan"),
    "cross_default": Reason(
        code="cross_default", zh="借款人在其他债务上违约", en="the borrower defaulted on another debt"
    ),
    "unlikely_to_pay": Reason(
        code="unlikely_to_pay", zh="认定借款人不太可能全额偿还", en="the borrower is judged unlikely to pay in full"
    ),
}


def as_json(given: Any) -> list[dict[str, str]]:
    """Reasons as JSON data, to store with what they explain."""
    return [{"code": one.code, "zh": one.zh, "en": one.en} for one in given]

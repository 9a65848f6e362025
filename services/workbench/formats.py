"""Numbers, days and words as people here write them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from services.workbench.visitors import language, say

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: One hectare in mu.
MU = Decimal(15)
NONE = "—"


def money(amount: Any, whole: bool = False) -> str:
    """CNY from the services' `{amount, currency}` or a plain decimal: to the fen, or rounded to read at a glance."""
    if amount is None:
        return NONE
    value = Decimal(str(amount["amount"] if isinstance(amount, dict) else amount))
    if not whole:
        return f"{value:,.2f} 元" if language() == "zh" else f"CNY {value:,.2f}"
    if language() == "zh":
        return f"{value / 10_000:,.2f} 万元" if abs(value) >= 10_000 else f"{value:,.0f} 元"
    return f"CNY {value / 1_000_000:,.2f} m" if abs(value) >= 1_000_000 else f"CNY {value:,.0f}"


def area(hectares: Any) -> str:
    """An area from hectares: mu where Chinese is read, hectares elsewhere."""
    if hectares is None:
        return NONE
    value = Decimal(str(hectares))
    return f"{value * MU:,.1f} 亩" if language() == "zh" else f"{value:,.2f} ha"


def tonnes(quantity: Any) -> str:
    """Tonnes of CO2."""
    return NONE if quantity is None else f"{Decimal(str(quantity)):,.0f} " + say("吨", "t")


def percent(share: Any, places: int = 1) -> str:
    """A share as per cent."""
    return NONE if share is None else f"{Decimal(str(share)) * 100:.{places}f} %"


def number(value: Any, places: int = 0) -> str:
    """A plain number."""
    return NONE if value is None else f"{Decimal(str(value)):,.{places}f}"


def day(when: Any) -> str:
    """A business date, or the day of a moment in Shanghai."""
    if not when:
        return NONE
    text = str(when)
    found = _moment(text).date() if "T" in text else date.fromisoformat(text)
    return f"{found.year}年{found.month}月{found.day}日" if language() == "zh" else f"{found.day} {found:%b %Y}"


def moment(when: Any) -> str:
    """A moment in Shanghai, to the minute."""
    if not when:
        return NONE
    found = _moment(str(when))
    return f"{day(found.isoformat())} {found:%H:%M}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(SHANGHAI)


#: The services' codes in the words of the glossary.
WORDS = {
    "applied": ("已申请", "applied"),
    "scored": ("已评分", "scored"),
    "declined": ("已拒绝", "declined"),
    "referred": ("待人工决定", "referred"),
    "structuring": ("等待保险与担保", "structuring"),
    "proposed": ("待复核", "proposed"),
    "offered": ("已要约", "offered"),
    "binding": ("落实中", "binding"),
    "ready": ("可放款", "ready"),
    "performing": ("正常履约", "performing"),
    "margin_called": ("追加押品", "margin called"),
    "defaulted": ("违约", "defaulted"),
    "enforcing": ("处置押品", "enforcing"),
    "closed": ("已结清", "closed"),
    "withdrawn": ("已撤回", "withdrawn"),
    "expired": ("已过期", "expired"),
    "none": ("无", "none"),
    "asked": ("已询", "asked"),
    "quoted": ("已报价", "quoted"),
    "refused": ("已拒", "refused"),
    "bound": ("已承保", "bound"),
    "ending": ("即将终止", "ending"),
    "breached": ("投保人违约，银行仍受保", "broken by the owner, the bank is covered"),
    "lapsed": ("已失效", "lapsed"),
    "reserved": ("已预留", "reserved"),
    "issued": ("已出函", "issued"),
    "released": ("已解除", "released"),
    "called": ("已代偿请求", "called"),
    "paid": ("已支付", "paid"),
    "placed": ("已质押", "placed"),
    "frozen": ("已冻结", "frozen"),
    "enforced": ("已处置", "enforced"),
    "open": ("待处理", "open"),
    "approve": ("同意", "approve"),
    "refer": ("转人工", "refer"),
    "decline": ("拒绝", "decline"),
    "fire": ("火灾", "fire"),
    "pest": ("病虫害", "pest"),
    "drought": ("干旱", "drought"),
    "frost_snow": ("霜冻雪灾", "frost and snow"),
    "wind": ("风灾", "wind"),
    "flood": ("洪涝", "flood"),
    "shuocheng": ("朔城区", "Shuocheng"),
    "pinglu": ("平鲁区", "Pinglu"),
    "shanyin": ("山阴县", "Shanyin"),
    "yingxian": ("应县", "Yingxian"),
    "youyu": ("右玉县", "Youyu"),
    "huairen": ("怀仁市", "Huairen"),
    "larix_principis": ("华北落叶松", "North China larch"),
    "pinus_tabuliformis": ("油松", "Chinese pine"),
    "growth": ("生长", "growth"),
    "sampling": ("抽样", "sampling"),
    "model": ("模型", "model"),
    "reversal": ("逆转", "reversal"),
    "price": ("碳价", "price"),
    "carbon": ("碳质押", "carbon"),
    "insurer": ("保险", "insurer"),
    "guarantor": ("担保", "guarantor"),
    "reguarantor": ("再担保", "re-guarantor"),
    "bank": ("银行", "bank"),
    "primary": ("原担保", "primary"),
    "province": ("省级再担保", "province"),
    "national": ("国家融资担保基金", "national fund"),
    "pool": ("地方补偿资金池", "local pool"),
    "forecast": ("预期", "forecast"),
    "free": ("可用", "free"),
    "pledged": ("已质押", "pledged"),
    "retired": ("已注销", "retired"),
    "transferred": ("已转让", "transferred"),
    "cancelled": ("已取消", "cancelled"),
    "buffer": ("缓冲", "buffer"),
    "household": ("单户", "household"),
    "obligor": ("被担保人", "obligor"),
    "county": ("县区", "county"),
    "group": ("关联集团", "group"),
    "leverage": ("放大倍数", "leverage"),
    "forest": ("林地", "forest"),
    "grassland": ("草地", "grassland"),
    "wetland": ("湿地", "wetland"),
    "equal_principal": ("等额本金", "equal principal"),
    "equal_instalment": ("等额本息", "equal instalment"),
    "interest_only": ("先息后本", "interest only"),
    "discount_rate": ("折现率", "discount rate"),
    "survival": ("成活率", "survival"),
    "approved_by_policy": ("符合政策", "approved by policy"),
    "legs_complete": ("保险与担保已答复", "both legs have answered"),
    "approved": ("第二人已批准", "approved by a second person"),
    "accepted": ("借款人接受", "accepted by the borrower"),
    "legs_stand": ("质押、保单、保函均已落实", "pledge, policy and guarantee stand"),
    "disbursed": ("已放款", "disbursed"),
    "margin_breached": ("触及追加押品线", "the margin level was breached"),
    "margin_cured": ("已补足", "the margin call was cured"),
    "enforcement_ordered": ("处置押品", "enforcement ordered"),
    "borrower": ("借款人", "borrower"),
    "insurance": ("保险赔款", "insurance"),
    "guarantee": ("担保代偿", "guarantee"),
    "in_force": ("在保", "in force"),
    "ended": ("已终止", "ended"),
    "nil": ("不赔", "nothing payable"),
    "waiting": ("等待中", "waiting"),
    "void": ("已作废", "void"),
    "natural_person": ("自然人", "natural person"),
    "cooperative": ("合作社", "cooperative"),
    "collective": ("村集体", "collective"),
    "enterprise": ("企业", "enterprise"),
    "holds": ("符合", "holds"),
    "fails": ("不符合", "fails"),
    "unknown": ("无从判断", "not known"),
    "amount": ("金额", "amount"),
    "industry": ("行业", "industry"),
    "employees": ("用工人数", "employees"),
    "revolving": ("循环额度", "revolving line"),
    "new_business": ("新设主体", "new business"),
    "guaranteed_share": ("担保比例", "guaranteed share"),
    "loss_fire": ("火灾损失", "fire losses"),
    "loss_pest": ("病虫害损失", "pest losses"),
    "loss_drought": ("干旱损失", "drought losses"),
    "loss_frost_snow": ("霜冻雪灾损失", "frost, snow losses"),
    "loss_wind": ("风灾损失", "wind losses"),
    "loss_flood": ("洪涝损失", "flood losses"),
    "deductible_share": ("比例免赔", "share deductible"),
    "deductible": ("绝对免赔", "deductible"),
    "franchise": ("相对免赔", "franchise"),
    "event_limit": ("每次限额", "event limit"),
    "insurer_share": ("共保比例", "coinsurance"),
    "annual_cap": ("年度上限", "annual cap"),
    "risk_margin": ("风险附加", "risk margin"),
    "expense": ("费用", "expense"),
    "commission": ("手续费", "commission"),
    "tax": ("税费", "tax"),
    "profit": ("利润", "profit"),
    "headroom": ("总限额", "headroom"),
    "offer": ("要约", "offer"),
    "commercial": ("商品林", "commercial"),
    "public": ("公益林", "public-welfare"),
    "carbon_value": ("碳汇价值", "carbon value"),
    "carbon_units": ("碳汇量", "carbon units"),
    "replanting": ("再植成本", "replanting cost"),
    "central": ("中央", "central"),
    "owner": ("林权人", "owner"),
    "quote": ("可报价", "quote"),
    "refuse": ("不予承保", "refuse"),
    "loss": ("损失", "loss"),
    "fire_covered": ("火灾是否承保", "fire covered"),
    "indemnity": ("赔款", "indemnity"),
    "lender_payment": ("付贷款人", "lender's payment"),
    "owner_payment": ("付林权人", "owner's payment"),
    "officer": ("信贷员", "loan officer"),
    "credit-approver": ("信贷审批人", "credit approver"),
    "bureau": ("林业主管部门", "forest bureau"),
    "bureau-approver": ("林业复核人", "bureau approver"),
    "modeller": ("建模人员", "modeller"),
    "model-risk": ("模型风险管理", "model risk"),
    "trained": ("已训练", "trained"),
    "validated": ("已验证", "validated"),
    "champion": ("主模型", "champion"),
    "challenger": ("挑战者", "challenger"),
    "rolled_back": ("已回退", "rolled back"),
    "register": ("登记簿", "register"),
    "shipped": ("随程序附带", "shipped with the program"),
    "member": ("补偿单位", "member"),
    "auditor": ("审计", "auditor"),
    "pending": ("待定", "pending"),
    "posted": ("已占用", "in use"),
    "rejected": ("已否决", "rejected"),
    "sector": ("行业", "sector"),
    "loss_rate": ("损失率", "loss rate"),
    "all": ("整个业务", "whole book"),
    "peril": ("灾因", "peril"),
    "net": ("自留", "net"),
    "ceded": ("分出", "ceded"),
    "running": ("进行中", "running"),
    "finished": ("已完成", "finished"),
    "failed": ("已失败", "failed"),
}


def word(code: Any) -> str:
    """A code of the services in the reader's language; itself where there is no word for it."""
    if code is None:
        return NONE
    return say(*WORDS.get(str(code), (str(code).replace("_", " "),) * 2))


def tone(state: Any) -> str:
    """What a state means for whoever looks: good, waiting, bad or quiet. The pages colour by it, never by it alone."""
    if state in (
        "performing",
        "in_force",
        "bound",
        "issued",
        "placed",
        "paid",
        "approve",
        "quote",
        "ready",
        "accepted",
        "finished",
    ):
        return "good"
    if state in (
        "margin_called",
        "defaulted",
        "enforcing",
        "declined",
        "refused",
        "refuse",
        "lapsed",
        "void",
        "called",
        "enforced",
        "decline",
        "failed",
    ):
        return "bad"
    if state in ("closed", "withdrawn", "expired", "released", "none", None):
        return "quiet"
    return "waiting"

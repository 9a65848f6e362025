"""What an officer is told about the file of an application: one function for each reason, in Chinese and English."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from shared.events.parts import Reason

_LINKS = {
    "identity": ("同一身份", "its identity"),
    "representative": ("法定代表人", "its representative"),
    "owner": ("受益所有人", "an owner"),
    "account": ("账户", "the account"),
    "phone": ("电话", "the telephone"),
    "address": ("地址", "the address"),
}


def party_erased() -> Reason:
    """The borrower's data are gone."""
    return Reason(
        code="party_erased",
        zh="该客户的个人信息已删除;请重新登记",
        en="this borrower's data were erased; register the borrower anew",
    )


def document_expired(until: date) -> Reason:
    """The document that proves the borrower's identity has expired."""
    return Reason(
        code="document_expired",
        zh=f"借款人证件已于 {until} 到期;请更新证件后再申请",
        en=f"the borrower's document expired on {until}; enter the new one first",
    )


def verification_missing() -> Reason:
    """Nobody has checked the borrower's file."""
    return Reason(
        code="verification_missing",
        zh="借款人身份尚未核实;请先完成客户身份核实",
        en="nobody has checked the borrower's file; check it first",
    )


def verification_expired(until: date) -> Reason:
    """The check of the borrower's file holds no longer."""
    return Reason(
        code="verification_expired",
        zh=f"借款人身份核实已于 {until} 失效;请重新核实",
        en=f"the check of the borrower's file held until {until}; check it anew",
    )


def finances_missing() -> Reason:
    """Nobody has said what the borrower earns."""
    return Reason(
        code="finances_missing",
        zh="未提供借款人年收入、成本和其他债务;请补充",
        en="the borrower's yearly income, costs and debts are not on file; enter them",
    )


def borrower_is_leg(place: str, code: str) -> Reason:
    """Nobody guarantees or insures a debt of their own."""
    zh = {"guarantor": "担保人", "insurer": "保险人"}[place]
    return Reason(
        code=f"borrower_is_{place}",
        zh=f"{zh} {code} 就是借款人本身,或其所有人、代表人;请更换{zh}",
        en=f"the {place} {code} is the borrower itself, or owns or represents it; name another",
    )


def leg_related(code: str) -> Reason:
    """Who guarantees or insures belongs to the borrower's group."""
    return Reason(
        code="leg_related",
        zh=f"{code} 与借款人属于同一关联集团;保障可能与贷款同时失效,请人工复核",
        en=f"{code} belongs to the borrower's group, and may fail together with it; let a person look",
    )


def application_open(loan: str) -> Reason:
    """The same borrower has another application."""
    return Reason(
        code="application_open",
        zh=f"该借款人另有在途申请 {loan};请确认不是重复申请",
        en=f"this borrower has another application under way, {loan}; make sure that this is not the same again",
    )


def group_in_default(loan: str) -> Reason:
    """Somebody of the borrower's group is in default."""
    return Reason(
        code="group_in_default",
        zh=f"借款人或其关联方的贷款 {loan} 已违约",
        en=f"a loan of the borrower or of somebody connected with it, {loan}, is in default",
    )


def related_party(other: str, kinds: Sequence[str]) -> Reason:
    """The borrower shares something with another one."""
    zh = "、".join(_LINKS[kind][0] for kind in kinds)
    en = ", ".join(_LINKS[kind][1] for kind in kinds)
    return Reason(
        code="related_party",
        zh=f"与客户 {other} 存在关联(其{zh}与本借款人一致);请核实是否为关联方",
        en=f"connected with party {other}: {en} of that party is also this borrower's; find out what they are to each"
        " other",
    )


def valuation_superseded(asset: str, seen: int, current: int) -> Reason:
    """The valuation that the officer saw is not the newest any more."""
    return Reason(
        code="valuation_superseded",
        zh=f"资产 {asset} 的第 {seen} 版估值已被第 {current} 版取代;请按新估值重新申请",
        en=f"valuation {seen} of asset {asset} was superseded by {current}; look at that one and apply on it",
    )


def pledged_elsewhere(asset: str, pledged: Decimal, forecast: Decimal, left: Decimal) -> Reason:
    """Others hold liens on what is to be pledged."""
    return Reason(
        code="pledged_elsewhere",
        zh=f"资产 {asset} 预计签发 {forecast:,.3f} 吨,其中 {pledged:,.3f} 吨已质押;最多还可质押 {left:,.3f} 吨",
        en=f"of the {forecast:,.3f} t forecast for asset {asset} {pledged:,.3f} t are pledged already;"
        f" at most {left:,.3f} t are left",
    )


def rank_taken(asset: str, pledged: Decimal) -> Reason:
    """A first lien was asked for, and there is one."""
    return Reason(
        code="rank_taken",
        zh=f"资产 {asset} 已有质押 {pledged:,.3f} 吨,无法取得第一顺位;请改为后顺位或更换押品",
        en=f"{pledged:,.3f} t of asset {asset} are pledged, so a first lien is not to be had; take a later one or"
        " another forest",
    )


def asset_in_application(asset: str, loan: str, tonnes: Decimal) -> Reason:
    """Another application counts on the same forest."""
    return Reason(
        code="asset_in_application",
        zh=f"资产 {asset} 同时用于在途申请 {loan} 等,共 {tonnes:,.3f} 吨;请核实是否重复质押",
        en=f"asset {asset} also stands behind the application {loan}, {tonnes:,.3f} t in all; make sure that nothing"
        " is pledged twice",
    )

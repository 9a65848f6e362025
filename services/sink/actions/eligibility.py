"""Eligibility: the methodology's rules held against an asset's facts and the evidence recorded for it.

A machine can see that a rule is broken, that evidence is missing, or that what was recorded speaks for it. It never
says that a project conforms: a person does, against the methodology itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions.assets import least_plot_m2
from services.sink.actions.geometry import stored_parcel
from services.sink.actions.parameters import PARAMETERS, RULES, TITLE_KINDS
from services.sink.actions.valuations import own_asset
from services.sink.tables import Asset, Evidence
from shared import approvals, audit, clock
from shared.db import found, locked, tenant
from shared.errors import ConflictError, ForbiddenError, InvalidError
from shared.events.parts import Reason
from shared.ids import uuid7
from shared.parameters import InForce

#: The methodology whose rules make the answer; those of others are shown beside them.
METHODOLOGY = "CCER-14-001-V01"
#: More than any parcel needs, and few enough to show at once.
MAX_EVIDENCE = 200


@dataclass(frozen=True)
class Judged:
    """A rule with what is known of it."""

    rule: str
    methodology: str
    zh: str
    en: str
    source: str
    verified: str
    evidence_kinds: Sequence[str]
    #: met, not_met, manual_review, unconfirmed or no_evidence
    status: str
    reason: Reason
    evidence: Sequence[Evidence]


@dataclass(frozen=True)
class Eligibility:
    """How an asset stands against the rules; never that it conforms."""

    asset_id: UUID
    methodology: str
    as_of: date
    #: obstacle, evidence_missing, for_review or no_rules
    answer: str
    reason: Reason
    rules: Sequence[Judged]
    unverified_parameters: Sequence[str]


Verdict = tuple[str, Reason]
_AT_ONCE = {("recorded", "contradicts"), ("recorded", "unclear")}


def _because(code: str, zh: str, en: str) -> Reason:
    return Reason(code=code, zh=zh, en=en)


def record_evidence(
    session: Session,
    asset_id: UUID,
    actor: str,
    *,
    rule: str,
    kind: str,
    reference: str,
    dated_on: date,
    finding: str,
    sha256: str | None = None,
    share: Decimal | None = None,
) -> Evidence:
    """Record what a document or an observation says of a rule, for an asset of the caller's own register."""
    asset = own_asset(session, asset_id)
    p = PARAMETERS.at(clock.today())
    kinds = p[f"eligibility_rule.{rule}"]["evidence"]
    if kind not in kinds:
        raise _invalid("/kind", f"rule {rule} is shown by {', '.join(kinds)}")
    if dated_on > clock.today():
        raise _invalid("/dated_on", "lies in the future")
    mine = select(func.count()).select_from(Evidence).where(Evidence.asset_id == asset.id)
    if session.scalar(mine.where(Evidence.rule == rule, Evidence.kind == kind, Evidence.reference == reference)):
        raise ConflictError("this evidence is recorded already; it is never changed, record what is new beside it")
    if (session.scalar(mine) or 0) >= MAX_EVIDENCE:
        raise ConflictError(f"an asset keeps at most {MAX_EVIDENCE} pieces of evidence")
    row = Evidence(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        rule=rule,
        kind=kind,
        reference=reference,
        sha256=sha256,
        dated_on=dated_on,
        finding=finding,
        share=share,
        recorded_by=actor,
        recorded_at=clock.now(),
        state="recorded",
    )
    told = {name: None if (value := getattr(row, name)) is None else str(value) for name in _DECIDED_ON}
    expires = clock.now() + timedelta(days=p["evidence.approval_days"])
    row.payload_hash = approvals.ask(session, _ACTION, row.id, told, actor, expires).payload_hash
    session.add(row)
    audit.record(session, "record_evidence", asset.id, rule=rule, kind=kind, finding=finding)
    session.flush()
    return row


_ACTION = "evidence"
_DECIDED_ON = ("asset_id", "rule", "kind", "reference", "sha256", "dated_on", "finding", "share")


def decide_evidence(session: Session, evidence_id: UUID, seen_hash: str, checker: str, approve: bool) -> Evidence:
    """Confirm or reject recorded evidence as another person; only what was confirmed speaks for a forest."""
    if found(session, Evidence, evidence_id).registrar != tenant(session):
        raise ForbiddenError("only the registrar's own people decide on its evidence")
    approvals.decide(session, _ACTION, evidence_id, seen_hash, checker, approve)
    row = locked(session, Evidence, evidence_id)
    row.state, row.decided_by = "confirmed" if approve else "rejected", checker
    session.flush()
    return row


def eligibility(session: Session, asset_id: UUID) -> Eligibility:
    """Hold an asset against every rule, with the evidence for each."""
    asset = found(session, Asset, asset_id)
    p = PARAMETERS.at(clock.today())
    if asset.programme != "ccer":
        zh = "该项目不属于所录入规则的方法学"
        reason = _because("no_rules", zh, f"no rules of a methodology for {asset.programme} are in place")
        return Eligibility(asset.id, METHODOLOGY, clock.today(), "no_rules", reason, (), ())
    recorded = session.scalars(select(Evidence).where(Evidence.asset_id == asset.id).order_by(Evidence.id)).all()
    rules = [_judge(rule, asset, [one for one in recorded if one.rule == rule], p) for rule in RULES]
    answer, reason = _answer([one for one in rules if one.methodology == METHODOLOGY])
    return Eligibility(asset.id, METHODOLOGY, clock.today(), answer, reason, rules, p.unverified)


def _judge(rule: str, asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Judged:
    name = f"eligibility_rule.{rule}"
    text, entry = p[name], p.entries[name]
    # What speaks against a forest counts at once; what speaks for it waits for a second person.
    counted = [one for one in evidence if one.state == "confirmed" or (one.state, one.finding) in _AT_ONCE]
    status, reason = _JUDGES[rule](asset, counted, p)
    if status == "no_evidence" and any(one.state == "recorded" for one in evidence):
        zh = "所录证据尚待第二人确认"
        status, reason = "unconfirmed", _because("evidence_unconfirmed", zh, "a second person has yet to confirm it")
    return Judged(
        rule=rule,
        methodology=text["methodology"],
        zh=text["zh"],
        en=text["en"],
        source=entry.source,
        verified=entry.verified,
        evidence_kinds=text["evidence"],
        status=status,
        reason=reason,
        evidence=evidence,
    )


def _answer(rules: Sequence[Judged]) -> Verdict:
    broken = [one.rule for one in rules if one.status == "not_met"]
    missing = [one.rule for one in rules if one.status in ("no_evidence", "unconfirmed")]
    if broken:
        named = ", ".join(broken)
        return "obstacle", _because("obstacle", f"不满足规则：{named}", f"rules not met: {named}")
    if missing:
        named = ", ".join(missing)
        return "evidence_missing", _because("evidence_missing", f"缺少证据的规则：{named}", f"no evidence for: {named}")
    return "for_review", _because(
        "for_review",
        "未发现障碍；是否符合方法学须由人对照原文审核",
        "no obstacle was found; whether it conforms is for a person to say, against the methodology itself",
    )


# -- the rules --------------------------------------------------------------------------------------------------------


def _by_evidence(evidence: Sequence[Evidence]) -> Verdict:
    """What the findings say where nothing else decides."""
    findings = {one.finding for one in evidence}
    if not findings:
        return "no_evidence", _because("no_evidence", "尚无证据", "no evidence was recorded")
    if findings == {"supports"}:
        return "met", _because("evidence_supports", "所录证据支持", "the evidence recorded supports it")
    if findings == {"contradicts"}:
        return "not_met", _because("evidence_contradicts", "所录证据与之相反", "the evidence recorded contradicts it")
    return "manual_review", _because("evidence_mixed", "证据不明或互相矛盾", "the evidence is unclear or mixed")


def _scope_in(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    if asset.kind != "forest":
        return "not_met", _because("no_planting", f"登记类别为 {asset.kind}", f"it is registered as {asset.kind}")
    return _by_evidence(evidence)


def _scope_out(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    status, reason = _by_evidence(evidence)
    if "possibly_economic_forest" in asset.flags and status != "not_met":
        return "manual_review", _because(
            "possibly_economic_forest",
            "树种可能属于经济林，须由人判断",
            "it may be economic forest; a person decides",
        )
    return status, reason


def _land_before(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    """Years without forest before the start: seen at their beginning or before, and again within them."""
    start = date(asset.planted_year, 1, 1)
    since = date(asset.planted_year - p["eligibility.nonforest_years"], 1, 1)
    return _never_forest([one for one in evidence if one.dated_on < start], evidence, since)


def _land_since(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    start = date(asset.planted_year, 1, 1)
    since: date = p["eligibility.nonforest_since"]
    return _never_forest([one for one in evidence if one.dated_on < start], evidence, since)


def _never_forest(before: Sequence[Evidence], evidence: Sequence[Evidence], since: date) -> Verdict:
    status, reason = _by_evidence(before)
    if not evidence or status in ("not_met", "manual_review"):
        return status, reason
    if any(one.dated_on <= since for one in before) and any(one.dated_on > since for one in before):
        return status, reason
    return "manual_review", _because(
        "dates_do_not_cover",
        f"证据日期未覆盖自 {since} 至造林开始的期间",
        f"the evidence is not dated so that it covers the time from {since} to the planting",
    )


def _title(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    if asset.title_until <= clock.today():
        return "not_met", _because("title_ended", "权属证明已到期", "the title has ended")
    status, reason = _by_evidence(evidence)
    if status == "met" and (asset.title_kind not in TITLE_KINDS or not asset.title_number):
        return "manual_review", _because(
            "title_not_named",
            "登记中缺少权属证明的种类或编号",
            "the register does not name the title",
        )
    return status, reason


def _plots(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    smallest, least = stored_parcel(asset.geometry).smallest_part_m2, least_plot_m2(asset.planted_year, p)
    if smallest < least:
        return "not_met", _because(
            "plot_too_small",
            f"最小连续地块 {smallest:.0f} 平方米，要求不小于 {least}",
            f"the smallest continuous plot has {smallest:.0f} m2; {least} are asked for",
        )
    if any(one.finding == "contradicts" for one in evidence):
        return "manual_review", _because("survey_differs", "调查结果与图形不符", "a survey contradicts the polygon")
    return "met", _because(
        "plot_large_enough",
        f"等积投影下最小连续地块 {smallest:.0f} 平方米",
        f"the smallest continuous plot has {smallest:.0f} m2 on an equal-area projection",
    )


def _wetland(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    if asset.kind == "wetland":
        return "not_met", _because("wetland", "登记类别为湿地", "it is registered as a wetland")
    return _by_evidence(evidence)


def _clearing(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    limit = p["eligibility.cleared_share"]
    shares = [one.share for one in evidence if one.share is not None]
    if any(float(share) > limit for share in shares):
        return "not_met", _because(
            "cleared_too_much",
            f"清除灌木和竹的面积比例 {max(shares)} 超过 {limit}",
            f"shrubs and bamboo were removed on a share of {max(shares)}, more than {limit}",
        )
    status, reason = _by_evidence(evidence)
    if status == "met" and not shares:
        return "manual_review", _because(
            "share_not_said", "记录未说明清除面积比例", "the record does not say on which share of the surface"
        )
    return status, reason


def _by_a_person(asset: Asset, evidence: Sequence[Evidence], p: InForce) -> Verdict:
    return "manual_review", _because("text_incomplete", "条文不全，由人审核", "a person reviews it")


_JUDGES: Mapping[str, Callable[[Asset, Sequence[Evidence], InForce], Verdict]] = {
    "SCOPE-IN": _scope_in,
    "SCOPE-OUT": _scope_out,
    "E-a": _land_before,
    "E-b": _title,
    "E-c": _plots,
    "E-d": _wetland,
    "E-e": _clearing,
    "E-f": _by_a_person,
    "E-a-old": _land_since,
}


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])

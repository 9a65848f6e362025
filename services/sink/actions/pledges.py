"""Pledges: a bank's lien on an asset's units for one loan. All assets of a loan are pledged together, or none."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.actions.certificates import certify
from services.sink.tables import Asset, Pledge, Valuation, latest_valuation, locked_in_order
from shared import audit, clock, outbox, watchers
from shared.db import found, locked, tenant
from shared.errors import InvalidError, StateError
from shared.events.credit import LoanAccepted, PledgeReductionOrdered, TopUpOrdered
from shared.events.parts import PledgedAsset, Reason
from shared.events.sink import PledgeEnforced, PledgePlaced, PledgeReduced, PledgeRefused, PledgeReleased
from shared.ids import uuid7

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Lien:
    """For whom, and until when, units are pledged."""

    loan_id: UUID
    bank: str
    loan_until: date


def place_pledges(session: Session, accepted: LoanAccepted) -> None:
    """Place the pledges of a loan on all its assets, or refuse them all with the reasons."""
    lien = Lien(accepted.loan_id, accepted.bank, months_later(clock.today(), accepted.term_months))
    if session.scalar(select(Pledge.id).where(Pledge.loan_id == lien.loan_id).limit(1)):
        log.info("the loan's pledges were placed before", loan=str(lien.loan_id))
        return
    _place_all(session, lien, accepted.pledges, accepted.bind_by)


def add_pledges(session: Session, ordered: TopUpOrdered) -> None:
    """Place further pledges of a loan that is paid out beside those it has, or refuse them all with the reasons."""
    lien = Lien(ordered.loan_id, ordered.bank, months_later(clock.today(), ordered.term_months))
    _place_all(session, lien, ordered.pledges, ordered.place_by)


def _place_all(session: Session, lien: Lien, pledges: Sequence[PledgedAsset], until: datetime) -> None:
    wanted = sorted(pledges, key=lambda one: one.asset_id)
    assets = {
        asset.id: asset
        for asset in locked_in_order(session, select(Asset).where(Asset.id.in_({one.asset_id for one in wanted})))
    }
    held = select(Pledge.asset_id).where(Pledge.loan_id == lien.loan_id, Pledge.state.in_(("placed", "frozen")))
    has = set(session.scalars(held))
    blocked: list[tuple[UUID, Reason]] = []
    for number, one in enumerate(wanted):
        if one.asset_id in has or (number and wanted[number - 1].asset_id == one.asset_id):
            blocked.append((one.asset_id, _ASSET_TWICE))
            continue
        blocked += [(one.asset_id, reason) for reason in _objections(session, assets.get(one.asset_id), one, lien)]
    if not wanted:
        # There is no asset to key the refusal by, so the loan's own id stands in.
        blocked.append((lien.loan_id, _NOTHING))
    elif clock.now() > until:
        blocked.insert(0, (wanted[0].asset_id, _TOO_LATE))
    if blocked:
        _refuse(session, lien, blocked)
        return
    for one in wanted:
        _place(session, assets[one.asset_id], one, lien)
    # So that the bank's certificates can be renewed when what it has a lien on is issued.
    watchers.watch(session, *assets)


def release_pledges(session: Session, loan_id: UUID, reason: str) -> None:
    """Strike out a loan's pledges; those that were enforced stay enforced."""
    for asset, pledge in _held(session, loan_id, "placed", "frozen"):
        _change(pledge, "released", reason)
        serials = ledger.lift(session, asset, pledge, pledge.tonnes, reason)
        outbox.put(
            session,
            PledgeReleased(
                asset_id=asset.id,
                loan_id=loan_id,
                bank=pledge.institution,
                pledge_id=pledge.id,
                tonnes=pledge.tonnes,
                reason=reason,
                serials=tuple(serials),
            ),
        )
        certify(session, pledge)
        audit.record(session, "release_pledge", pledge.id, loan=str(loan_id), reason=reason)


def reduce_pledge(session: Session, pledge_id: UUID, tonnes: Decimal, reason: str) -> Pledge:
    """Let go of a part of a lien that the loan no longer needs; the lien keeps its rank for the rest."""
    asset_id = found(session, Pledge, pledge_id).asset_id
    (asset,) = locked_in_order(session, select(Asset).where(Asset.id == asset_id))
    pledge = locked(session, Pledge, pledge_id)
    if pledge.state != "placed":
        raise StateError(f"the pledge is {pledge.state}; only a placed one is reduced")
    if tonnes >= pledge.tonnes:
        detail = f"the pledge has {pledge.tonnes} t; a part of them can be released, all of them by closing the loan"
        raise InvalidError(detail, errors=[{"pointer": "/tonnes", "detail": "not less than the pledge has"}])
    serials = ledger.lift(session, asset, pledge, tonnes, reason)
    pledge.tonnes -= tonnes
    pledge.changed_at = clock.now()
    outbox.put(
        session,
        PledgeReduced(
            asset_id=asset.id,
            loan_id=pledge.loan_id,
            bank=pledge.institution,
            pledge_id=pledge.id,
            tonnes=tonnes,
            left=pledge.tonnes,
            reason=reason,
            serials=tuple(serials),
        ),
    )
    certify(session, pledge)
    audit.record(session, "reduce_pledge", pledge.id, tonnes=str(tonnes), reason=reason)
    return pledge


def reduce_pledge_of(session: Session, ordered: PledgeReductionOrdered) -> None:
    """Let go of a part of a loan's lien as the bank's credit office ordered, which tests that what is left carries it.

    Issued units are whole, so a part of one stays under the lien; so does what there is less of than was ordered.
    """
    for asset, pledge in _held(session, ordered.loan_id, "placed"):
        if asset.id == ordered.asset_id:
            tonnes = ledger.liftable(session, asset, pledge, ordered.tonnes)
            if 0 < tonnes < pledge.tonnes:
                reduce_pledge(session, pledge.id, tonnes, ordered.reason)
                return
    log.warning("no such lien to reduce", loan=str(ordered.loan_id), asset=str(ordered.asset_id))


def freeze_pledges(session: Session, loan_id: UUID) -> None:
    """Hold a defaulted loan's pledges fast until the bank enforces or releases them."""
    for asset, pledge in _held(session, loan_id, "placed"):
        _change(pledge, "frozen", "defaulted")
        ledger.relabel(session, asset, pledge, "freeze", "frozen", None)
        certify(session, pledge)
        audit.record(session, "freeze_pledge", pledge.id, loan=str(loan_id))


def enforce_pledges(session: Session, loan_id: UUID) -> None:
    """Take a loan's pledged units over for the bank: they leave the debtor's account for good."""
    for asset, pledge in _held(session, loan_id, "placed", "frozen"):
        _change(pledge, "enforced", "enforced")
        serials = ledger.relabel(session, asset, pledge, "enforce", "enforced", pledge.institution)
        outbox.put(
            session,
            PledgeEnforced(
                asset_id=asset.id,
                loan_id=loan_id,
                bank=pledge.institution,
                pledge_id=pledge.id,
                tonnes=pledge.tonnes,
                serials=tuple(serials),
            ),
        )
        certify(session, pledge)
        audit.record(session, "enforce_pledge", pledge.id, loan=str(loan_id), tonnes=str(pledge.tonnes))


def _held(session: Session, loan_id: UUID, *states: str) -> list[tuple[Asset, Pledge]]:
    """The loan's pledges in these states with their assets, locked, assets first and in id order."""
    of_loan = select(Pledge.asset_id).where(Pledge.loan_id == loan_id, Pledge.state.in_(states))
    asset_ids = list(session.scalars(of_loan))
    if not asset_ids:
        log.info("the loan holds no such pledge", loan=str(loan_id), states=states)
        return []
    assets = {asset.id: asset for asset in locked_in_order(session, select(Asset).where(Asset.id.in_(asset_ids)))}
    pledges = session.scalars(
        select(Pledge)
        .where(Pledge.loan_id == loan_id, Pledge.state.in_(states))
        .order_by(Pledge.asset_id)
        .with_for_update(),
        execution_options={"populate_existing": True},
    )
    return [(assets[pledge.asset_id], pledge) for pledge in pledges]


def _change(pledge: Pledge, state: str, reason: str) -> None:
    pledge.state, pledge.reason, pledge.changed_at = state, reason, clock.now()


def _place(session: Session, asset: Asset, one: PledgedAsset, lien: Lien) -> None:
    asset.last_rank += 1
    pledge = Pledge(
        id=uuid7(),
        institution=tenant(session),
        asset_id=asset.id,
        loan_id=lien.loan_id,
        tonnes=one.tonnes,
        rank=asset.last_rank,
        state="placed",
        valuation_version=one.valuation_version,
        loan_until=lien.loan_until,
        reason=None,
        placed_at=clock.now(),
        changed_at=clock.now(),
    )
    session.add(pledge)
    session.flush()
    serials = ledger.lay(session, asset, pledge)
    outbox.put(
        session,
        PledgePlaced(
            asset_id=asset.id,
            loan_id=lien.loan_id,
            bank=lien.bank,
            pledge_id=pledge.id,
            tonnes=pledge.tonnes,
            rank=pledge.rank,
            serials=tuple(serials),
        ),
    )
    certify(session, pledge)
    audit.record(session, "place_pledge", pledge.id, asset=str(asset.id), loan=str(lien.loan_id), rank=pledge.rank)


def _refuse(session: Session, lien: Lien, blocked: Sequence[tuple[UUID, Reason]]) -> None:
    asset_id = blocked[0][0]
    reasons = tuple(reason for _, reason in blocked)
    outbox.put(session, PledgeRefused(asset_id=asset_id, loan_id=lien.loan_id, bank=lien.bank, reasons=reasons))
    codes = [reason.code for reason in reasons]
    audit.record(session, "refuse_pledge", asset_id, loan=str(lien.loan_id), reasons=codes)


def months_later(day: date, months: int) -> date:
    """The same day of the month some months later, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year >= date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


# -- why not ----------------------------------------------------------------------------------------------------------


def _objections(session: Session, asset: Asset | None, one: PledgedAsset, lien: Lien) -> list[Reason]:
    """What stands against pledging these tonnes of this asset; nothing if it can be done."""
    if asset is None:
        return [
            Reason(
                code="asset_unknown",
                zh=f"登记簿中没有编号为 {one.asset_id} 的林地。",
                en=f"The register holds no asset {one.asset_id}.",
            )
        ]
    reasons = _objections_to_valuation(session, asset, one) + _objections_to_term(asset, lien)
    if one.tonnes <= 0:
        reasons.append(
            Reason(code="tonnes_not_positive", zh="质押吨数必须大于零。", en="The tonnes to pledge must be positive.")
        )
    elif asset.over_pledged:
        reasons.append(
            Reason(
                code="over_pledged",
                zh=f"“{asset.name}”受损后剩余单位已少于在押单位，不能再设质押。",
                en=f"After a loss, {asset.name} holds fewer units than are pledged; nothing more can be pledged.",
            )
        )
    elif one.tonnes > asset.free_tonnes:
        reasons.append(_short_of_tonnes(asset, one.tonnes))
    return reasons


def _short_of_tonnes(asset: Asset, tonnes: Decimal) -> Reason:
    if tonnes <= asset.total_tonnes:
        return Reason(
            code="double_pledge",
            zh=f"“{asset.name}”仅余 {asset.free_tonnes} 吨未质押，不足 {tonnes} 吨；其余已为他人质押。",
            en=f"{asset.name} has {asset.free_tonnes} t free, not {tonnes} t; the rest is pledged already.",
        )
    return Reason(
        code="tonnes_beyond_forecast",
        zh=f"“{asset.name}”预测与已签发合计 {asset.total_tonnes} 吨，不足 {tonnes} 吨。",
        en=f"{asset.name} is expected to bring {asset.total_tonnes} t, fewer than the {tonnes} t to be pledged.",
    )


def _objections_to_valuation(session: Session, asset: Asset, one: PledgedAsset) -> list[Reason]:
    latest = latest_valuation(session, asset)
    if latest is None or one.valuation_version > latest.version:
        return [
            Reason(
                code="valuation_unknown",
                zh=f"“{asset.name}”没有第 {one.valuation_version} 版估值。",
                en=f"{asset.name} has no valuation of version {one.valuation_version}.",
            )
        ]
    if latest.valid_until < clock.today():
        return [
            Reason(
                code="valuation_stale",
                zh=f"“{asset.name}”的估值已于 {latest.valid_until} 失效，请重新估值。",
                en=f"The valuation of {asset.name} was valid until {latest.valid_until}; value it again.",
            )
        ]
    # A new price leaves the tonnes alone, and credit tests the value again before it pays out. A loss does not.
    lost_since = select(Valuation.id).where(
        Valuation.asset_id == asset.id, Valuation.version > one.valuation_version, Valuation.cause == "reversal"
    )
    if session.scalar(lost_since.limit(1)):
        return [
            Reason(
                code="valuation_superseded",
                zh=f"“{asset.name}”在第 {one.valuation_version} 版估值之后发生了逆转损失。",
                en=f"{asset.name} has lost carbon since its valuation of version {one.valuation_version}.",
            )
        ]
    return []


def _objections_to_term(asset: Asset, lien: Lien) -> list[Reason]:
    reasons = []
    if asset.title_until < lien.loan_until:
        reasons.append(
            Reason(
                code="title_too_short",
                zh=f"“{asset.name}”的权属于 {asset.title_until} 到期，早于贷款到期日 {lien.loan_until}。",
                en=f"The title to {asset.name} ends on {asset.title_until}, before the loan does on {lien.loan_until}.",
            )
        )
    if asset.crediting_until < lien.loan_until:
        reasons.append(
            Reason(
                code="crediting_too_short",
                zh=f"“{asset.name}”的计入期于 {asset.crediting_until} 结束，早于贷款到期日 {lien.loan_until}。",
                en=f"Crediting of {asset.name} ends on {asset.crediting_until}, before the loan on {lien.loan_until}.",
            )
        )
    return reasons


_ASSET_TWICE = Reason(code="asset_twice", zh="同一林地在质押清单中出现两次。", en="An asset stands twice in the list.")
_TOO_LATE = Reason(
    code="deadline_passed", zh="设立质押的期限已过。", en="The deadline for placing the pledges has passed."
)
_NOTHING = Reason(code="nothing_to_pledge", zh="贷款没有列出质押林地。", en="The loan names no asset to pledge.")

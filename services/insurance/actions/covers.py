"""Covers: a bank's question about one loan, the insurer's quote or refusal, and the end of a quote."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, aggregates, capacity, capital, models, policies, pricing, reasons
from services.insurance.tables import (
    Cover,
    CoverAsset,
    Reversal,
    Valuation,
    cover_of_loan,
    latest_surveys,
    latest_valuations,
    lock_assets,
    sum_insured_elsewhere,
)
from shared import approvals, audit, clock, money, outbox, timers, watchers
from shared.db import locked, tenant
from shared.errors import ConflictError, StateError
from shared.events.credit import LegsRequested, LoanAccepted, LoanEvent
from shared.events.insurance import CoverQuoted, CoverRefused
from shared.events.parts import PledgedAsset, Reason
from shared.ids import uuid7
from shared.parameters import InForce

log = structlog.get_logger(__name__)


# -- asking -----------------------------------------------------------------------------------------------------------


def ask_for_cover(session: Session, event: LegsRequested) -> None:
    """Enter a bank's question for cover and answer it, or wait for the valuation it was judged on."""
    if not event.insurer or cover_of_loan(session, event.loan_id) is not None:
        log.info("no cover to ask for", loan=str(event.loan_id), insurer=event.insurer)
        return
    cover = Cover(
        id=uuid7(),
        institution=tenant(session),
        loan_id=event.loan_id,
        bank=event.bank,
        obligor=event.obligor,
        county=event.county,
        guarantor=event.guarantor or None,
        scheme=event.scheme or None,
        default_probability=event.default_probability,
        loan_amount=event.amount,
        term_months=event.term_months,
        state="asked",
        answer_by=event.answer_by,
        created_at=clock.now(),
        assets=[
            CoverAsset(
                asset_id=pledge.asset_id,
                institution=tenant(session),
                county=pledge.county,
                valuation_version=pledge.valuation_version,
                tonnes=pledge.tonnes,
                value=pledge.value,
            )
            for pledge in _merged(event.pledges)
        ],
    )
    session.add(cover)
    session.flush()
    if not cover.assets:
        _refuse(session, cover, "quote", [reasons.no_forest()])
        return
    watchers.watch(session, *(asset.asset_id for asset in cover.assets))
    _answer(session, cover)


def quote_waiting(session: Session, asset_id: UUID) -> None:
    """Answer the current insurer's covers that waited for a valuation of this forest."""
    waiting = session.scalars(
        select(Cover.id)
        .join(CoverAsset, CoverAsset.cover_id == Cover.id)
        .where(CoverAsset.asset_id == asset_id, Cover.state == "waiting")
        .order_by(Cover.id)
    ).all()
    for cover_id in waiting:
        cover = locked(session, Cover, cover_id)
        if cover.state == "waiting":
            _answer(session, cover)


def give_up_waiting(session: Session, cover_id: UUID) -> None:
    """Refuse a cover whose valuation, or whose second person, did not come in time."""
    cover = locked(session, Cover, cover_id)
    if cover.state == "referred":
        _refuse(session, cover, "quote", [reasons.answer_too_late(cover.answer_by)])
    if cover.state != "waiting":
        return
    found = latest_valuations(session, (asset.asset_id for asset in cover.assets))
    missing = [
        reasons.valuation_missing(cover.answer_by, asset.county, asset.valuation_version)
        for asset in cover.assets
        if _behind(asset, found)
    ]
    _refuse(session, cover, "quote", missing or [reasons.answer_too_late(cover.answer_by)])


def _merged(pledges: Sequence[PledgedAsset]) -> list[PledgedAsset]:
    """One pledge for each forest, whatever way the request lists them."""
    merged: dict[UUID, PledgedAsset] = {}
    for pledge in pledges:
        before = merged.get(pledge.asset_id)
        merged[pledge.asset_id] = PledgedAsset(
            asset_id=pledge.asset_id,
            valuation_version=max(pledge.valuation_version, before.valuation_version if before else 0),
            county=pledge.county,
            tonnes=pledge.tonnes + (before.tonnes if before else 0),
            value=pledge.value + (before.value if before else 0),
        )
    return [merged[asset_id] for asset_id in sorted(merged)]


def _behind(asset: CoverAsset, found: dict[UUID, Valuation]) -> bool:
    """Whether our copy of a forest's valuation is older than the one credit judged."""
    valuation = found.get(asset.asset_id)
    return valuation is None or valuation.version < asset.valuation_version


# -- quoting ----------------------------------------------------------------------------------------------------------


def _answer(session: Session, cover: Cover) -> None:
    """Quote, refuse, or wait for a valuation."""
    if clock.now() >= cover.answer_by:
        _refuse(session, cover, "quote", [reasons.answer_too_late(cover.answer_by)])
        return
    lock_assets(session, (asset.asset_id for asset in cover.assets))
    valuations = latest_valuations(session, (asset.asset_id for asset in cover.assets))
    if any(_behind(asset, valuations) for asset in cover.assets):
        if cover.state != "waiting":
            cover.state = "waiting"
            timers.put(session, "cover_answer", cover.id, cover.answer_by)
            audit.record(session, "wait_for_valuation", cover.id, loan=str(cover.loan_id))
        return
    _judge(session, cover, valuations)


def _judge(
    session: Session, cover: Cover, valuations: dict[UUID, Valuation], agreed: dict[str, str] | None = None
) -> None:
    """Quote, refuse, or refer what one person may not decide; `agreed` is what two persons have agreed to."""
    p = PARAMETERS.at(clock.today())
    steps = pricing.Steps()
    refusals, insured = _underwrite(session, cover, valuations, p, steps)
    refusals += aggregates.against(session, _joining(cover, {one.name: one.sum_insured for one in insured}, valuations))
    if not refusals:
        price = pricing.price(insured, p, steps, models=models.champions(session), capital=capital.of_latest(session))
        if agreed is None:
            refusals = _beyond_authority(price, insured, p)
            if refusals:
                _refer(session, cover, insured, price, p, steps, refusals)
                return
        elif agreed != _agreement(insured, price):
            raise ConflictError("the price is not what was proposed any more; propose it again")
        refusals = _quote(session, cover, insured, price, valuations, p, steps)
    if refusals:
        cover.explanation, cover.parameters_digest = steps.rows, p.digest
        cover.unverified_parameters = list(p.unverified)
        _refuse(session, cover, "quote", refusals)


# -- beyond one person's authority ------------------------------------------------------------------------------------


def _beyond_authority(price: pricing.Price, insured: list[pricing.Insured], p: InForce) -> list[Reason]:
    most, total = money.from_fen(p["authority"]["sum_insured"]), sum((one.sum_insured for one in insured), Decimal(0))
    deviation, furthest = Decimal(price.shown["deviation"]), Decimal(str(p["authority"]["deviation"]))
    found = [reasons.sum_beyond_authority(total, most)] if total > most else []
    return found + ([reasons.rate_beyond_authority(deviation, furthest)] if abs(deviation) > furthest else [])


def _refer(
    session: Session, cover: Cover, insured: list[pricing.Insured], price: pricing.Price, p: InForce,
    steps: pricing.Steps, why: list[Reason],
) -> None:  # fmt: skip
    """Wait for two people, no longer than the bank does."""
    cover.state, cover.reasons = "referred", reasons.as_json(why)
    cover.pricing, cover.explanation, cover.parameters_digest = price.shown, steps.rows, p.digest
    cover.unverified_parameters = list(p.unverified)
    cover.referral = _agreement(insured, price)
    timers.put(session, "cover_answer", cover.id, cover.answer_by)
    audit.record(session, "refer_cover", cover.id, loan=str(cover.loan_id), reasons=[one.code for one in why])


def _agreement(insured: list[pricing.Insured], price: pricing.Price) -> dict[str, str]:
    """What two people agree to: the sums and the premium."""
    sums = {one.name: str(one.sum_insured) for one in insured}
    return sums | {"annual_premium": str(price.annual_premium), "technical_rate": price.shown["technical_rate"]}


def propose_cover(session: Session, cover_id: UUID, comment: str, maker: str) -> Cover:
    """Propose to quote a referred cover as it is priced; another person approves exactly that."""
    cover = _referred(session, cover_id)
    assert cover.referral is not None
    payload = cover.referral | {"cover": str(cover.id), "comment": comment}
    approval = approvals.ask(session, "cover", cover.id, payload, maker, cover.answer_by)
    cover.proposal_hash = approval.payload_hash
    audit.record(session, "propose_cover", cover.id, payload_hash=approval.payload_hash)
    session.flush()
    return cover


def approve_cover(session: Session, cover_id: UUID, seen_hash: str, approved: bool, checker: str) -> Cover:
    """Approve or reject a proposal as a second person who saw exactly it."""
    cover = _referred(session, cover_id)
    approvals.decide(session, "cover", cover.id, seen_hash, checker, approved)
    cover.proposal_hash = None
    if approved:
        ids = [asset.asset_id for asset in cover.assets]
        lock_assets(session, ids)
        cover.reasons = []
        _judge(session, cover, latest_valuations(session, ids), cover.referral)
    else:
        _refuse(session, cover, "quote", [reasons.referral_rejected()])
    session.flush()
    return cover


def _referred(session: Session, cover_id: UUID) -> Cover:
    cover = locked(session, Cover, cover_id)
    if cover.state != "referred":
        raise StateError(f"the cover is {cover.state}; only one that is referred waits for two people")
    return cover


# -- judging and quoting ----------------------------------------------------------------------------------------------


def _underwrite(
    session: Session, cover: Cover, valuations: dict[UUID, Valuation], p: InForce, steps: pricing.Steps
) -> tuple[list[Reason], list[pricing.Insured]]:
    """Judge each forest: every reason against it, and how much of it can be insured."""
    refusals: list[Reason] = []
    insured: list[pricing.Insured] = []
    ceiling = Decimal(str(p["maximum_hazard_score"]))
    surveys = latest_surveys(session, (asset.asset_id for asset in cover.assets))
    for asset in cover.assets:
        valuation = valuations[asset.asset_id]
        asset.county, asset.valuation_version = valuation.county, valuation.version
        if valuation.valid_until < clock.today():
            refusals.append(reasons.valuation_expired(valuation.county, valuation.valid_until))
        ends_on = policies.expiry_of(clock.today(), cover.term_months, p)
        if valuation.title_until is not None and ends_on > valuation.title_until:
            refusals.append(reasons.beyond_tenure(valuation.county, ends_on, valuation.title_until))
        for peril in p["perils"]:
            score = pricing.hazard_score(valuation.hazards, peril, p)
            if score > ceiling:
                refusals.append(reasons.hazard_too_high(valuation.county, peril, score, ceiling))
        limit = pricing.sum_limit(valuation, p)
        wanted = min(money.yuan(asset.value), limit)
        carried = sum_insured_elsewhere(session, asset.asset_id, cover.id)
        steps.note(
            "(I2)", "sum_insured_limit", limit, of=str(asset.asset_id), quantile=p["insured_value_quantile"],
            insurable_value=pricing.insurable_value(valuation, p["insured_value_quantile"]),
            maximum_share=p["maximum_sum_insured_share"], valuation_version=valuation.version,
        )  # fmt: skip
        steps.note(
            "", "sum_insured", wanted, of=str(asset.asset_id), pledged_value=asset.value, limit=limit,
            insured_elsewhere=carried,
        )  # fmt: skip
        if wanted <= 0:
            refusals.append(reasons.no_insurable_value(valuation.county))
        elif carried + wanted > limit:
            refusals.append(reasons.duplicate_cover(valuation.county, wanted, carried, limit))
        insured.append(pricing.insured_of(valuation, wanted, surveys.get(asset.asset_id)))
    return refusals, insured


def _quote(
    session: Session, cover: Cover, insured: list[pricing.Insured], price: pricing.Price,
    valuations: dict[UUID, Valuation], p: InForce, steps: pricing.Steps,
) -> list[Reason]:  # fmt: skip
    """Quote the price and hold capacity for the cover; reasons if the capacity does not suffice."""
    by_county: dict[str, Decimal] = {}
    for one in insured:
        by_county[one.county] = by_county.get(one.county, Decimal(0)) + one.sum_insured
    lacking = capacity.reserve(session, cover.id, by_county, p)
    if lacking:
        return lacking
    for asset, one in zip(cover.assets, insured, strict=True):
        asset.sum_insured = one.sum_insured
        asset.insured_value = pricing.insurable_value(valuations[asset.asset_id], p["insured_value_quantile"])
    cover.state = "quoted"
    cover.sum_insured = sum((one.sum_insured for one in insured), Decimal(0))
    cover.annual_premium, cover.owner_premium = price.annual_premium, price.owner_premium
    cover.expected_annual_loss, cover.perils = price.expected_annual_loss, price.perils
    cover.pricing = price.shown
    cover.deductible = Decimal(str(p["deductible_share"]))
    cover.terms = _terms(p)
    cover.quoted_at = clock.now()
    cover.expires_at = cover.quoted_at + timedelta(days=p["quote_validity_days"])
    cover.explanation, cover.parameters_digest = steps.rows, p.digest
    cover.unverified_parameters = list(p.unverified)
    timers.cancel(session, cover.id, "cover_answer")
    timers.put(session, "cover_quote", cover.id, cover.expires_at)
    outbox.put(
        session,
        CoverQuoted(
            loan_id=cover.loan_id,
            bank=cover.bank,
            insurer=cover.institution,
            cover_id=cover.id,
            sum_insured=cover.sum_insured,
            annual_premium=cover.annual_premium,
            owner_premium=cover.owner_premium,
            expected_annual_loss=cover.expected_annual_loss,
            deductible=cover.deductible,
            perils=tuple(price.perils),
            expires_at=cover.expires_at,
            unverified_parameters=tuple(cover.unverified_parameters),
        ),
    )
    audit.record(
        session, "quote_cover", cover.id, loan=str(cover.loan_id), sum_insured=str(cover.sum_insured),
        annual_premium=str(cover.annual_premium), parameters=cover.parameters_digest,
    )  # fmt: skip
    return []


def _terms(p: InForce) -> dict[str, Any]:
    """What a claim will be judged by, fixed with the quote."""
    return {
        "insured_quantity": "carbon_value",
        "insured_value_quantile": p["insured_value_quantile"],
        "deductible_share": str(p["deductible_share"]),
        "small_fire_exclusion_mu": str(p["small_fire_exclusion_mu"]),
        "pest_threshold_degree": str(p["pest_threshold_degree"]),
        "lender_clause": p["lender_clause"],
    }


def _refuse(session: Session, cover: Cover, stage: Literal["quote", "bind"], refusals: list[Reason]) -> None:
    """Refuse, with every reason; whatever the cover held is let go."""
    capacity.release(session, cover.id)
    timers.cancel(session, cover.id, "cover_answer", "cover_quote")
    cover.state, cover.reasons = "refused", reasons.as_json(refusals)
    outbox.put(
        session,
        CoverRefused(
            loan_id=cover.loan_id, bank=cover.bank, insurer=cover.institution, stage=stage, reasons=tuple(refusals)
        ),
    )
    codes = [reason.code for reason in refusals]
    audit.record(session, "refuse_cover", cover.id, loan=str(cover.loan_id), stage=stage, reasons=codes)


# -- binding ----------------------------------------------------------------------------------------------------------


def bind_cover(session: Session, event: LoanAccepted) -> None:
    """Bind the quote that the borrower accepted, or refuse with the reason; the second time changes nothing."""
    if not event.insurer:
        return
    cover = cover_of_loan(session, event.loan_id)
    if cover is None or cover.state == "bound":
        log.info("nothing to bind", loan=str(event.loan_id))
        if cover is None:
            refusal = CoverRefused(
                loan_id=event.loan_id, bank=event.bank, insurer=event.insurer, stage="bind",
                reasons=(reasons.no_quote(),),
            )  # fmt: skip
            outbox.put(session, refusal)
        return
    lock_assets(session, (asset.asset_id for asset in cover.assets))
    refusals = _against_binding(session, cover, event)
    if refusals:
        _refuse(session, cover, "bind", refusals)
        return
    cover.state = "bound"
    capacity.post(session, cover.id)
    timers.cancel(session, cover.id, "cover_quote")
    policies.bind_policy(session, cover, event.amount, event.term_months)


def _against_binding(session: Session, cover: Cover, event: LoanAccepted) -> list[Reason]:
    """Every reason why a quote cannot be bound now."""
    now = clock.now()
    if cover.expires_at is not None and now >= cover.expires_at:
        return [reasons.quote_expired(cover.expires_at)]
    if cover.state != "quoted" or cover.id != event.cover_id:
        return [reasons.no_quote()]
    if now >= event.bind_by:
        return [reasons.bind_too_late(event.bind_by)]
    pledged = {pledge.asset_id: pledge.tonnes for pledge in _merged(event.pledges)}
    if pledged != {asset.asset_id: asset.tonnes for asset in cover.assets}:
        return [reasons.pledges_changed()]
    sums = {str(asset.asset_id): asset.sum_insured or Decimal(0) for asset in cover.assets}
    valuations = latest_valuations(session, (asset.asset_id for asset in cover.assets))
    together = aggregates.against(session, _joining(cover, sums, valuations))
    return together + _worse_since_quote(session, cover)


def _joining(
    cover: Cover, sums: Mapping[str, Decimal], valuations: Mapping[UUID, Valuation]
) -> list[aggregates.Forest]:
    """The forests of a cover as they would stand beside those in force."""
    return [
        aggregates.Forest(
            asset.asset_id, sums.get(str(asset.asset_id), Decimal(0)), cover.bank, cover.guarantor or "",
            aggregates.place_of(valuations.get(asset.asset_id)),
        )
        for asset in cover.assets
    ]  # fmt: skip


def _worse_since_quote(session: Session, cover: Cover) -> list[Reason]:
    """A forest that was damaged or fell in value after the quote is not the risk that was priced."""
    p = PARAMETERS.at(clock.today())
    tolerance = Decimal(str(p["revaluation_tolerance"]))
    counties = {asset.asset_id: asset.county for asset in cover.assets}
    damage = session.scalars(
        select(Reversal)
        .where(Reversal.asset_id.in_(sorted(counties)), Reversal.received_at > cover.quoted_at)
        .order_by(Reversal.asset_id, Reversal.reversal_id)
    )
    found = [reasons.reversal_since_quote(counties[one.asset_id], one.peril, one.occurred_on) for one in damage]
    valuations = latest_valuations(session, counties)
    for asset in cover.assets:
        current = pricing.insurable_value(valuations[asset.asset_id], cover.terms["insured_value_quantile"])
        if asset.insured_value is not None and current < asset.insured_value * (1 - tolerance):
            found.append(reasons.value_fell(asset.county, asset.insured_value, current))
    return found


# -- letting go -------------------------------------------------------------------------------------------------------


def expire_quote(session: Session, cover_id: UUID) -> None:
    """Let a quote go that nobody accepted in time."""
    cover = locked(session, Cover, cover_id)
    if cover.state == "quoted":
        _void(session, cover, "quote_expired")


def undo_cover(session: Session, event: LoanEvent) -> None:
    """The loan will not be: void what was asked or quoted, undo what was bound."""
    cover = cover_of_loan(session, event.loan_id)
    if cover is None or cover.state in ("refused", "void"):
        log.info("no cover to undo", loan=str(event.loan_id))
    elif cover.state == "bound":
        policies.undo_policy(session, event.loan_id)
    else:
        _void(session, cover, type(event).__name__)


def _void(session: Session, cover: Cover, why: str) -> None:
    cover.state = "void"
    timers.cancel(session, cover.id, "cover_answer", "cover_quote")
    capacity.release(session, cover.id)
    audit.record(session, "void_cover", cover.id, loan=str(cover.loan_id), reason=why)

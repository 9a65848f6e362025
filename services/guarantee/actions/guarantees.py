"""A guarantee from the bank's request to its end: reserve, issue, undo, amortise, release."""

import calendar
import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from operator import sub
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS, bid_prices, capacity, reasons
from services.guarantee.actions.profile import limits, profile_for_decision
from services.guarantee.actions.schemes import Scheme, scheme
from services.guarantee.formulas.call import gross_payment
from services.guarantee.formulas.expected_loss import default_acceptable
from services.guarantee.formulas.fee import guarantee_fee
from services.guarantee.formulas.liability import room_below_flip, weight_flips, weighted_liability
from services.guarantee.formulas.split import bank_share_sufficient, split
from services.guarantee.tables import Guarantee, Profile, Reservation
from shared import audit, clock, money, outbox, timers
from shared.db import tenant
from shared.events.base import encode
from shared.events.credit import (
    LegsRequested,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDisbursed,
    LoanExpired,
    LoanRepaid,
    LoanWithdrawn,
)
from shared.events.guarantee import GuaranteeIssued, GuaranteeRefused, GuaranteeReleased, GuaranteeReserved
from shared.events.parts import Reason, Shares
from shared.ids import uuid7
from shared.parameters import InForce
from shared.strict_json import canonical

log = structlog.get_logger(__name__)

ZERO = Decimal("0.00")


# -- reserve ----------------------------------------------------------------------------------------------------------


def reserve_guarantee(session: Session, event: LegsRequested) -> None:
    """Hold room for a loan, or refuse and name the rule that binds. The same request again changes nothing."""
    digest = hashlib.sha256(canonical(encode(event))).hexdigest()
    earlier = guarantee_of(session, event.loan_id)
    if earlier is not None:
        if earlier.request_hash != digest and earlier.state == "reserved":
            _refuse(session, earlier, "reserve", [reasons.CHANGED])
        else:
            log.info("requested before", loan=str(event.loan_id), state=earlier.state)
        return
    p = PARAMETERS.at(clock.today())
    profile = profile_for_decision(session)
    agreed = scheme(p, event.scheme)
    guarantee = _requested(session, event, digest, p)
    objections = list(_objections(event, profile, agreed, p))
    if not objections:
        assert profile is not None
        assert agreed is not None
        objections = _priced_out(session, guarantee, event, profile, agreed, p)
        objections = objections or _take_room(session, guarantee, _monthly(event), profile, agreed, p)
    guarantee.unverified_parameters = list(p.unverified)
    guarantee.state = "refused" if objections else "reserved"
    session.add(guarantee)
    if objections:
        capacity.end(session, _allocated(session, guarantee.loan_id), "void", _weights())
        _refuse(session, guarantee, "reserve", objections)
        return
    assert guarantee.expires_at is not None
    timers.put(session, "reservation", guarantee.id, guarantee.expires_at)
    outbox.put(
        session,
        GuaranteeReserved(
            **_names(guarantee),
            guarantee_id=guarantee.id,
            scheme=guarantee.scheme,
            shares=guarantee.shares,
            fee=guarantee.fee,
            expires_at=guarantee.expires_at,
        ),
    )
    audit.record(
        session,
        "reserve_guarantee",
        guarantee.id,
        loan=str(guarantee.loan_id),
        amount=str(guarantee.amount),
        scheme=guarantee.scheme,
        parameters=guarantee.parameters_hash,
        profile_version=guarantee.profile_version,
    )


def _requested(session: Session, event: LegsRequested, digest: str, p: InForce) -> Guarantee:
    """The row of a request, before it is decided."""
    return Guarantee(
        id=uuid7(),
        institution=tenant(session),
        loan_id=event.loan_id,
        bank=event.bank,
        obligor=event.obligor,
        county=event.county,
        scheme=event.scheme,
        state="reserved",
        amount=event.amount,
        balance=event.amount,
        term_months=event.term_months,
        default_probability=event.default_probability,
        loss_given_default=event.loss_given_default,
        small_or_farmer=event.small_or_farmer,
        pledged_tonnes=sum((one.tonnes for one in event.pledges), Decimal("0.000")),
        share_primary=ZERO,
        share_province=ZERO,
        share_national=ZERO,
        share_bank=ZERO,
        share_pool=ZERO,
        shares_bp={},
        fee=ZERO,
        fee_rate=ZERO,
        type=p["guarantee_type"],
        requested_at=clock.now(),
        expires_at=None,
        issued_on=None,
        matures_on=None,
        claim_until=None,
        loan_closed=False,
        plan=[],
        request_hash=digest,
        profile_version=None,
        parameters_hash=p.digest,
        unverified_parameters=[],
        measures=[],
        bid=None,
        reasons=[],
        warnings=[],
    )


def _objections(event: LegsRequested, profile: Profile | None, agreed: Scheme | None, p: InForce) -> Iterator[Reason]:
    """What stands in the way whatever room there is."""
    if profile is None:
        yield reasons.NO_PROFILE
    if agreed is None:
        yield reasons.unknown_scheme(event.scheme)
    elif not bank_share_sufficient(agreed.shares.get("bank", 0), p["bank_minimum_share"]):
        yield reasons.bank_share_too_small(agreed, p["bank_minimum_share"], p)
    if event.answer_by <= clock.now():
        yield reasons.TOO_LATE
    if event.amount <= 0 or event.term_months <= 0:
        yield reasons.NO_AMOUNT
    if profile is not None:
        ceiling, source = default_ceiling(profile, p)
        default = event.default_probability
        if not 0 <= default <= 1 or not default_acceptable(float(default), float(ceiling)):
            yield reasons.default_too_likely(default, ceiling, source)


def default_ceiling(profile: Profile, p: InForce) -> tuple[Decimal, str]:
    """The highest default probability that a guarantor accepts, and where that stands. [1/yr]"""
    own = profile.default_probability_ceiling
    if own is not None:
        return own, f"guarantor's profile, version {profile.version}"
    return Decimal(str(p["default_probability_ceiling"])), p.entries["default_probability_ceiling"].source


def _monthly(event: LegsRequested) -> list[int]:
    """What the borrower will owe in each month of the term; all of it where the bank told no schedule. [fen]"""
    repaid = {one.month: money.fen(one.principal) for one in event.schedule}
    by_month = (repaid.get(month, 0) for month in range(1, event.term_months))
    return [max(0, left) for left in accumulate(by_month, sub, initial=money.fen(event.amount))]


def _priced_out(
    session: Session, guarantee: Guarantee, event: LegsRequested, profile: Profile, agreed: Scheme, p: InForce
) -> list[Reason]:
    """Weigh the loan by the guarantor's bid prices, if it set any: the limit whose room is worth more than the loan."""
    by = bid_prices.in_force(session, clock.today())
    spared = by is not None and by.spare_small and event.small_or_farmer
    if by is None or spared or _allocated(session, event.loan_id):
        return []
    amount = money.fen(event.amount)
    parts = split(amount, agreed.shares)
    weight = p["small_weight"] if event.small_or_farmer and amount <= p["small_threshold"] else p["full_weight"]
    asked = bid_prices.Asked(
        amount=amount,
        carbon=sum(money.fen(one.value) for one in event.pledges),
        default_probability=float(event.default_probability),
        loss_given_default=float(event.loss_given_default),
        liability=weighted_liability(parts["primary"], weight),
        parts=parts,
        obligor=event.obligor,
        county=event.county,
        bank=event.bank,
    )
    weighed = bid_prices.bid(by, asked)
    guarantee.bid = weighed.record(by)
    return (
        []
        if weighed.taken
        else [reasons.room_too_dear(weighed.value, weighed.price, weighed.dearest, profile, agreed, p)]
    )


def _take_room(
    session: Session, guarantee: Guarantee, balances: list[int], profile: Profile, agreed: Scheme, p: InForce
) -> list[Reason]:
    """Reserve in every bucket and price it; the reasons of the limits without room, the tightest first."""
    amount = money.fen(guarantee.amount)
    parts = split(amount, agreed.shares)
    weights = capacity.Weights.in_force(p)
    borne = borne_of(amount, parts, p)
    reservation = Reservation(
        id=guarantee.id,
        institution=tenant(session),
        loan_id=guarantee.loan_id,
        allocation_id=None,
        obligor=guarantee.obligor,
        county=guarantee.county,
        small_or_farmer=guarantee.small_or_farmer,
        state="pending",
        amount=amount,
        balance=amount,
        borne=borne,
        province=parts["province"],
        national=parts["national"],
        pool=parts["pool"],
        liability=borne,
        expires_at=clock.now() + timedelta(days=p["reservation_validity_days"]),
    )
    overdue = _overdue(session)
    ending: dict[UUID, capacity.Ending] = dict.fromkeys(overdue, "expired")
    ending |= dict.fromkeys(_allocated(session, guarantee.loan_id), "void")
    wish = capacity.Wish(reservation, agreed.household_maximum)
    answer = capacity.reserve(session, [wish], limits(profile, p), weights, ending)
    for expired in overdue.values():
        _let_go(session, expired, "expired", "the reservation expired")
    rate = p["guarantee_fee_rate"]
    for party, part in parts.items():
        setattr(guarantee, f"share_{party}", money.from_fen(part))
    guarantee.shares_bp = dict(agreed.shares)
    guarantee.fee_rate = Decimal(str(rate))
    guaranteed = [gross_payment(balance, agreed.shares) for balance in balances]
    guarantee.fee = money.from_fen(guarantee_fee(guaranteed, rate))
    guarantee.profile_version = profile.version
    guarantee.measures = [dataclasses.asdict(measure) for measure in answer.measures]
    guarantee.expires_at = reservation.expires_at
    if weight_flips(answer.borne_before, borne, guarantee.small_or_farmer, weights.threshold):
        added = next((one.need for one in answer.measures if one.kind == "headroom"), 0)
        room = room_below_flip(answer.borne_before, weights.threshold)
        guarantee.warnings = [dataclasses.asdict(reasons.weight_flip(answer.borne_before, borne, added, room, p))]
    return list(reasons.no_room(answer.binding, profile, agreed, p))


def borne_of(amount: int, parts: dict[str, int], p: InForce) -> int:
    """What counts toward the liability balance, before its weight. [fen]

    The guarantor answers to the bank for all but the bank's share; parts others reimburse may be deducted only if the
    flag says so.
    """
    if p["weight_applies_to"] == "contract":
        return amount
    return parts["primary"] if p["deduct_reguarantee"] else amount - parts["bank"]


def _overdue(session: Session, limit: int = 20) -> dict[UUID, Guarantee]:
    """Reservations whose time is over before their timers come to them: they must not hold room from others."""
    due = session.scalars(
        select(Guarantee)
        .where(
            Guarantee.institution == tenant(session),
            Guarantee.state == "reserved",
            Guarantee.expires_at <= clock.now(),
        )
        .order_by(Guarantee.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {guarantee.id: guarantee for guarantee in due}


def _allocated(session: Session, loan_id: UUID) -> list[UUID]:
    """What an accepted allocation holds for a loan: the guarantee takes its place."""
    return list(
        session.scalars(
            select(Reservation.id).where(
                Reservation.institution == tenant(session),
                Reservation.loan_id == loan_id,
                Reservation.allocation_id.is_not(None),
                Reservation.state == "pending",
            )
        )
    )


def expire_reservation(session: Session, guarantee_id: UUID) -> None:
    """Give back the room of a reservation that was not used in time."""
    guarantee = locked_guarantee(session, guarantee_id)
    if guarantee is None or guarantee.state != "reserved" or _in_time(guarantee):
        return
    capacity.end(session, [guarantee.id], "expired", _weights())
    _let_go(session, guarantee, "expired", "the reservation expired")


# -- issue ------------------------------------------------------------------------------------------------------------


def issue_guarantee(session: Session, event: LoanAccepted) -> None:
    """Issue what was reserved, in time and for exactly what was reserved; refuse otherwise and give the room back."""
    guarantee = guarantee_of(session, event.loan_id)
    if guarantee is None or guarantee.state not in ("reserved", "expired"):
        log.info("nothing to issue", loan=str(event.loan_id), state=guarantee.state if guarantee else "none")
        return
    objection = _obstacle(guarantee, event)
    if objection is None and capacity.post(session, guarantee.id, _weights()):
        _issue(session, guarantee)
        return
    if guarantee.state == "reserved":
        capacity.end(session, [guarantee.id], "void", _weights())
        timers.cancel(session, guarantee.id, "reservation")
        guarantee.state = "refused"
    _refuse(session, guarantee, "issue", [objection or _EXPIRED])


def _issue(session: Session, guarantee: Guarantee) -> None:
    p = PARAMETERS.at(clock.today())
    guarantee.state, guarantee.issued_on = "issued", clock.today()
    _set_clock(session, guarantee, months_after(guarantee.issued_on, guarantee.term_months), p)
    assert guarantee.claim_until is not None
    timers.cancel(session, guarantee.id, "reservation")
    outbox.put(
        session,
        GuaranteeIssued(
            **_names(guarantee),
            guarantee_id=guarantee.id,
            scheme=guarantee.scheme,
            shares=guarantee.shares,
            issued_on=guarantee.issued_on,
            claim_until=guarantee.claim_until,
        ),
    )
    audit.record(
        session,
        "issue_guarantee",
        guarantee.id,
        loan=str(guarantee.loan_id),
        amount=str(guarantee.amount),
        claim_until=str(guarantee.claim_until),
    )


_EXPIRED = reasons.cannot_issue("expired", "额度占用已到期，不能出具保函。", "The reservation has expired.")


def _obstacle(guarantee: Guarantee, event: LoanAccepted) -> Reason | None:
    """What stands in the way of issuing, if anything."""
    if not _in_time(guarantee):
        return _EXPIRED
    if event.bind_by <= clock.now():
        return reasons.cannot_issue(
            "too_late", "各方生效的期限已过，不再出具保函。", "The time in which all parties had to bind is over."
        )
    if event.guarantee_id != guarantee.id:
        return reasons.cannot_issue(
            "other_guarantee",
            "所接受的担保不是本机构为该贷款占用的担保。",
            "Another guarantee was accepted than the one reserved.",
        )
    if (event.amount, event.term_months) != (guarantee.amount, guarantee.term_months):
        return reasons.cannot_issue(
            "other_terms",
            f"接受的金额 {event.amount:,} 元、期限 {event.term_months} 个月，"
            f"与占用的 {guarantee.amount:,} 元、{guarantee.term_months} 个月不符。",
            f"{event.amount:,} CNY for {event.term_months} months were accepted,"
            f" {guarantee.amount:,} CNY for {guarantee.term_months} months are reserved.",
        )
    return None


# -- undo, amortise, release ------------------------------------------------------------------------------------------


def undo_guarantee(session: Session, event: LoanDeclined | LoanWithdrawn | LoanExpired) -> None:
    """Give back what is held for a loan that will not be."""
    guarantee = guarantee_of(session, event.loan_id)
    capacity.end(session, _allocated(session, event.loan_id), "void", _weights())
    if guarantee is None or guarantee.state not in ("reserved", "issued"):
        log.info("nothing to undo", loan=str(event.loan_id), state=guarantee.state if guarantee else "none")
        return
    why = {LoanDeclined: "declined", LoanWithdrawn: "withdrawn", LoanExpired: "expired"}[type(event)]
    capacity.end(session, [guarantee.id], "void" if guarantee.state == "reserved" else "released", _weights())
    _let_go(session, guarantee, "released", f"the loan was {why}" if why != "expired" else "the loan expired")


def remember_disbursement(session: Session, event: LoanDisbursed) -> None:
    """Start the claim period from the real maturity; drawing less than was guaranteed gives the rest back."""
    guarantee = guarantee_of(session, event.loan_id)
    if guarantee is None or guarantee.state != "issued":
        log.info("no guarantee in force", loan=str(event.loan_id))
        return
    _set_clock(session, guarantee, event.matures_on, PARAMETERS.at(clock.today()))
    lefts = accumulate((one.principal for one in event.schedule), sub, initial=event.amount)
    guarantee.plan = [
        [one.due_on.isoformat(), str(left)] for one, left in zip(event.schedule, list(lefts)[1:], strict=True)
    ]
    _lower(session, guarantee, event.amount)
    audit.record(session, "remember_disbursement", guarantee.id, amount=str(event.amount))


def amortise_guarantee(session: Session, event: LoanRepaid) -> None:
    """Let the use of every limit fall with the loan's balance."""
    guarantee = guarantee_of(session, event.loan_id)
    if guarantee is None or guarantee.state != "issued":
        log.info("no guarantee in force", loan=str(event.loan_id))
        return
    _lower(session, guarantee, event.balance)
    audit.record(session, "amortise_guarantee", guarantee.id, balance=str(guarantee.balance))


def end_claim_period(session: Session, guarantee_id: UUID) -> None:
    """Let the guarantor go free when the claim period ended without a claim (Civil Code art. 692)."""
    guarantee = locked_guarantee(session, guarantee_id)
    if guarantee is None or guarantee.state != "issued":
        return
    assert guarantee.claim_until is not None
    if clock.today() > guarantee.claim_until:
        release(session, guarantee, "the claim period ended")


def release(session: Session, guarantee: Guarantee, reason: str) -> None:
    """Give back the room of a guarantee in force, called or paid."""
    capacity.end(session, [guarantee.id], "released", _weights())
    _let_go(session, guarantee, "released", reason)


def close_guarantee(session: Session, guarantee: Guarantee, event: LoanClosed) -> None:
    """Release with the loan; what is called and not yet paid is released when it is paid."""
    guarantee.loan_closed = True
    if guarantee.state in ("issued", "paid"):
        release(session, guarantee, f"the loan was closed: {event.outcome.replace('_', ' ')}")


def _lower(session: Session, guarantee: Guarantee, balance: Decimal) -> None:
    if balance < guarantee.balance:
        guarantee.balance = balance
        capacity.amortise(session, guarantee.id, money.fen(balance), _weights())


# -- shared by this package -------------------------------------------------------------------------------------------


def guarantee_of(session: Session, loan_id: UUID) -> Guarantee | None:
    """The guarantee of a loan, locked; None if none was asked for."""
    return session.scalars(
        select(Guarantee)
        .where(Guarantee.institution == tenant(session), Guarantee.loan_id == loan_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def locked_guarantee(session: Session, guarantee_id: UUID) -> Guarantee | None:
    """A guarantee by its id, locked, whatever If-Match says of another row."""
    return session.get(Guarantee, guarantee_id, with_for_update=True, populate_existing=True)


def shares_of(parts: dict[str, int]) -> Shares:
    """Turn fen by party into shares."""
    return Shares(**{party: money.from_fen(part) for party, part in parts.items()})


def months_after(day: date, months: int) -> date:
    """The same day some months later, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _names(guarantee: Guarantee) -> dict[str, Any]:
    return {"loan_id": guarantee.loan_id, "bank": guarantee.bank, "guarantor": guarantee.institution}


def _weights() -> capacity.Weights:
    return capacity.Weights.in_force(PARAMETERS.at(clock.today()))


def _in_time(guarantee: Guarantee) -> bool:
    return guarantee.expires_at is not None and guarantee.expires_at > clock.now()


def _set_clock(session: Session, guarantee: Guarantee, matures_on: date, p: InForce) -> None:
    """Set maturity, the last day of claims, and the timer after it."""
    guarantee.matures_on = matures_on
    guarantee.claim_until = months_after(matures_on, p["guarantee_period_months"])
    after = datetime.combine(guarantee.claim_until + timedelta(days=1), time(), clock.BUSINESS)
    timers.put(session, "claim_period", guarantee.id, after)


def _let_go(session: Session, guarantee: Guarantee, state: str, reason: str) -> None:
    guarantee.state = state
    timers.cancel(session, guarantee.id, "reservation", "claim_period")
    outbox.put(session, GuaranteeReleased(**_names(guarantee), guarantee_id=guarantee.id, reason=reason))
    audit.record(session, "release_guarantee", guarantee.id, reason=reason)


def _refuse(session: Session, guarantee: Guarantee, stage: Literal["reserve", "issue"], why: list[Reason]) -> None:
    guarantee.reasons = [dataclasses.asdict(reason) for reason in why]
    outbox.put(session, GuaranteeRefused(**_names(guarantee), stage=stage, reasons=tuple(why)))
    audit.record(session, "refuse_guarantee", guarantee.id, stage=stage, codes=[reason.code for reason in why])

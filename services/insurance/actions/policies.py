"""Policies: bound with the bank as first loss payee, followed by its live interest, ended with notice.

A policy outlasts the loan's term by the run-off days, because the money flows some days after the cover begins. It
stands from its inception up to but without `ends_on`, the first day without cover.
"""

import calendar
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, capacity
from services.insurance.formulas.subsidy import refund_split, return_premium
from services.insurance.tables import Claim, Cover, IndexCover, Policy, PolicyAsset, policy_of_loan
from shared import audit, clock, money, outbox, timers
from shared.db import locked
from shared.errors import InvalidError, NotFoundError, StateError
from shared.events.credit import (
    EnforcementOrdered,
    LoanClosed,
    LoanDefaulted,
    LoanDisbursed,
    LoanRepaid,
    RecoveryReceived,
)
from shared.events.insurance import PolicyBound, PolicyBreached, PolicyLapsed
from shared.ids import uuid7
from shared.parameters import InForce

log = structlog.get_logger(__name__)
NOTHING = Decimal("0.00")


# -- binding ----------------------------------------------------------------------------------------------------------


def bind_policy(session: Session, cover: Cover, interest: Decimal, term_months: int) -> Policy:
    """Put a quoted cover in force from today, with the bank's interest up to the loan's amount."""
    p = PARAMETERS.at(clock.today())
    inception = clock.today()
    expiry = expiry_of(inception, term_months, p)
    assert cover.sum_insured is not None
    assert cover.annual_premium is not None
    assert cover.owner_premium is not None
    assert cover.deductible is not None
    policy = Policy(
        id=uuid7(),
        institution=cover.institution,
        cover_id=cover.id,
        loan_id=cover.loan_id,
        bank=cover.bank,
        state="in_force",
        sum_insured=cover.sum_insured,
        annual_premium=cover.annual_premium,
        owner_premium=cover.owner_premium,
        deductible=cover.deductible,
        perils=cover.perils,
        terms=cover.terms,
        inception=inception,
        expiry=expiry,
        ends_on=expiry,
        interest=interest,
        balance=None,
        unsettled=NOTHING,
        claimed=NOTHING,
        reinstated=NOTHING,
        premium_split=(cover.pricing or {}).get("split") or {"owner": str(cover.annual_premium)},
        bound_at=clock.now(),
        assets=[
            PolicyAsset(
                asset_id=asset.asset_id,
                institution=asset.institution,
                county=asset.county,
                tonnes=asset.tonnes,
                insured_value=asset.insured_value,
                sum_insured=asset.sum_insured,
                claimed=NOTHING,
                reinstated=NOTHING,
            )
            for asset in cover.assets
        ],
    )
    session.add(policy)
    notice = timedelta(days=p["cancellation_notice_days"]["ordinary"])
    timers.put(session, "policy_notice", policy.id, start_of(expiry - notice))
    outbox.put(
        session,
        PolicyBound(
            loan_id=policy.loan_id,
            bank=policy.bank,
            insurer=policy.institution,
            policy_id=policy.id,
            cover_id=cover.id,
            sum_insured=policy.sum_insured,
            inception=inception,
            expiry=expiry,
            interest=interest,
        ),
    )
    audit.record(
        session, "bind_policy", policy.id, loan=str(policy.loan_id), cover=str(cover.id),
        sum_insured=str(policy.sum_insured), interest=str(interest),
    )  # fmt: skip
    return policy


def expiry_of(inception: date, term_months: int, p: InForce) -> date:
    """The first day after a policy that begins with a loan of some months."""
    return months_later(inception, term_months) + timedelta(days=p["run_off_days"])


def named_policy(session: Session, policy_id: UUID) -> Policy:
    """The policy that a request's body names, locked. Raises InvalidError where there is none."""
    try:
        return locked(session, Policy, policy_id)
    except NotFoundError:
        raise InvalidError(
            "no policy is registered under this id",
            errors=[{"pointer": "/policy_id", "detail": "No policy is registered under this id."}],
        ) from None


# -- the bank's live interest -----------------------------------------------------------------------------------------


def follow_balance(
    session: Session, event: LoanDisbursed | LoanRepaid | LoanDefaulted | EnforcementOrdered | RecoveryReceived
) -> None:
    """Keep the bank's interest at what is owed to it."""
    policy = policy_of_loan(session, event.loan_id)
    if policy is None:
        log.info("no policy follows this loan", loan=str(event.loan_id))
        return
    if isinstance(event, LoanDisbursed):
        policy.balance = event.amount
    elif isinstance(event, RecoveryReceived):
        net = max(event.amount - event.costs, NOTHING)
        policy.balance = max((policy.balance or NOTHING) - net, NOTHING)
    else:
        policy.balance = event.balance
    if isinstance(event, LoanRepaid | RecoveryReceived) and event.source == "insurance":
        policy.unsettled = max(policy.unsettled - event.amount, NOTHING)


def live_interest(policy: Policy) -> Decimal:
    """What the bank may receive now: the balance, less what it was paid already and has not booked yet. [CNY]"""
    if policy.balance is None:
        raise StateError("the loan is neither drawn nor undone yet, so the bank's interest is not known; pay later")
    return max(policy.balance - policy.unsettled, NOTHING)


# -- ending -----------------------------------------------------------------------------------------------------------


def lapse_policy(session: Session, policy_id: UUID, reason: str) -> Policy:
    """End a policy with the notice that its reason demands; the bank is told before the cover ends."""
    policy = locked(session, Policy, policy_id)
    if policy.state != "in_force":
        raise StateError(f"the policy is {policy.state}; only one in force can be lapsed")
    ends_on = min(earliest_end(clock.today(), reason, PARAMETERS.at(clock.today())), policy.expiry)
    # Who did not pay the premium gets none back.
    returned = NOTHING if reason == "non_payment" else _unearned(policy, ends_on)
    _lapse(session, policy, reason, ends_on, returned)
    session.flush()
    return policy


def earliest_end(notice_on: date, reason: str, p: InForce) -> date:
    """The first day without cover when the bank gets its notice on a day."""
    days: int = p["cancellation_notice_days"][reason]
    return notice_on + timedelta(days=days)


def close_policy(session: Session, event: LoanClosed) -> None:
    """The loan is over: the bank has no interest any more, the cover ends tomorrow, unearned premium goes back."""
    policy = policy_of_loan(session, event.loan_id)
    if policy is None:
        log.info("no policy to close", loan=str(event.loan_id))
        return
    policy.balance, policy.unsettled = NOTHING, NOTHING
    tomorrow = clock.today() + timedelta(days=1)
    if policy.state != "ended" and policy.ends_on > tomorrow:
        _lapse(session, policy, "loan_closed", tomorrow, _unearned(policy, tomorrow))


def undo_policy(session: Session, loan_id: UUID) -> None:
    """The loan was undone after binding: as if never bound, unless a loss happened under the cover.

    Without a claim the cover ends with the day it began and the whole premium goes back. A claim stands, so the cover
    stood too: then it ends tomorrow and only the unearned premium goes back.
    """
    policy = policy_of_loan(session, loan_id)
    if policy is None:
        return
    policy.balance = NOTHING
    if policy.state == "ended" or policy.lapse_reason == "undone":
        return
    if session.scalar(select(func.count()).select_from(Claim).where(Claim.policy_id == policy.id)):
        ends_on = min(clock.today() + timedelta(days=1), policy.ends_on)
        _lapse(session, policy, "undone", ends_on, _unearned(policy, ends_on))
    else:
        _lapse(session, policy, "undone", policy.inception, policy.annual_premium)


def break_policy(session: Session, policy_id: UUID, reason: str) -> Policy:
    """Enter that the owner broke the policy; the bank hears of it, and the clause says who is paid from now on."""
    policy = locked(session, Policy, policy_id)
    if policy.state == "ended" or policy.breached_at is not None:
        raise StateError("the policy has ended or is broken already")
    policy.breached_at, policy.breach = clock.now(), reason
    outbox.put(
        session,
        PolicyBreached(
            loan_id=policy.loan_id,
            bank=policy.bank,
            insurer=policy.institution,
            policy_id=policy.id,
            clause=policy.terms["lender_clause"],
            reason=reason,
        ),
    )
    audit.record(session, "break_policy", policy.id, loan=str(policy.loan_id), reason=reason)
    session.flush()
    return policy


def give_notice(session: Session, policy_id: UUID) -> None:
    """Tell the bank that the policy will run out, the notice period before it does."""
    policy = locked(session, Policy, policy_id)
    if policy.state == "in_force":
        _lapse(session, policy, "expired", policy.expiry, NOTHING)


def end_policy(session: Session, policy_id: UUID) -> None:
    """The last day of cover is over: what the policy carried is free again."""
    policy = locked(session, Policy, policy_id)
    if policy.state != "ended":
        _end(session, policy)


def _lapse(session: Session, policy: Policy, reason: str, ends_on: date, returned: Decimal) -> None:
    """Tell when the cover ends, and end it on that day."""
    policy.state, policy.lapse_reason = "ending", reason
    policy.ends_on, policy.return_premium = ends_on, returned
    policy.return_split = refunds(policy, returned)
    timers.cancel(session, policy.id, "policy_notice", "policy_instalment")
    outbox.put(
        session,
        PolicyLapsed(
            loan_id=policy.loan_id,
            bank=policy.bank,
            insurer=policy.institution,
            policy_id=policy.id,
            reason=reason,
            ends_on=ends_on,
            return_premium=returned,
        ),
    )
    audit.record(
        session, "lapse_policy", policy.id, loan=str(policy.loan_id), reason=reason, ends_on=ends_on.isoformat(),
        return_premium=str(returned),
    )  # fmt: skip
    if ends_on <= clock.today():
        _end(session, policy)
    else:
        timers.put(session, "policy_end", policy.id, start_of(ends_on))


def _end(session: Session, policy: Policy) -> None:
    policy.state = "ended"
    timers.cancel(session, policy.id, "policy_notice", "policy_end")
    capacity.release(session, policy.cover_id)
    riders = select(IndexCover).where(IndexCover.policy_id == policy.id, IndexCover.state == "in_force")
    for rider in session.scalars(riders.order_by(IndexCover.id).with_for_update()):
        rider.state, rider.ends_on = "ended", min(rider.ends_on, max(policy.ends_on, rider.starts_on))
        timers.cancel(session, rider.id, "index_cover_end")
    audit.record(session, "end_policy", policy.id, loan=str(policy.loan_id))


def _unearned(policy: Policy, ends_on: date) -> Decimal:
    """Premium of the policy year that is given back when the cover ends early. [CNY]"""
    start, end = year_of(policy, ends_on)
    days = (end - start).days
    # The last policy year is as short as the run-off: only the days up to the expiry were charged.
    unused = max((min(end, policy.expiry) - ends_on).days, 0)
    return money.from_fen(return_premium(money.fen(policy.annual_premium), days, days - unused))


def refunds(policy: Policy, returned: Decimal) -> dict[str, str]:
    """What is given back, to those who paid, by what each paid; the parts sum to it."""
    paid = {payer: money.fen(Decimal(part)) for payer, part in (policy.premium_split or {}).items()}
    # What was bound before the parts were kept was paid by the owner.
    if not paid or sum(paid.values()) < money.fen(returned):
        paid = {"owner": money.fen(policy.annual_premium)}
    parts = refund_split(money.fen(returned), list(paid.values()))
    return {payer: str(money.from_fen(part)) for payer, part in zip(paid, parts, strict=True)}


def year_of(policy: Policy, day: date) -> tuple[date, date]:
    """First day of the policy year that a day lies in, and the first day after it."""
    years = 0
    while months_later(policy.inception, 12 * (years + 1)) <= day:
        years += 1
    return months_later(policy.inception, 12 * years), months_later(policy.inception, 12 * (years + 1))


def start_of(day: date) -> datetime:
    """The moment a business day begins."""
    return datetime.combine(day, time.min, tzinfo=clock.BUSINESS)


def months_later(day: date, months: int) -> date:
    """The same day some months later, or the last one of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))

"""Covenants on living collateral: tested on every valuation, payment and lapse; called, cured, or left to default."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import reasons
from services.credit.actions.collateral import Collateral
from services.credit.actions.decisions import current_collateral
from services.credit.actions.endings import let_timers_go, parties
from services.credit.actions.policy import COVENANTS, Policy, policy
from services.credit.actions.states import LIVE, move, touch
from services.credit.formulas import loan_to_value as ltv
from services.credit.tables import Loan, live_loans_on, locked_loan
from shared import clock, money, outbox, timers, watchers
from shared.events.credit import MarginCalled, MarginCured
from shared.events.parts import Reason


@dataclass(frozen=True)
class Finding:
    """What a test of the covenants found."""

    #: None while the collateral cannot be valued, or is worth nothing.
    loan_to_value: float | None
    shortfall: Decimal
    reasons: tuple[Reason, ...]


def watch_asset(session: Session, asset_id: UUID) -> None:
    """Test the covenants of every bank's live loans on an asset that was valued anew."""
    for _ in watchers.each(session, asset_id):
        for loan_id in live_loans_on(session, asset_id):
            loan = locked_loan(session, loan_id)
            if loan is not None and loan.state in LIVE:
                retest(session, loan)


def watch_clock(session: Session, loan_id: UUID) -> None:
    """Test the covenants of a loan because a valuation or the policy has run out by itself."""
    loan = locked_loan(session, loan_id)
    if loan is not None and loan.state in LIVE:
        retest(session, loan)


def retest(session: Session, loan: Loan) -> None:
    """Test the covenants of a locked live loan; call the margin on a breach, or end the call when it is cured."""
    covenants = policy(clock.today(), COVENANTS)
    assets = current_collateral(session, loan, pledged=True)
    found = examine(covenants, loan, assets)
    loan.loan_to_value = None if found.loan_to_value is None else Decimal(f"{found.loan_to_value:.8f}")
    loan.shortfall, loan.covenant_reasons = found.shortfall, reasons.as_json(found.reasons)
    loan.tested_at = clock.now()
    touch(loan)
    _set_freshness(session, loan, covenants, assets)
    if found.reasons and loan.state == "performing":
        _call(session, loan, found)
    elif not found.reasons and loan.state == "margin_called":
        _cure(session, loan, found)


def examine(covenants: Policy, loan: Loan, assets: Sequence[Collateral]) -> Finding:
    """Test a loan against the levels of its contract. What cannot be valued is a breach for the whole balance."""
    levels = contract(loan)
    if loan.balance == 0:
        return Finding(0.0, Decimal("0.00"), ())
    found = [*pledge.faults(covenants, assets, clock.today()), *_lost_legs(loan)]
    if any(reason.code.startswith("valuation_") for reason in found):
        return Finding(None, loan.balance, tuple(found))
    worth = pledge.value(covenants, assets, levels["quantile"]) if assets else 0.0
    ratio = ltv.loan_to_value(float(loan.balance), worth)
    known = ratio if ratio < pledge.LARGEST_RATIO else None
    # Whoever pays the shortfall, to the fen, has cured the call: it is rounded up, and it is what decides.
    shortfall = money.yuan_up(ltv.shortfall(float(loan.balance), worth, levels["cure"]))
    called = loan.state == "margin_called"
    if ltv.margin_state(ratio, levels["margin"], levels["cure"], called) == "called" and shortfall > 0:
        found.insert(0, reasons.margin_breached(known, levels["cure" if called else "margin"]))
    return Finding(known, shortfall, tuple(found))


def contract(loan: Loan) -> dict[str, Any]:
    """The covenant levels that the borrower signed."""
    assert loan.offer is not None
    agreed = loan.offer["covenants"]
    return {
        "quantile": agreed["quantile"],
        "margin": float(agreed["margin_call_loan_to_value"]),
        "cure": float(agreed["cure_loan_to_value"]),
        "days": agreed["cure_days"],
    }


def _lost_legs(loan: Loan) -> list[Reason]:
    lost = []
    expiry = loan.cover.expiry
    if loan.cover.state != "bound" or (expiry is not None and expiry < clock.today()):
        lost.append(reasons.cover_lapsed(expiry))
    if loan.guarantee.state == "released":
        lost.append(reasons.guarantee_released("released"))
    lost += [
        reasons.pledge_released(str(asset.asset_id), "released")
        for asset in loan.assets
        if asset.pledge_state == "released"
    ]
    return lost


def _call(session: Session, loan: Loan, found: Finding) -> None:
    loan.cure_by = clock.now() + timedelta(days=contract(loan)["days"])
    move(session, loan, "margin_called", found.reasons[0].code)
    timers.put(session, "cure", loan.id, loan.cure_by)
    outbox.put(
        session,
        MarginCalled(
            **parties(loan),
            balance=loan.balance,
            loan_to_value=loan.loan_to_value,
            shortfall=found.shortfall,
            cure_by=loan.cure_by,
            reasons=found.reasons,
        ),
    )


def _cure(session: Session, loan: Loan, found: Finding) -> None:
    assert loan.loan_to_value is not None
    loan.cure_by = None
    move(session, loan, "performing", "margin_cured")
    let_timers_go(session, loan, "cure")
    outbox.put(session, MarginCured(**parties(loan), balance=loan.balance, loan_to_value=loan.loan_to_value))


def _set_freshness(session: Session, loan: Loan, covenants: Policy, assets: Sequence[Collateral]) -> None:
    """A valuation grows stale and a policy ends without anybody telling: test again on the first day after."""
    days = [day for day in (pledge.fresh_until(covenants, assets), loan.cover.expiry) if day is not None]
    days = [day for day in days if day >= clock.today()]
    if days:
        morning = datetime.combine(min(days) + timedelta(days=1), datetime.min.time(), clock.BUSINESS)
        timers.put(session, "freshness", loan.id, morning)

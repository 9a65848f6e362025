"""The offer: drafted when both legs stand, approved by a second person, accepted by the borrower, or expired."""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import income, schedules
from services.credit.actions.decisions import Decided, decide, pledged_assets, unverified
from services.credit.actions.endings import decline, expire, let_timers_go, parties
from services.credit.actions.overrides import record_decision
from services.credit.actions.policy import COVENANTS, TERMS, policy
from services.credit.actions.pricing import GUARANTORS, Price
from services.credit.actions.reasons import as_json, rejected_by_approver
from services.credit.actions.states import demand, move
from services.credit.tables import Loan, LoanGuarantee, latest_decision, locked_loan
from shared import approvals, clock, money, outbox, timers
from shared.db import locked
from shared.errors import StateError
from shared.events.base import write_moment
from shared.events.credit import LoanAccepted, LoanOffered


def draft(session: Session, loan: Loan) -> None:
    """Price a locked loan anew with its legs and put the offer before a second person.

    What can no longer be lent on the collateral as it is valued now is declined, which sets the legs free; a natural
    person's loan goes to a human first, for as long as the legs stand.
    """
    decided = decide(session, loan, "offer", loan.cover.sum_insured, guarantor_shares(loan.guarantee))
    if not decided.judgement.blocking and decided.price is not None:
        _propose(session, loan, decided, decided.price)
    elif loan.borrower_kind != "natural_person":
        decline(session, loan, "credit", decided.judgement.blocking)
    elif loan.state != "referred":
        loan.reasons = as_json(decided.judgement.blocking)
        move(session, loan, "referred", decided.judgement.blocking[0].code)
        let_timers_go(session, loan, "legs")
        timers.put(session, "offer", loan.id, _expiry(loan))


def _propose(session: Session, loan: Loan, decided: Decided, price: Price) -> None:
    terms = policy(decided.decision.decided_on, TERMS)
    expires = _expiry(loan)
    loan.annual_rate = Decimal(str(price.annual_rate))
    loan.day_count = loan.day_count or terms["interest_day_count"]
    loan.late_markup = Decimal(str(terms["late_charge"]["markup"]))
    loan.issuances = expected_issuances(session, loan)
    loan.offer_expires_at = expires
    levels = policy(decided.decision.decided_on, COVENANTS)
    loan.covenant_quantile, loan.cure_days = levels["margin_quantile"], levels["cure_days"]
    loan.margin_level = Decimal(f"{levels['margin_call_loan_to_value']:.8f}")
    loan.cure_level = Decimal(f"{levels['cure_loan_to_value']:.8f}")
    loan.offer = _payload(loan, decided, price, expires)
    loan.offer_hash = approvals.payload_hash(loan.offer)
    loan.reasons = []
    move(session, loan, "proposed", "legs_complete")
    let_timers_go(session, loan, "legs")
    approvals.ask(session, "offer", loan.id, loan.offer, loan.applied_by, expires)
    timers.put(session, "offer", loan.id, expires)


def expected_issuances(session: Session, loan: Loan) -> list[list[Any]]:
    """What the carbon behind a loan is expected to bring: day and fen of each issuance."""
    incomes = income.carbon_income(session, loan)
    return [[one["on"].isoformat(), money.fen(one["income"])] for one in incomes if one["income"]]


def _expiry(loan: Loan) -> datetime:
    """How long an offer can stand: its own validity, the quote and the reservation, whichever ends first."""
    own = clock.now() + timedelta(days=policy(clock.today(), TERMS)["offer_validity_days"])
    return min(moment for moment in (own, loan.cover.expires_at, loan.guarantee.expires_at) if moment is not None)


def _payload(loan: Loan, decided: Decided, price: Price, expires: datetime) -> dict[str, Any]:
    """Everything the second person approves, in texts and whole numbers only, so that its hash is one."""
    judgement = decided.judgement
    return {
        "loan_id": str(loan.id),
        "amount": str(loan.amount),
        "term_months": loan.term_months,
        "repayment": loan.repayment,
        "grace_months": loan.grace_months,
        "annual_rate": _rate(price.annual_rate),
        "spread_bp": f"{price.spread_bp:.1f}",
        "late_rate": f"{price.annual_rate * (1 + float(loan.late_markup or 0)):.8f}",
        "schedule": schedules.terms(loan, decided.decision.decided_on),
        "expires_at": write_moment(expires),
        "outcome": decided.outcome,
        "reasons": as_json(decided.reasons),
        "score": round(judgement.score),
        "default_probability": _rate(judgement.default_probability),
        "loss_given_default": _rate(price.loss_given_default),
        "loan_to_value": {name: _rate(ratio) for name, ratio in (judgement.loan_to_value or {}).items()},
        "expected_losses": {leg: str(money.from_fen(part)) for leg, part in price.expected_losses.items()},
        "worth_bp": {leg: f"{worth:.1f}" for leg, worth in price.worth_bp.items()},
        "price": {
            "bare_rate": f"{price.bare_rate:.9f}",
            "waterfall_bp": {leg: f"{worth:.5f}" for leg, worth in price.waterfall_bp.items()},
            "break_even_rate": f"{price.break_even_rate:.9f}",
            "risk_adjusted_return": _rate(price.risk_adjusted_return),
            "yearly_subsidy": str(money.yuan(price.yearly_subsidy)),
            "break_even_carbon_price": None if price.break_even_price is None else f"{price.break_even_price:.2f}",
            "risk_weight": _rate(price.capital_by_framework["risk_weight"]),
        },
        "cover": {
            "cover_id": str(loan.cover.cover_id),
            "sum_insured": str(loan.cover.sum_insured),
            "annual_premium": str(loan.cover.annual_premium),
            "owner_premium": str(loan.cover.owner_premium),
            "perils": loan.cover.perils,
        },
        "guarantee": {
            "guarantee_id": str(loan.guarantee.guarantee_id),
            "fee": str(loan.guarantee.fee),
            "shares": loan.guarantee.shares,
        },
        "pledges": [
            {
                "asset_id": str(asset.asset_id),
                "valuation_version": asset.valuation_version,
                "tonnes": str(asset.tonnes),
                "value": str(asset.value),
            }
            for asset in loan.assets
        ],
        "covenants": {
            "quantile": loan.covenant_quantile,
            "margin_call_loan_to_value": str(loan.margin_level),
            "cure_loan_to_value": str(loan.cure_level),
            "cure_days": loan.cure_days,
        },
        "decision_hash": decided.decision.result_hash,
        "unverified_parameters": list(unverified(decided.decision.decided_on)),
    }


def _rate(value: float | None) -> str | None:
    return None if value is None else f"{value:.8f}"


def guarantor_shares(guarantee: LoanGuarantee) -> dict[str, float]:
    """Share of a loss that each guarantor bears. [-]"""
    shares = {name: Decimal(value) for name, value in (guarantee.shares or {}).items()}
    whole = sum(shares.values())
    # Rounded down to the millionth, so that rounding never makes the guarantors bear more than there is.
    return {
        name: float((shares[name] / whole).quantize(Decimal("0.000001"), ROUND_FLOOR))
        for name in GUARANTORS
        if whole and shares.get(name)
    }


def approve(
    session: Session,
    loan_id: UUID,
    payload_hash: str,
    approved: bool,
    checker: str,
    comment: str,
    reason_code: str = "other",
) -> Loan:
    """Approve or reject a proposed offer as a second person who saw exactly it."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "proposed")
    approvals.decide(session, "offer", loan.id, payload_hash, checker, approved)
    if not approved:
        stood = latest_decision(session, loan.id)
        assert stood is not None
        record_decision(session, loan, stood, "approval", False, reason_code, checker)
        decline(session, loan, "approver", (rejected_by_approver(),), comment)
        return loan
    assert loan.annual_rate is not None
    assert loan.offer_expires_at is not None
    assert loan.offer_hash is not None
    loan.approved_by = checker
    move(session, loan, "offered", "approved", comment)
    outbox.put(
        session,
        LoanOffered(
            **parties(loan),
            amount=loan.amount,
            term_months=loan.term_months,
            annual_rate=loan.annual_rate,
            expires_at=loan.offer_expires_at,
            terms_hash=loan.offer_hash,
        ),
    )
    return loan


def accept(session: Session, loan_id: UUID) -> Loan:
    """Take up the offer for the borrower: the legs are asked to place, bind and issue, until a deadline."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "offered")
    now = clock.now()
    if loan.offer_expires_at is None or loan.offer_expires_at <= now:
        raise StateError("the offer has expired; apply anew")
    assert loan.cover.cover_id is not None
    assert loan.guarantee.guarantee_id is not None
    loan.bind_by = now + timedelta(hours=policy(clock.today(), TERMS)["binding_deadline_hours"])
    move(session, loan, "binding", "accepted")
    let_timers_go(session, loan, "offer")
    timers.put(session, "binding", loan.id, loan.bind_by)
    outbox.put(
        session,
        LoanAccepted(
            **parties(loan),
            amount=loan.amount,
            term_months=loan.term_months,
            cover_id=loan.cover.cover_id,
            guarantee_id=loan.guarantee.guarantee_id,
            pledges=pledged_assets(loan),
            bind_by=loan.bind_by,
        ),
    )
    return loan


def expire_offer(session: Session, loan_id: UUID) -> None:
    """Let an offer that nobody approved or took up in time end; the quote or the reservation behind it ends too."""
    loan = locked_loan(session, loan_id)
    if loan is not None and loan.state in ("referred", "proposed", "offered"):
        expire(session, loan, "offer")

"""Applications: entered, scored at once, referred to a person where the machine may not decide, withdrawn."""

import hashlib
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import legs, offers
from services.credit.actions.decisions import Decided, decide, pledged_assets
from services.credit.actions.endings import decline, parties, withdraw
from services.credit.actions.policy import JUDGEMENT, TERMS, policy
from services.credit.actions.reasons import as_json, declined_by_officer
from services.credit.actions.states import BEFORE_MONEY, begin, demand, move
from services.credit.formulas.identity import identity_number_fault
from services.credit.tables import Loan, LoanAsset, LoanCover, LoanGuarantee
from shared import audit, clock, outbox, watchers
from shared.db import locked, tenant
from shared.errors import ForbiddenError, InvalidError, StateError
from shared.events.credit import LoanApplied, LoanScored
from shared.events.parts import Reason
from shared.ids import uuid7


def apply_for_loan(session: Session, application: dict[str, Any], officer: str) -> Loan:
    """Enter an application, judge it, and go the way its outcome points."""
    # Written when all is decided, so that each row is written once and as it is to stay.
    with session.no_autoflush:
        loan = _enter(session, application, officer)
        decided = decide(session, loan, "application", None, None)
        outbox.put(
            session,
            LoanApplied(
                **parties(loan), amount=loan.amount, term_months=loan.term_months, pledges=pledged_assets(loan)
            ),
        )
        move(session, loan, "scored", decided.outcome)
        _tell_score(session, loan, decided)
        if decided.outcome == "decline":
            decline(session, loan, "credit", decided.reasons)
        elif decided.outcome == "refer":
            loan.reasons = as_json(decided.reasons)
            move(session, loan, "referred", decided.reasons[0].code)
        else:
            legs.ask(session, loan, decided, "approved_by_policy")
    return loan


def decide_referral(session: Session, loan_id: UUID, proceed: bool, comment: str, officer: str) -> Loan:
    """Decide a referred application as a person who did not enter it; the loan is judged anew first."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "referred")
    if loan.applied_by == officer:
        raise ForbiddenError("the person who entered the application cannot decide its referral; ask a colleague")
    audit.record(session, "decide_referral", loan.id, proceed=proceed)
    if not proceed:
        kept = tuple(Reason(**reason) for reason in loan.reasons[:3])
        decline(session, loan, "credit", (*kept, declined_by_officer()), comment)
        return loan
    if loan.legs_by is not None:
        offers.draft(session, loan)
        if loan.state == "referred":
            raise _blocked(loan.reasons)
        return loan
    decided = decide(session, loan, "referral", None, None)
    if decided.judgement.blocking or decided.price is None:
        raise _blocked(as_json(decided.judgement.blocking))
    _tell_score(session, loan, decided)
    loan.reasons = []
    legs.ask(session, loan, decided, "proceed_after_referral", comment)
    return loan


def withdraw_application(session: Session, loan_id: UUID, reason: str) -> Loan:
    """Step back from a loan before money flows."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *BEFORE_MONEY)
    withdraw(session, loan, reason)
    return loan


def obligor_of(reference: str) -> str:
    """Stable pseudonym of a borrower for the other institutions: the reference itself never leaves the bank."""
    return hashlib.sha256(reference.encode("utf-8")).hexdigest()[:32]


def _enter(session: Session, application: dict[str, Any], officer: str) -> Loan:
    reference = application["borrower_reference"]
    if identity_number_fault(reference) is None:
        raise InvalidError(
            "give an organisation code or an internal file number, never a person's identity number",
            errors=[{"pointer": "/borrower_reference", "detail": "This is an identity number."}],
        )
    share = application["guaranteed_share"]
    if share is None:
        share = Decimal(1) - Decimal(str(policy(clock.today(), TERMS)["bank_minimum_retained_share"]))
    loan_id, bank, now = uuid7(), tenant(session), clock.now()
    loan = Loan(
        id=loan_id,
        institution=bank,
        state="applied",
        steps=0,
        applied_by=officer,
        applied_at=now,
        updated_at=now,
        borrower_reference=reference,
        borrower_kind=application["borrower_kind"],
        obligor=obligor_of(reference),
        features={name: application[name] for name in FEATURES},
        small_or_farmer=application["small_or_farmer"],
        amount=application["amount"],
        term_months=application["term_months"],
        repayment=application["repayment"],
        grace_months=application["grace_months"],
        insurer=application["insurer"],
        guarantor=application["guarantor"],
        scheme=application["scheme"],
        guaranteed_share=share,
        county=None,
        verifier=application["verifier"],
        reasons=[],
        covenant_reasons=[],
        assets=[
            LoanAsset(asset_id=asset["asset_id"], institution=bank, tonnes=asset["tonnes"], pledge_state="none")
            for asset in sorted(application["assets"], key=lambda asset: str(asset["asset_id"]))
        ],
        cover=LoanCover(institution=bank, state="none", perils=[], reasons=[]),
        guarantee=LoanGuarantee(institution=bank, state="none", reasons=[]),
    )
    session.add(loan)
    begin(session, loan, "applied")
    watchers.watch(session, *(asset.asset_id for asset in loan.assets))
    return loan


#: The features a scorecard may read, as they are stored.
FEATURES = ("industry", "employees", "new_business", "revolving", "low_doc")


def _tell_score(session: Session, loan: Loan, decided: Decided) -> None:
    judgement = decided.judgement
    margin = (judgement.loan_to_value or {}).get(policy(clock.today(), JUDGEMENT)["margin_quantile"])
    outbox.put(
        session,
        LoanScored(
            **parties(loan),
            score=round(judgement.score),
            default_probability=Decimal(repr(judgement.default_probability)),
            loan_to_value=None if margin is None else Decimal(repr(margin)),
            outcome=decided.outcome,  # type: ignore[arg-type]
            reasons=decided.reasons,
        ),
    )


def _blocked(why: list[dict[str, str]]) -> StateError:
    return StateError(
        "the loan cannot go on while this stands: " + "; ".join(reason["en"] for reason in why),
        errors=[{"pointer": "", **reason} for reason in why],
    )

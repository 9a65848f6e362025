"""Applications: entered, scored at once, referred to a person where the machine may not decide, withdrawn."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import findings, income, legs, offers, schedules
from services.credit.actions.dates import months_after
from services.credit.actions.decisions import Decided, decide, pledged_assets
from services.credit.actions.endings import decline, parties, withdraw
from services.credit.actions.findings import Finding
from services.credit.actions.overrides import answer_review, record_decision
from services.credit.actions.parties import finance_faults, finances_as_json
from services.credit.actions.policy import JUDGEMENT, PARTIES, TERMS, policy
from services.credit.actions.reasons import as_json, declined_by_officer
from services.credit.actions.states import BEFORE_MONEY, begin, demand, move
from services.credit.formulas.identity import identity_number_fault
from services.credit.tables import Loan, LoanAsset, LoanCover, LoanGuarantee, Party, latest_decision
from shared import audit, clock, outbox, watchers
from shared.db import found, locked, tenant
from shared.errors import ForbiddenError, InvalidError, StateError
from shared.events.credit import LoanApplied, LoanScored
from shared.events.parts import Reason
from shared.ids import uuid7


def apply_for_loan(session: Session, asked: dict[str, Any], officer: str) -> Loan:
    """Enter an application, judge it, and go the way its outcome points; what is found in its file is for a person."""
    party = None
    if asked["borrower_id"] is not None:
        party = session.get(Party, asked["borrower_id"])
        if party is None:
            raise InvalidError(
                "no party has this id",
                errors=[{"pointer": "/borrower_id", "detail": "Nobody is registered under this id."}],
            )
    findings.refuse(session, party, asked)
    # Written when all is decided, so that each row is written once and as it is to stay.
    with session.no_autoflush:
        loan = _enter(session, asked, party, officer)
        _follow_carbon(session, loan, asked)
        looked_at = [] if party is None else findings.find(session, loan, party)
        loan.findings = findings.as_json(looked_at)
        decided = decide(session, loan, "application", None, None)
        outcome, why = _with_findings(decided, looked_at)
        _tell_application(session, loan)
        move(session, loan, "scored", outcome)
        _tell_score(session, loan, decided, outcome, why)
        if outcome == "decline":
            decline(session, loan, "credit", why)
        elif outcome == "refer":
            loan.reasons = as_json(why)
            move(session, loan, "referred", why[0].code)
        else:
            legs.ask(session, loan, decided, "approved_by_policy")
    return loan


def decide_referral(
    session: Session,
    loan_id: UUID,
    proceed: bool,
    comment: str,
    officer: str,
    reason_code: str = "other",
    stage: str = "referral",
) -> Loan:
    """Decide a referred application as a person who did not enter it; the loan is judged anew first."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "referred")
    if loan.applied_by == officer:
        raise ForbiddenError("the person who entered the application cannot decide its referral; ask a colleague")
    audit.record(session, "decide_referral", loan.id, proceed=proceed)
    stood = latest_decision(session, loan.id)
    assert stood is not None
    record_decision(session, loan, stood, stage, proceed, reason_code, officer)
    answer_review(session, loan, proceed, reason_code, comment, officer)
    if not proceed:
        kept = tuple(Reason(**reason) for reason in loan.reasons[:3])
        decline(session, loan, "credit", (*kept, declined_by_officer()), comment)
        return loan
    _demand_nothing_stands(session, loan)
    if loan.legs_by is not None:
        offers.draft(session, loan)
        if loan.state == "referred":
            raise _blocked(loan.reasons)
        return loan
    decided = decide(session, loan, "referral", None, None)
    if decided.judgement.blocking or decided.price is None:
        raise _blocked(as_json(decided.judgement.blocking))
    _tell_score(session, loan, decided, decided.outcome, decided.reasons)
    loan.reasons = []
    legs.ask(session, loan, decided, "proceed_after_referral", comment)
    return loan


def renew(session: Session, loan: Loan, comment: str) -> Loan:
    """Carry on a declined loan as a new application, because a reviewer overturned the decline; judged as of today."""
    with session.no_autoflush:
        renewed = _enter_again(session, loan)
        _demand_nothing_stands(session, renewed)
        decided = decide(session, renewed, "application", None, None)
        if decided.judgement.blocking or decided.price is None:
            raise _blocked(as_json(decided.judgement.blocking))
        _tell_application(session, renewed)
        move(session, renewed, "scored", decided.outcome)
        _tell_score(session, renewed, decided, decided.outcome, decided.reasons)
        legs.ask(session, renewed, decided, "overturned_on_review", comment)
    return renewed


def withdraw_application(session: Session, loan_id: UUID, reason: str) -> Loan:
    """Step back from a loan before money flows."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *BEFORE_MONEY)
    withdraw(session, loan, reason)
    return loan


def obligor_of(reference: str) -> str:
    """Stable pseudonym of a borrower for the other institutions: the reference itself never leaves the bank."""
    return hashlib.sha256(reference.encode("utf-8")).hexdigest()[:32]


def _enter(session: Session, asked: dict[str, Any], party: Party | None, officer: str) -> Loan:
    who = _borrower(asked) if party is None else _registered(party)
    share = asked["guaranteed_share"]
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
        party_id=None if party is None else party.id,
        purpose=asked["purpose"],
        finances=_finances(asked, party),
        findings=[],
        borrower_reference=who["borrower_reference"],
        borrower_kind=who["borrower_kind"],
        obligor=who["obligor"],
        features={**{name: asked[name] for name in FEATURES}, **who["features"]},
        small_or_farmer=who["small_or_farmer"],
        amount=asked["amount"],
        term_months=asked["term_months"],
        repayment=asked["repayment"],
        grace_months=asked["grace_months"],
        day_count=asked["day_count"],
        insurer=asked["insurer"],
        guarantor=asked["guarantor"],
        scheme=asked["scheme"],
        guaranteed_share=share,
        county=None,
        verifier=asked["verifier"],
        reasons=[],
        covenant_reasons=[],
        assets=[
            LoanAsset(
                asset_id=asset["asset_id"],
                institution=bank,
                tonnes=asset["tonnes"],
                pledge_state="none",
                asked_rank=asset["rank"],
            )
            for asset in sorted(asked["assets"], key=lambda asset: str(asset["asset_id"]))
        ],
        cover=LoanCover(institution=bank, state="none", perils=[], reasons=[]),
        guarantee=LoanGuarantee(institution=bank, state="none", reasons=[]),
    )
    return _begun(session, loan)


#: What was asked, which an application that is renewed takes over.
_ASKED = (
    "institution",
    "applied_by",
    "party_id",
    "purpose",
    "finances",
    "borrower_reference",
    "borrower_kind",
    "obligor",
    "features",
    "small_or_farmer",
    "amount",
    "term_months",
    "repayment",
    "grace_months",
    "day_count",
    "insurer",
    "guarantor",
    "scheme",
    "guaranteed_share",
    "verifier",
)


def _enter_again(session: Session, loan: Loan) -> Loan:
    now = clock.now()
    renewed = Loan(
        id=uuid7(),
        **{name: getattr(loan, name) for name in _ASKED},
        state="applied",
        steps=0,
        applied_at=now,
        updated_at=now,
        findings=[],
        reasons=[],
        covenant_reasons=[],
        assets=[
            LoanAsset(
                asset_id=asset.asset_id,
                institution=loan.institution,
                tonnes=asset.tonnes,
                pledge_state="none",
                asked_rank=asset.asked_rank,
            )
            for asset in loan.assets
        ],
        cover=LoanCover(institution=loan.institution, state="none", perils=[], reasons=[]),
        guarantee=LoanGuarantee(institution=loan.institution, state="none", reasons=[]),
    )
    return _begun(session, renewed)


def _begun(session: Session, loan: Loan) -> Loan:
    session.add(loan)
    begin(session, loan, "applied")
    watchers.watch(session, *(asset.asset_id for asset in loan.assets))
    return loan


def _follow_carbon(session: Session, loan: Loan, asked: dict[str, Any]) -> None:
    """Let the grace end with the first issuance where that is asked; refuse what no issuance of the term carries."""
    if not (asked["grace_to_first_issuance"] or loan.repayment == "issuance_matched"):
        return
    today = clock.today()
    months = schedules.first_issuance_months(today, income.carbon_income(session, loan))
    if months is None or months >= loan.term_months:
        place = "grace_to_first_issuance" if asked["grace_to_first_issuance"] else "repayment"
        detail = "No issuance of a valued forest is expected before the loan matures."
        raise InvalidError(detail, errors=[{"pointer": f"/{place}", "detail": detail}])
    if asked["grace_to_first_issuance"]:
        loan.grace_months = months


def _borrower(asked: dict[str, Any]) -> dict[str, Any]:
    """Who borrows, as the application itself says."""
    reference = asked["borrower_reference"]
    if identity_number_fault(reference) is None:
        raise InvalidError(
            "give an organisation code or an internal file number, never a person's identity number",
            errors=[{"pointer": "/borrower_reference", "detail": "This is an identity number."}],
        )
    return {
        "borrower_reference": reference,
        "borrower_kind": asked["borrower_kind"],
        "obligor": obligor_of(reference),
        "features": {},
        "small_or_farmer": asked["small_or_farmer"],
    }


def _registered(party: Party) -> dict[str, Any]:
    """Who borrows, as registered; the party's id is the file number that stands for it everywhere."""
    new = None
    if party.established_on is not None:
        years = policy(clock.today(), PARTIES)["new_business_years"]
        new = months_after(party.established_on, 12 * years) > clock.today()
    return {
        "borrower_reference": str(party.id),
        "borrower_kind": party.kind,
        "obligor": party.obligor,
        "features": {"industry": party.industry, "employees": party.employees, "new_business": new},
        "small_or_farmer": party.small_or_farmer,
    }


def _finances(asked: dict[str, Any], party: Party | None) -> dict[str, Any] | None:
    """The borrower's year and debts, from the application or else from the borrower's file."""
    given = asked["finances"]
    kind = asked["borrower_kind"] if party is None else party.kind
    if given is not None:
        faults = list(finance_faults(kind, given, clock.today()))
        if faults:
            raise InvalidError(
                "; ".join(f"{where}: {what}" for where, what in faults[:3]),
                errors=[{"pointer": where, "detail": what} for where, what in faults],
            )
        return finances_as_json(given)
    if party is None or party.yearly_income is None:
        return None
    return {"yearly_income": str(party.yearly_income), "yearly_costs": str(party.yearly_costs), "debts": party.debts}


#: The features a scorecard may read, as they are stored.
FEATURES = ("industry", "employees", "new_business", "revolving", "low_doc")


def _with_findings(decided: Decided, looked_at: Sequence[Finding]) -> tuple[str, tuple[Reason, ...]]:
    """An approval with something in its file is for a person; a decline stays one, for its own reasons."""
    if not looked_at or decided.outcome == "decline":
        return decided.outcome, decided.reasons
    most = policy(clock.today(), JUDGEMENT)["most_reasons"]
    return "refer", (*(one.reason for one in looked_at), *decided.reasons)[:most]


def _demand_nothing_stands(session: Session, loan: Loan) -> None:
    """Look at the file again; what stands in the way there no person passes over."""
    if loan.party_id is None:
        return
    looked_at = findings.find(session, loan, found(session, Party, loan.party_id))
    loan.findings = findings.as_json(looked_at)
    standing = [one.reason for one in looked_at if one.stands]
    if standing:
        raise _blocked(as_json(standing))


def _tell_application(session: Session, loan: Loan) -> None:
    outbox.put(
        session,
        LoanApplied(**parties(loan), amount=loan.amount, term_months=loan.term_months, pledges=pledged_assets(loan)),
    )


def _tell_score(session: Session, loan: Loan, decided: Decided, outcome: str, why: tuple[Reason, ...]) -> None:
    judgement = decided.judgement
    margin = (judgement.loan_to_value or {}).get(policy(clock.today(), JUDGEMENT)["margin_quantile"])
    outbox.put(
        session,
        LoanScored(
            **parties(loan),
            score=round(judgement.score),
            default_probability=Decimal(repr(judgement.default_probability)),
            loan_to_value=None if margin is None else Decimal(repr(margin)),
            outcome=outcome,  # type: ignore[arg-type]
            reasons=why,
        ),
    )


def _blocked(why: list[dict[str, str]]) -> StateError:
    return StateError(
        "the loan cannot go on while this stands: " + "; ".join(reason["en"] for reason in why),
        errors=[{"pointer": "", **reason} for reason in why],
    )

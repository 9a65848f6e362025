"""What a person decided beside the machine, kept with what the machine had said; and the review that it answers."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions.endings import parties
from services.credit.actions.states import note
from services.credit.tables import Decision, Loan, Override, review_of
from shared import clock, outbox, timers
from shared.errors import ForbiddenError
from shared.events.credit import ReviewDecided
from shared.ids import uuid7


def record_decision(
    session: Session, loan: Loan, stood: Decision, stage: str, proceed: bool, reason_code: str, person: str
) -> None:
    """Keep a person's decision beside the machine's judgement that it was made on."""
    judged = stood.result["judgement"]
    # Of a natural person a machine says no more than "refer"; what it would have said counts here.
    machine = "decline" if "human_review" in judged["flags"] else stood.outcome
    outcome = "proceed" if proceed else "decline"
    session.add(
        Override(
            id=uuid7(),
            institution=loan.institution,
            loan=loan,
            decision=stood,
            stage=stage,
            machine_outcome=machine,
            outcome=outcome,
            against_machine=(machine, outcome) in (("decline", "proceed"), ("approve", "decline")),
            reason_code=reason_code,
            score=round(judged["score"]),
            default_probability=Decimal(repr(judged["default_probability"])),
            artefact_hash=stood.artefact_hash,
            decided_by=person,
            decided_at=clock.now(),
        )
    )


def answer_review(
    session: Session,
    loan: Loan,
    overturn: bool,
    reason_code: str,
    explanation: str,
    person: str,
    new_loan_id: UUID | None = None,
) -> None:
    """Close the review of a loan's decision, if one is open, with what a person decided."""
    review = review_of(session, loan.id)
    if review is None or review.state != "open":
        return
    if person == review.first_decider:
        raise ForbiddenError("the borrower asked that another person looks at this decision; ask a colleague")
    review.state = "overturned" if overturn else "upheld"
    review.decided_by, review.decided_at = person, clock.now()
    review.reason_code, review.explanation, review.new_loan_id = reason_code, explanation, new_loan_id
    timers.cancel(session, loan.id, "review")
    note(session, loan, "decide_review", outcome=review.state, reason=reason_code)
    outbox.put(
        session,
        ReviewDecided(**parties(loan), outcome=review.state, reason_code=reason_code, new_loan_id=new_loan_id),  # type: ignore[arg-type]
    )

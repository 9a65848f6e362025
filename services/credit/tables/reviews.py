"""What people decided beside the machine, and the reviews that borrowers asked for."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Select, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.credit.tables.base import Base, one_of
from services.credit.tables.decisions import Decision
from services.credit.tables.loans import Loan
from shared.db import Id, Institution, Moment, RateColumn

STAGES = ("referral", "review", "approval")
#: Why a person decided as it did, beside what is written.
PERSONS_REASONS = (
    "accounts_seen",
    "known_borrower",
    "facts_corrected",
    "risk_mitigated",
    "policy_exception",
    "repayment_source",
    "purpose",
    "integrity",
    "information_withheld",
    "machine_confirmed",
    "other",
)
GROUNDS = ("facts_wrong", "facts_missing", "circumstances_changed", "not_explained", "other")


class Override(Base):
    """A person's decision beside the machine's on the same loan; what became of the loan stands on the loan."""

    __tablename__ = "overrides"
    __table_args__ = (
        CheckConstraint(one_of("stage", STAGES), name="stage"),
        CheckConstraint(one_of("machine_outcome", ("approve", "refer", "decline")), name="machine_outcome"),
        CheckConstraint(one_of("outcome", ("proceed", "decline")), name="outcome"),
        CheckConstraint(one_of("reason_code", PERSONS_REASONS), name="reason_code"),
        CheckConstraint(
            "against_machine = ((machine_outcome = 'decline' AND outcome = 'proceed')"
            " OR (machine_outcome = 'approve' AND outcome = 'decline'))",
            name="against_machine",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), index=True)
    #: The machine's judgement that the person had before it.
    decision_id: Mapped[UUID] = mapped_column(ForeignKey("decisions.id"))
    stage: Mapped[str] = mapped_column(String(16))
    #: What the machine said; of a natural person what it would have said, had it the last word.
    machine_outcome: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    against_machine: Mapped[bool]
    reason_code: Mapped[str] = mapped_column(String(32))
    score: Mapped[int]
    default_probability: Mapped[RateColumn]
    artefact_hash: Mapped[str] = mapped_column(String(64))
    decided_by: Mapped[str] = mapped_column(String(128))
    decided_at: Mapped[Moment]

    loan: Mapped[Loan] = relationship()
    #: Says that the decision is written first.
    decision: Mapped[Decision] = relationship()

    @property
    def loan_state(self) -> str:
        """Where the loan stands now."""
        return self.loan.state

    @property
    def loan_outcome(self) -> str | None:
        """How the loan ended; None while it lives, or if no money ever went out."""
        return self.loan.outcome

    @property
    def defaulted_on(self) -> date | None:
        """The day of the loan's default."""
        return self.loan.defaulted_on


class Review(Base):
    """A borrower's wish that a person looks at a decision again, by when, and what came of it."""

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("loan_id"),
        CheckConstraint(one_of("state", ("open", "upheld", "overturned", "lapsed")), name="state"),
        CheckConstraint(one_of("grounds", GROUNDS), name="grounds"),
        CheckConstraint(
            "(state IN ('upheld', 'overturned')) = (decided_by IS NOT NULL)"
            " AND (decided_by IS NULL) = (reason_code IS NULL) AND (decided_by IS NULL) = (explanation IS NULL)",
            name="reasoned",
        ),
        CheckConstraint("decided_by <> first_decider", name="another_person"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"))
    state: Mapped[str] = mapped_column(String(16))
    grounds: Mapped[str] = mapped_column(String(32))
    requested_by: Mapped[str] = mapped_column(String(128))
    requested_at: Mapped[Moment]
    due_at: Mapped[Moment]
    #: When it was found that nobody had decided in time.
    overdue_at: Mapped[Moment | None]
    #: The person whose decision is looked at; None while only the machine has decided.
    first_decider: Mapped[str | None] = mapped_column(String(128))
    decided_by: Mapped[str | None] = mapped_column(String(128))
    decided_at: Mapped[Moment | None]
    reason_code: Mapped[str | None] = mapped_column(String(32))
    explanation: Mapped[str | None] = mapped_column(String(1000))
    #: The application that goes on in place of the declined one.
    new_loan_id: Mapped[UUID | None] = mapped_column(ForeignKey("loans.id"))


def review_of(session: Session, loan_id: UUID) -> Review | None:
    """The review of a loan's decision, if one was asked for."""
    return session.scalars(select(Review).where(Review.loan_id == loan_id)).first()


def latest_override(session: Session, loan_id: UUID) -> Override | None:
    """The last decision of a person on a loan."""
    newest = select(Override).where(Override.loan_id == loan_id).order_by(Override.decided_at.desc()).limit(1)
    return session.scalars(newest).first()


def overrides(*, against_machine: bool | None = None) -> Select[Override]:
    """People's decisions with the loans they were made on: those against the machine, those with it, or all."""
    query = select(Override).join(Override.loan)
    return query if against_machine is None else query.where(Override.against_machine == against_machine)


def overridden_outcomes(session: Session, since: datetime) -> Sequence[Any]:
    """People's decisions since a moment, each with the card behind it and what became of the loan, oldest first."""
    query = (
        select(
            Override.artefact_hash,
            Override.machine_outcome,
            Override.outcome,
            Override.against_machine,
            Override.reason_code,
            Loan.state,
            Loan.outcome.label("loan_outcome"),
            Loan.defaulted_on,
        )
        .join(Loan, Loan.id == Override.loan_id)
        .where(Override.decided_at >= since)
        .order_by(Override.decided_at)
    )
    return session.execute(query).all()

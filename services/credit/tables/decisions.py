"""Judgements, kept as they were made."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.credit.tables.base import Base, one_of
from services.credit.tables.loans import Loan
from shared.db import Id, Institution, Moment


class Decision(Base):
    """One judgement of a loan with everything it stood on, so that it can be made again to the byte."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint(one_of("kind", ("application", "referral", "offer")), name="kind"),
        CheckConstraint(one_of("outcome", ("approve", "refer", "decline")), name="outcome"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    decided_at: Mapped[Moment]
    #: Date whose parameters were in force.
    decided_on: Mapped[date]
    inputs: Mapped[dict[str, Any]] = mapped_column(JSONB)
    result: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: SHA-256 of the canonical JSON of inputs and of result.
    inputs_hash: Mapped[str] = mapped_column(String(64))
    result_hash: Mapped[str] = mapped_column(String(64))
    artefact_hash: Mapped[str] = mapped_column(String(64))
    parameters_digest: Mapped[str] = mapped_column(String(64))

    #: Says that the loan is written first.
    loan: Mapped[Loan] = relationship()


def latest_decision(session: Session, loan_id: UUID) -> Decision | None:
    """The judgement a loan stands on now."""
    newest = select(Decision).where(Decision.loan_id == loan_id).order_by(Decision.decided_at.desc()).limit(1)
    return session.scalars(newest).first()

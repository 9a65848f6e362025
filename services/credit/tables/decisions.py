"""Judgements, kept as they were made."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, select
from sqlalchemy.dialects.postgresql import JSONB, insert
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
    #: What it was made by, in decision_materials: the card, and the coefficients of judgement and price.
    artefact_hash: Mapped[str] = mapped_column(String(64))
    judgement_hash: Mapped[str] = mapped_column(String(64))
    price_hash: Mapped[str] = mapped_column(String(64))
    #: Name, version and origin of the card; decisions older than the register of models have none.
    model: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: SHA-256 over every coefficient in force.
    parameters_digest: Mapped[str] = mapped_column(String(64))

    #: Says that the loan is written first.
    loan: Mapped[Loan] = relationship()


class DecisionMaterial(Base):
    """What decisions were made by, word for word and once for each institution, by its own hash."""

    __tablename__ = "decision_materials"
    __table_args__ = (
        CheckConstraint("sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')", name="hash_of_content"),
    )

    institution: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[str] = mapped_column(Text)


def keep_materials(session: Session, institution: str, texts: Mapping[str, str]) -> None:
    """Keep what is not kept yet."""
    known = set(
        session.scalars(
            select(DecisionMaterial.sha256).where(
                DecisionMaterial.institution == institution, DecisionMaterial.sha256.in_(list(texts))
            )
        )
    )
    new = [
        {"institution": institution, "sha256": sha256, "content": text}
        for sha256, text in sorted(texts.items())
        if sha256 not in known
    ]
    if new:
        session.execute(insert(DecisionMaterial).values(new).on_conflict_do_nothing())


def materials_of(session: Session, hashes: Iterable[str]) -> dict[str, str]:
    """What was kept under these hashes."""
    rows = session.execute(
        select(DecisionMaterial.sha256, DecisionMaterial.content).where(DecisionMaterial.sha256.in_(list(hashes)))
    )
    return {row.sha256: row.content for row in rows}


def latest_decision(session: Session, loan_id: UUID) -> Decision | None:
    """The judgement a loan stands on now."""
    newest = select(Decision).where(Decision.loan_id == loan_id).order_by(Decision.decided_at.desc()).limit(1)
    return session.scalars(newest).first()

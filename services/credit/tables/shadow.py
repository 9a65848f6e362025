"""What the challenger said of applications, beside the card that decided."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Float, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.credit.tables.base import Base, one_of
from services.credit.tables.decisions import Decision
from shared.db import Institution, Moment

_BANDS = ("approve", "refer", "decline")


class ShadowScore(Base):
    """One application scored by the challenger, which decides nothing; a failure is written down, never raised."""

    __tablename__ = "shadow_scores"
    __table_args__ = (
        CheckConstraint(one_of("champion_band", _BANDS), name="champion_band"),
        CheckConstraint(one_of("challenger_band", _BANDS), name="challenger_band"),
        CheckConstraint("(failure = '') = (challenger_probability IS NOT NULL)", name="scored_or_failed"),
    )

    decision_id: Mapped[UUID] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(index=True)
    at: Mapped[Moment]
    champion_sha256: Mapped[str] = mapped_column(String(64))
    challenger_sha256: Mapped[str] = mapped_column(String(64))
    #: Yearly, over fire and no fire, as a decision uses it.
    champion_probability: Mapped[float] = mapped_column(Float)
    champion_band: Mapped[str] = mapped_column(String(16))
    challenger_probability: Mapped[float | None] = mapped_column(Float)
    challenger_band: Mapped[str | None] = mapped_column(String(16))
    failure: Mapped[str] = mapped_column(String(200), default="")

    #: Says that the decision is written first.
    decision: Mapped[Decision] = relationship()


class StabilityRun(Base):
    """One measurement of how far applications have moved from what the card was trained on."""

    __tablename__ = "stability_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    at: Mapped[Moment]
    model_sha256: Mapped[str] = mapped_column(String(64))
    since: Mapped[Moment]
    applications: Mapped[int]
    #: Index of the score, None where the card holds no reference or there are too few applications.
    psi: Mapped[float | None] = mapped_column(Float)
    #: Index by feature.
    csi: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: The worst of all: stable, watch, alarm; or unknown.
    band: Mapped[str] = mapped_column(String(16))
    #: The dated limits it was judged by.
    limits: Mapped[dict[str, Any]] = mapped_column(JSONB)

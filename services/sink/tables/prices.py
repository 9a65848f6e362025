"""Price curves."""

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment, MoneyColumn, RateColumn, Versioned


class PriceCurve(Versioned, Base):
    """A market as the registrar sees it: proposed by one person, in force once another approved it."""

    __tablename__ = "price_curves"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
        CheckConstraint("spot_price > 0 AND long_run_price > 0", name="prices"),
        CheckConstraint("volatility >= 0 AND reversion >= 0", name="risk"),
        Index("ix_price_curves_in_force", "registrar", "approved_at"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    spot_price: Mapped[MoneyColumn]
    long_run_price: Mapped[MoneyColumn]
    reversion: Mapped[RateColumn]
    volatility: Mapped[RateColumn]
    drift: Mapped[RateColumn]
    source: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(16))
    payload_hash: Mapped[str] = mapped_column(String(64))
    proposed_by: Mapped[str] = mapped_column(String(128))
    decided_by: Mapped[str | None] = mapped_column(String(128))
    proposed_at: Mapped[Moment]
    approved_at: Mapped[Moment | None]
    job_id: Mapped[UUID | None]

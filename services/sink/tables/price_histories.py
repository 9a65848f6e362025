"""What the market did."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment


class PriceHistory(Base):
    """Dated prices of one instrument, written once, and the fit that a proposed curve was made of."""

    __tablename__ = "price_histories"
    __table_args__ = (
        CheckConstraint("instrument IN ('ccer', 'cea')", name="instrument"),
        CheckConstraint("(instrument = 'cea') = (offset_ratio IS NOT NULL)", name="allowances_are_no_offsets"),
    )

    id: Mapped[Id]
    registrar: Mapped[str] = mapped_column(String(64))
    curve_id: Mapped[UUID] = mapped_column(ForeignKey("price_curves.id"), unique=True)
    instrument: Mapped[str] = mapped_column(String(8))
    #: Price of an offset over that of an allowance.
    offset_ratio: Mapped[Decimal | None] = mapped_column(Numeric(18, 8))
    process: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(300))
    #: [["2025-01-31", "62.36"], …], oldest first.
    prices: Mapped[list[list[str]]] = mapped_column(JSONB)
    fit: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: What the second person should know of the fit.
    flags: Mapped[list[str]] = mapped_column(JSONB)
    entered_by: Mapped[str] = mapped_column(String(128))
    entered_at: Mapped[Moment]

    @property
    def points(self) -> list[dict[str, Any]]:
        """The series, read. [CNY/tCO2e]"""
        return [{"on": date.fromisoformat(day), "price": Decimal(price)} for day, price in self.prices]

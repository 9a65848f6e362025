"""Prices of room by which requests are taken or refused."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import Base
from shared.db import Id, Institution, Moment, RateColumn


class BidPrices(Base):
    """What a guarantor set from a day on: the shadow prices of an allocation, or none. Never changed afterwards."""

    __tablename__ = "bid_prices"
    __table_args__ = (
        CheckConstraint("scale > 0 AND scale <= 1", name="scale"),
        CheckConstraint("ends_on >= starts_on", name="ends_after_it_starts"),
        CheckConstraint("(allocation_id IS NULL) = (prices = '[]'::jsonb)", name="off_or_priced"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    #: Where the prices come from; NULL switches bid prices off.
    allocation_id: Mapped[UUID | None] = mapped_column(ForeignKey("allocations.id"))
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    #: Prices count at this share: those that are too high lose more than those that are too low.
    scale: Mapped[RateColumn]
    #: Whether small and farming borrowers are served whatever the prices are.
    spare_small: Mapped[bool]
    #: What a fen of amount, of carbon and of expected loss is worth.
    objective: Mapped[dict[str, str]] = mapped_column(JSONB)
    #: Kind, key and price of each limit that has one; for a loss rate the rate it is counted from, in basis points.
    prices: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(String(128))
    set_at: Mapped[Moment]

    @property
    def on(self) -> bool:
        """Whether requests are weighed at all."""
        return self.allocation_id is not None

    def price(self, one: dict[str, Any]) -> Decimal:
        """The price of a limit as it counts. [fen per unit of use]"""
        return Decimal(str(one["price"])) * self.scale

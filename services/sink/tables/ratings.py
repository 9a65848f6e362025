"""Ratings of the risk that stored carbon is lost again."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment


class Rating(Base):
    """How likely a forest is to lose its carbon again, with the answers it follows from; entered once, never changed.

    The latest by its day is in force.
    """

    __tablename__ = "ratings"
    __table_args__ = (
        UniqueConstraint("asset_id", "rated_on"),
        CheckConstraint("buffer_share > 0 AND buffer_share <= 1", name="buffer_share"),
        CheckConstraint("NOT failed OR buffer_share = 1", name="failed"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    #: The day that the answers are of.
    rated_on: Mapped[date]
    #: What was answered, as it came: points by factor, and the perils.
    answers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Where the papers are kept, by that archive's key.
    evidence: Mapped[str] = mapped_column(String(300))
    internal_points: Mapped[Decimal] = mapped_column(Numeric(7, 2))
    external_points: Mapped[Decimal] = mapped_column(Numeric(7, 2))
    natural_points: Mapped[Decimal] = mapped_column(Numeric(7, 2))
    #: Whether the risk is too great for any buffer.
    failed: Mapped[bool]
    #: Part of what is minted that goes into the buffer; all of it where the rating failed.
    buffer_share: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    recorded_by: Mapped[str] = mapped_column(String(128))
    recorded_at: Mapped[Moment]

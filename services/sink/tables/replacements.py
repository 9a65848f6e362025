"""What reversals undid of issued units."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment, TonnesColumn, Versioned


class ReplacementDuty(Versioned, Base):
    """Issued tonnes that a reversal undid: what the buffer gave for them, and what the registrar has to replace."""

    __tablename__ = "replacement_duties"
    __table_args__ = (
        UniqueConstraint("reversal_id"),
        CheckConstraint("reversed_tonnes > 0 AND buffer_tonnes >= 0 AND duty_tonnes >= 0", name="tonnes"),
        CheckConstraint("reversed_tonnes = buffer_tonnes + duty_tonnes", name="covered"),
        CheckConstraint("discharged_tonnes >= 0 AND discharged_tonnes <= duty_tonnes", name="discharged"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    reversal_id: Mapped[UUID] = mapped_column(ForeignKey("reversals.id"))
    reversed_tonnes: Mapped[TonnesColumn]
    buffer_tonnes: Mapped[TonnesColumn]
    duty_tonnes: Mapped[TonnesColumn]
    discharged_tonnes: Mapped[TonnesColumn]
    #: Serial ranges cancelled from the buffer.
    serials: Mapped[list[str]] = mapped_column(JSONB)
    recorded_at: Mapped[Moment]

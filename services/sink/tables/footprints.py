"""What events, organisations and people emit."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment, TonnesColumn


class Footprint(Base):
    """What an event, an organisation or a person emits, as estimated once from what they said they do."""

    __tablename__ = "footprints"
    __table_args__ = (
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("period_until >= period_from", name="period"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(120))
    period_from: Mapped[date]
    period_until: Mapped[date]
    #: What was asked, as it was asked.
    inputs: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: [{"activity": …, "quantity": …, "unit": …, "factor": …, "tonnes": …, "verified": …}], decimals as text.
    lines: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    tonnes: Mapped[TonnesColumn]
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    estimated_at: Mapped[Moment]

"""How much an insurer will carry within a distance, in a zone, with one bank or one guarantor."""

from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, Versioned


class AggregateLimit(Versioned, Base):
    """The most that may be insured together; what would exceed it is refused before it is bound."""

    __tablename__ = "aggregate_limits"
    __table_args__ = (
        UniqueConstraint("institution", "kind", "name"),
        CheckConstraint("kind IN ('ring', 'zone', 'bank', 'guarantor')", name="kind"),
        CheckConstraint("(kind = 'ring') = (radius_km IS NOT NULL)", name="radius"),
        CheckConstraint("(kind = 'zone') = (outline IS NOT NULL)", name="outline"),
        CheckConstraint("cap >= 0 AND (radius_km IS NULL OR radius_km > 0)", name="cap"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(64))
    cap: Mapped[MoneyColumn]
    radius_km: Mapped[Decimal | None]
    #: Corners of the zone, [longitude, latitude] in degrees.
    outline: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    set_by: Mapped[str] = mapped_column(String(128))
    set_at: Mapped[Moment]

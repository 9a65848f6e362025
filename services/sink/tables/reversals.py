"""Losses of stored carbon."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment, RateColumn, TonnesColumn


class Reversal(Base):
    """A loss of carbon in one asset; those of one event share its id."""

    __tablename__ = "reversals"
    __table_args__ = (
        UniqueConstraint("event_id", "asset_id"),
        CheckConstraint("severity > 0 AND severity <= 1", name="severity"),
        CheckConstraint("damaged_ha > 0 AND damaged_ha <= event_area_ha", name="areas"),
        CheckConstraint("carbon_emitted >= 0 AND carbon_emitted <= live_carbon_lost", name="emitted_was_alive"),
    )

    id: Mapped[Id]
    event_id: Mapped[UUID]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    peril: Mapped[str] = mapped_column(String(16))
    occurred_on: Mapped[date]
    county: Mapped[str] = mapped_column(String(32))
    severity: Mapped[RateColumn]
    #: Whether care would have prevented it: then the pool pays no more than the forest itself gave.
    avoidable: Mapped[bool] = mapped_column(server_default=text("false"))
    damaged_ha: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    event_area_ha: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    live_carbon_lost: Mapped[TonnesColumn]
    carbon_emitted: Mapped[TonnesColumn]
    value_before: Mapped[dict[str, str | None]] = mapped_column(JSONB)
    value_after: Mapped[dict[str, str | None]] = mapped_column(JSONB)
    #: The inputs `value_before` was derived from; `value_after` is the new valuation's.
    before_inputs: Mapped[str]
    valuation_version: Mapped[int]
    reported_at: Mapped[Moment]

    @property
    def before(self) -> dict[str, Decimal | None]:
        """Distribution of the value without the event. [CNY]"""
        return _distribution(self.value_before)

    @property
    def after(self) -> dict[str, Decimal | None]:
        """Distribution of the value after the event. [CNY]"""
        return _distribution(self.value_after)


def _distribution(told: dict[str, str | None]) -> dict[str, Decimal | None]:
    later: dict[str, Decimal | None] = {"p25": None, "p75": None, "expected_shortfall": None}
    return later | {name: None if amount is None else Decimal(amount) for name, amount in told.items()}

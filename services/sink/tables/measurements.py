"""What plots say of a forest."""

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment, RateColumn, TonnesColumn


class Measurement(Base):
    """What the plots of a day say of an asset: written once, never changed, and derivable again from its inputs."""

    __tablename__ = "measurements"
    __table_args__ = (
        UniqueConstraint("asset_id", "measured_on"),
        CheckConstraint("stock_tonnes >= 0 AND discounted_tonnes >= 0", name="not_negative"),
        CheckConstraint("discounted_tonnes <= stock_tonnes", name="discounted"),
        CheckConstraint("half_width >= 0 AND half_width <= 1", name="half_width"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    measured_on: Mapped[date]
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    inputs: Mapped[str]
    inputs_hash: Mapped[str] = mapped_column(String(64))
    parameters_hash: Mapped[str] = mapped_column(String(64))
    engine_version: Mapped[str] = mapped_column(String(32))
    outputs: Mapped[str]
    outputs_hash: Mapped[str] = mapped_column(String(64))
    stock_tonnes: Mapped[TonnesColumn]
    #: Relative half-width of the 90 % interval of the stock.
    half_width: Mapped[RateColumn]
    discounted_tonnes: Mapped[TonnesColumn]
    #: Volume at which a valuation by expansion factors has the measured stock of trees; none without trees in the mix.
    volume_m3_ha: Mapped[Decimal | None] = mapped_column(Numeric(8, 3))
    crown_cover: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    #: Whether its facts took the asset's place when it was entered: it was the youngest.
    taken_up: Mapped[bool]
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    entered_at: Mapped[Moment]

    @property
    def results(self) -> dict[str, Any]:
        """The outputs, read."""
        read: dict[str, Any] = json.loads(self.outputs)
        return read

    @property
    def figures(self) -> dict[str, Any]:
        """The outputs with decimals for numbers."""
        figures: dict[str, Any] = json.loads(self.outputs, parse_float=Decimal, parse_int=Decimal)
        return figures

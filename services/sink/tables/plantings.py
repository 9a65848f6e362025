"""Trees planted for allowances, and who adopted them."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base, extent_index
from shared.db import Id, Institution, Moment, TonnesColumn, Versioned


class Planting(Versioned, Base):
    """Trees planted for allowances, an adoption or a memory, on ground that earns no credits."""

    __tablename__ = "plantings"
    __table_args__ = (
        extent_index("plantings"),
        CheckConstraint("purpose IN ('offset', 'adoption', 'memorial')", name="purpose"),
        CheckConstraint("area_ha > 0", name="area"),
        CheckConstraint("survival > 0 AND survival <= 1", name="survival"),
        CheckConstraint("trees > 0 AND adopted_trees >= 0 AND adopted_trees <= trees", name="trees"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(120))
    purpose: Mapped[str] = mapped_column(String(16))
    county: Mapped[str] = mapped_column(String(32))
    geometry: Mapped[dict[str, Any]] = mapped_column(JSONB)
    min_longitude: Mapped[float]
    min_latitude: Mapped[float]
    max_longitude: Mapped[float]
    max_latitude: Mapped[float]
    area_ha: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    species: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    planted_year: Mapped[int]
    survival: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    #: When the survivors were last counted; until then survival is what was expected at the planting.
    counted_on: Mapped[date | None]
    trees: Mapped[int]
    adopted_trees: Mapped[int]
    first_year: Mapped[int]
    #: What has grown by the end of each year from the first, a running total. [kgCO2e]
    grown_kg: Mapped[list[int]] = mapped_column(JSONB)
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    entered_at: Mapped[Moment]

    @property
    def allowance_tonnes(self) -> Decimal:
        """Allowance over all years. [tCO2e]"""
        return Decimal(self.grown_kg[-1]) / 1000

    @property
    def schedule(self) -> list[dict[str, Any]]:
        """What has grown by the end of each year. [tCO2e]"""
        return [
            {"year": self.first_year + k, "grown_tonnes": Decimal(mass) / 1000} for k, mass in enumerate(self.grown_kg)
        ]

    @property
    def ex_ante(self) -> bool:
        """Whether the allowance rests on a forecast: it always does."""
        return True


class Adoption(Versioned, Base):
    """Trees of a planting that somebody adopted, and the allowance that goes with them."""

    __tablename__ = "adoptions"
    __table_args__ = (
        CheckConstraint("trees > 0", name="trees"),
        CheckConstraint("claimed_tonnes >= 0 AND claimed_tonnes <= allowance_tonnes", name="claimed_once"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    planting_id: Mapped[UUID] = mapped_column(ForeignKey("plantings.id"), index=True)
    adopter: Mapped[str] = mapped_column(String(120))
    dedication: Mapped[str | None] = mapped_column(String(200))
    trees: Mapped[int]
    allowance_tonnes: Mapped[TonnesColumn]
    claimed_tonnes: Mapped[TonnesColumn]
    adopted_at: Mapped[Moment]

    @property
    def ex_ante(self) -> bool:
        """Whether the allowance rests on a forecast: it always does."""
        return True

"""Forests in the register."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, Select, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.sink.tables.base import Base, extent_index
from shared.db import Id, Moment, RateColumn, TonnesColumn, Versioned


class Asset(Versioned, Base):
    """A forest in the register, its ground, and the balance of its units.

    Units: forecast + issued - retired - cancelled - transferred is what there is; pledged and enforced are spoken for;
    the rest is free. After a reversal more may be spoken for than there is: `over_pledged` says so, and nothing new can
    be pledged. All but the forecast are sums of the ledger (`UnitEntry`), and the database sees that they are.
    """

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("registrar", "reference"),
        extent_index("assets"),
        CheckConstraint("area_ha > 0", name="area"),
        CheckConstraint("survival > 0 AND survival <= 1", name="survival"),
        CheckConstraint("live_share >= 0 AND live_share <= 1", name="live_share"),
        CheckConstraint("verified_live_share >= 0 AND verified_live_share <= 1", name="verified_live_share"),
        CheckConstraint("crediting_until > crediting_from", name="crediting"),
        CheckConstraint(
            "forecast_tonnes >= 0 AND pledged_tonnes >= 0 AND enforced_tonnes >= 0"
            " AND issued_tonnes >= 0 AND retired_tonnes >= 0",
            name="units_not_negative",
        ),
        CheckConstraint("row_spacing_m > 0 AND plant_spacing_m > 0", name="spacing"),
        CheckConstraint("slope_degrees BETWEEN 0 AND 90", name="slope"),
        CheckConstraint(
            "transferred_tonnes >= 0 AND cancelled_tonnes >= 0 AND buffer_tonnes >= 0", name="ledger_not_negative"
        ),
        CheckConstraint("credited_tonnes >= 0", name="credited"),
        CheckConstraint(
            "retired_tonnes + cancelled_tonnes + transferred_tonnes <= issued_tonnes", name="retired_were_issued"
        ),
        CheckConstraint(
            "over_pledged = (pledged_tonnes + enforced_tonnes > forecast_tonnes + issued_tonnes - retired_tonnes"
            " - cancelled_tonnes - transferred_tonnes)",
            name="over_pledged_is_told",
        ),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    reference: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    programme: Mapped[str] = mapped_column(String(16))
    county: Mapped[str] = mapped_column(String(32), index=True)
    geometry: Mapped[dict[str, Any]] = mapped_column(JSONB)
    min_longitude: Mapped[float]
    min_latitude: Mapped[float]
    max_longitude: Mapped[float]
    max_latitude: Mapped[float]
    longitude: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    latitude: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    area_ha: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    #: [{"species": …, "share": "0.6"}], shares summing to 1.
    species: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    planted_year: Mapped[int]
    survival: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    #: Measured growing stock of the part under trees, on `measured_on`; without it the growth curve stands alone.
    volume_m3_ha: Mapped[Decimal | None] = mapped_column(Numeric(8, 3))
    crown_cover: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    #: Relative half-width of the 90 % interval of the measured stock.
    sampling_uncertainty: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    measured_on: Mapped[date]
    project_area_ha: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    #: Score from 0 to 1 by peril, as strings.
    hazards: Mapped[dict[str, str]] = mapped_column(JSONB)
    title_until: Mapped[date]
    #: certificate, contract or approved_deed; where the title is written down, and in whose name: a key, never a name.
    title_kind: Mapped[str | None] = mapped_column(String(16))
    title_number: Mapped[str | None] = mapped_column(String(64))
    owner: Mapped[str | None] = mapped_column(String(64))
    row_spacing_m: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    plant_spacing_m: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    #: good, medium or poor, as the planting design classes the ground
    site_class: Mapped[str | None] = mapped_column(String(8))
    elevation_m: Mapped[int | None]
    slope_degrees: Mapped[int | None]
    crediting_from: Mapped[date]
    crediting_until: Mapped[date]
    #: What plots say to a valuation beyond volume, cover and sampling error; see `actions/measurements.py`.
    measured: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: What a person should look at before anybody lends on this.
    flags: Mapped[list[str]] = mapped_column(JSONB)
    #: Share of the stand alive after the reversals reported since its measurement.
    live_share: Mapped[RateColumn]
    #: What stood on this day is the level that growth is counted from.
    verified_on: Mapped[date]
    verified_live_share: Mapped[RateColumn]
    #: Growth above that level on which issued units stand, the buffer's and what the discounts took included.
    credited_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))

    valuation_version: Mapped[int]
    forecast_tonnes: Mapped[TonnesColumn]
    pledged_tonnes: Mapped[TonnesColumn]
    enforced_tonnes: Mapped[TonnesColumn]
    issued_tonnes: Mapped[TonnesColumn]
    retired_tonnes: Mapped[TonnesColumn]
    #: Units of other holders, neither retired nor cancelled; they are no more the forest's to pledge.
    transferred_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
    cancelled_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
    #: Given to the pooled buffer by its issuances; no part of what was issued to the owner, nor the forest's any more.
    buffer_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
    #: Part of what is minted that the rating in force gives to the buffer, where it asks for more than the programme.
    rated_share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"), index=True)
    over_pledged: Mapped[bool]
    #: Rank of the youngest pledge; ranks are given once.
    last_rank: Mapped[int]
    registered_at: Mapped[Moment]

    @property
    def total_tonnes(self) -> Decimal:
        """Units there are: forecast, and issued but not retired, cancelled or transferred. [tCO2e]"""
        gone = self.retired_tonnes + self.cancelled_tonnes + self.transferred_tonnes
        return self.forecast_tonnes + self.issued_tonnes - gone

    @property
    def free_tonnes(self) -> Decimal:
        """Units nobody has a claim on; nothing when over-pledged. [tCO2e]"""
        return max(Decimal("0.000"), self.total_tonnes - self.pledged_tonnes - self.enforced_tonnes)

    @property
    def units(self) -> dict[str, Decimal]:
        """The balance by account. [tCO2e]"""
        return {
            "forecast": self.forecast_tonnes,
            "issued": self.issued_tonnes,
            "retired": self.retired_tonnes,
            "pledged": self.pledged_tonnes,
            "enforced": self.enforced_tonnes,
            "free": self.free_tonnes,
            "transferred": self.transferred_tonnes,
            "cancelled": self.cancelled_tonnes,
            "buffer": self.buffer_tonnes,
        }

    def settle(self) -> None:
        """Say whether more is spoken for than there is; to be called after each change of the balance."""
        self.over_pledged = self.pledged_tonnes + self.enforced_tonnes > self.total_tonnes


def locked_in_order(session: Session, statement: Select[Asset]) -> list[Asset]:
    """Lock assets in id order, so that two transactions over the same ones queue up instead of embracing.

    Others may refer to them meanwhile: a loss that takes from the pooled buffer posts on forests it does not lock, and
    those may be locked by a loss that waits for the pool.
    """
    ordered = statement.order_by(Asset.id).with_for_update(key_share=True)
    return list(session.scalars(ordered, execution_options={"populate_existing": True}))

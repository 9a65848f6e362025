"""Tables of the sink database.

The register is public: every institution reads assets, valuations, price curves, reversals, issuances and retirements,
and only their registrar enters them. Pledges belong to the bank and are nobody else's business; what the world sees of
them is the sum on the asset.
"""

import json
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    Select,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from shared import db, money
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


class Base(DeclarativeBase):
    """The sink service's own metadata."""

    metadata = db.metadata()


class Asset(Versioned, Base):
    """A forest in the register, its ground, and the balance of its units.

    Units: forecast + issued - retired - cancelled - transferred is what there is; pledged and enforced are spoken for;
    the rest is free. After a reversal more may be spoken for than there is: `over_pledged` says so, and nothing new can
    be pledged. All but the forecast are sums of the ledger (`UnitEntry`), and the database sees that they are.
    """

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("registrar", "reference"),
        Index("ix_assets_extent", "min_latitude", "max_latitude", "min_longitude", "max_longitude"),
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
    #: Growth up to this day has been issued or given up; what stood then is the level to grow from.
    verified_on: Mapped[date]
    verified_live_share: Mapped[RateColumn]

    valuation_version: Mapped[int]
    forecast_tonnes: Mapped[TonnesColumn]
    pledged_tonnes: Mapped[TonnesColumn]
    enforced_tonnes: Mapped[TonnesColumn]
    issued_tonnes: Mapped[TonnesColumn]
    retired_tonnes: Mapped[TonnesColumn]
    #: Units of other holders, neither retired nor cancelled; they are no more the forest's to pledge.
    transferred_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
    cancelled_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
    #: Set aside before issuance and still there; no part of what was issued to the owner.
    buffer_tonnes: Mapped[TonnesColumn] = mapped_column(server_default=text("0"), default=Decimal(0))
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


class Valuation(Base):
    """What an asset's carbon was worth on a day: written once, never changed, and derivable again from its inputs."""

    __tablename__ = "valuations"
    __table_args__ = (
        UniqueConstraint("asset_id", "version"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint(
            "pv_p05 <= pv_p10 AND pv_p10 <= pv_p50 AND pv_p50 <= pv_p90 AND pv_p90 <= pv_p95", name="order"
        ),
        CheckConstraint("pv_p05 >= 0 AND pv_mean >= 0 AND forecast_tonnes >= 0", name="not_negative"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    #: registration, request, price, reversal or issuance
    cause: Mapped[str] = mapped_column(String(16))
    as_of: Mapped[date]
    valid_until: Mapped[date]
    methodology: Mapped[str] = mapped_column(String(64))
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    inputs: Mapped[str]
    inputs_hash: Mapped[str] = mapped_column(String(64))
    parameters_hash: Mapped[str] = mapped_column(String(64))
    engine_version: Mapped[str] = mapped_column(String(32))
    seed: Mapped[int] = mapped_column(BigInteger)
    outputs: Mapped[str]
    outputs_hash: Mapped[str] = mapped_column(String(64))
    price_curve: Mapped[str] = mapped_column(String(64))
    spot_price: Mapped[MoneyColumn]
    pv_mean: Mapped[MoneyColumn]
    pv_p05: Mapped[MoneyColumn]
    pv_p10: Mapped[MoneyColumn]
    pv_p50: Mapped[MoneyColumn]
    pv_p90: Mapped[MoneyColumn]
    pv_p95: Mapped[MoneyColumn]
    forecast_tonnes: Mapped[TonnesColumn]
    liquidity_haircut: Mapped[RateColumn]
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    valued_at: Mapped[Moment]

    @cached_property
    def results(self) -> dict[str, Any]:
        """The outputs, read once: a valuation never changes."""
        read: dict[str, Any] = json.loads(self.outputs)
        return read

    @property
    def present_value(self) -> dict[str, Any]:
        """Distribution of the present value; engines before the second told less of it. [CNY]"""
        kept = {name: getattr(self, f"pv_{name}") for name in ("mean", "p05", "p10", "p50", "p90", "p95")}
        return kept | {name: self._yuan(f"pv_{name}") for name in ("p25", "p75", "expected_shortfall")}

    @property
    def issued_value(self) -> Decimal | None:
        """The part of the value that is issued already. [CNY]"""
        return self._yuan("pv_issued")

    @property
    def sensitivities(self) -> list[dict[str, Any]]:
        """Mean value where one thing alone is other than assumed. [CNY]"""
        found = self.results.get("sensitivities")
        if found is None:
            return []
        cases = (
            ("price", -found["price_bump"], "price_down"),
            ("price", found["price_bump"], "price_up"),
            ("discount_rate", found["rate_low"], "pv_rate_low"),
            ("discount_rate", found["rate_high"], "pv_rate_high"),
            ("survival", -found["survival_bump"], "survival_down"),
            ("survival", found["survival_bump"], "survival_up"),
        )
        return [{"of": of, "to": Decimal(str(to)), "mean": _worth(found[name])} for of, to, name in cases]

    def _yuan(self, name: str) -> Decimal | None:
        return _worth(self.results[name]) if name in self.results else None

    @property
    def removals(self) -> list[dict[str, Any]]:
        """Tonnes issuable at each verification to come. [tCO2e]"""
        results = self.results
        return [
            {"verified_on": date.fromisoformat(day)}
            | {name: Decimal(str(results[f"tonnes_{name}"][k])) for name in ("mean", "p10", "p50", "p90")}
            for k, day in enumerate(results["verified_on"])
        ]

    @property
    def variance_shares(self) -> dict[str, Decimal]:
        """Share of the variance by source; all nothing where nothing varies. [-]"""
        shares = self.results.get("variance_shares", {})
        return {
            source: Decimal(str(shares.get(source, 0)))
            for source in ("growth", "sampling", "model", "reversal", "price")
        }

    @property
    def uncertainty_deduction(self) -> Decimal:
        """Part of the tonnes given up for sampling error. [-]"""
        return Decimal(str(self.results.get("uncertainty_deduction", 0)))

    @property
    def buffer(self) -> Decimal:
        """Part of the tonnes set aside for reversals. [-]"""
        return Decimal(str(self.results.get("buffer_share", 0)))


class PriceCurve(Versioned, Base):
    """A market as the registrar sees it: proposed by one person, in force once another approved it."""

    __tablename__ = "price_curves"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
        CheckConstraint("spot_price > 0 AND long_run_price > 0", name="prices"),
        CheckConstraint("volatility >= 0 AND reversion >= 0", name="risk"),
        Index("ix_price_curves_in_force", "registrar", "approved_at"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    spot_price: Mapped[MoneyColumn]
    long_run_price: Mapped[MoneyColumn]
    reversion: Mapped[RateColumn]
    volatility: Mapped[RateColumn]
    drift: Mapped[RateColumn]
    source: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(16))
    payload_hash: Mapped[str] = mapped_column(String(64))
    proposed_by: Mapped[str] = mapped_column(String(128))
    decided_by: Mapped[str | None] = mapped_column(String(128))
    proposed_at: Mapped[Moment]
    approved_at: Mapped[Moment | None]
    job_id: Mapped[UUID | None]


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


class Pledge(Versioned, Base):
    """A bank's lien on an asset's units for one loan."""

    __tablename__ = "pledges"
    __table_args__ = (
        UniqueConstraint("asset_id", "loan_id"),
        UniqueConstraint("asset_id", "rank"),
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("rank > 0", name="rank"),
        CheckConstraint("state IN ('placed', 'frozen', 'released', 'enforced')", name="state"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    institution: Mapped[Institution]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    loan_id: Mapped[UUID] = mapped_column(index=True)
    tonnes: Mapped[TonnesColumn]
    rank: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    valuation_version: Mapped[int]
    loan_until: Mapped[date]
    reason: Mapped[str | None] = mapped_column(String(64))
    placed_at: Mapped[Moment]
    changed_at: Mapped[Moment]
    #: The issued units under the lien; the rest of its tonnes lies on the forecast.
    blocks: Mapped[list["Block"]] = relationship(
        primaryjoin="Pledge.id == foreign(Block.pledge_id)",
        order_by="Block.first_serial",
        viewonly=True,
        lazy="selectin",
    )

    @property
    def serials(self) -> list[str]:
        """Serial ranges of the issued units under the lien."""
        return [block.serials for block in self.blocks]

    @property
    def forecast_tonnes(self) -> Decimal:
        """What of the lien lies on units that are not issued yet. [tCO2e]"""
        return self.tonnes - sum((block.tonnes for block in self.blocks), Decimal(0))


class Issuance(Base):
    """Credits that the programme issued for a vintage of an asset; an origin issues once.

    Units are whole tonnes, numbered through the whole register: a serial number stands for one tonne, for ever.
    `tonnes` went to the owner, `buffer_tonnes` beside them into the buffer; the serial range holds both.
    """

    __tablename__ = "issuances"
    __table_args__ = (
        UniqueConstraint("registrar", "origin"),
        UniqueConstraint("batch"),
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("buffer_tonnes >= 0", name="buffer"),
        CheckConstraint("vintage_to >= vintage_from", name="vintage"),
        CheckConstraint("last_serial - first_serial + 1 = tonnes + buffer_tonnes", name="serials"),
        ExcludeConstraint(
            (func.int8range(text("first_serial"), text("last_serial"), text("'[]'")), "&&"),
            name="ex_issuances_serials",
        ),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(128))
    vintage_from: Mapped[date]
    vintage_to: Mapped[date]
    tonnes: Mapped[TonnesColumn]
    buffer_tonnes: Mapped[TonnesColumn]
    #: Programme, project or forest, both dates of the vintage, sequence.
    batch: Mapped[str] = mapped_column(String(64))
    first_serial: Mapped[int] = mapped_column(BigInteger)
    last_serial: Mapped[int] = mapped_column(BigInteger)
    issued_at: Mapped[Moment]

    @property
    def serials(self) -> list[str]:
        """The whole range, the buffer's part included."""
        return [written(self.batch, self.first_serial, self.last_serial)]


class Retirement(Base):
    """Credits that were used up, and why."""

    __tablename__ = "retirements"
    __table_args__ = (CheckConstraint("tonnes > 0", name="tonnes"), CheckConstraint("reason <> ''", name="reason"))

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    tonnes: Mapped[TonnesColumn]
    reason: Mapped[str] = mapped_column(String(200))
    retired_at: Mapped[Moment]
    #: Serial ranges, written out.
    serials: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'"))


# -- what the market did ----------------------------------------------------------------------------------------------


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


def _distribution(told: dict[str, str | None]) -> dict[str, Decimal | None]:
    later: dict[str, Decimal | None] = {"p25": None, "p75": None, "expected_shortfall": None}
    return later | {name: None if amount is None else Decimal(amount) for name, amount in told.items()}


def _worth(value: float) -> Decimal:
    """An owner may let a forest be, so it is never worth less than nothing."""
    return money.yuan(max(0.0, value))


# -- compensation -----------------------------------------------------------------------------------------------------
# An order is of two: the institution that buys and the registrar whose units it buys. Both read it, nobody else does.


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


class CompensationOrder(Versioned, Base):
    """Units to be bought and used up for somebody: quoted, paid, then retired whole."""

    __tablename__ = "compensation_orders"
    __table_args__ = (
        # What is compensated once is not compensated again.
        Index(
            "uq_compensation_orders_footprint_id",
            "footprint_id",
            unique=True,
            postgresql_where=text("state IN ('quoted', 'paid', 'retired')"),
        ),
        CheckConstraint("state IN ('quoted', 'paid', 'retired', 'cancelled', 'refunded')", name="state"),
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("unit_price > 0 AND amount > 0", name="price"),
        CheckConstraint(
            "claimed_tonnes >= 0 AND claimed_tonnes <= tonnes AND (claimed_tonnes = 0 OR state = 'retired')",
            name="claimed_once",
        ),
        CheckConstraint("(paid_at IS NULL) = (state IN ('quoted', 'cancelled'))", name="paid"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    footprint_id: Mapped[UUID | None] = mapped_column(ForeignKey("footprints.id"))
    beneficiary: Mapped[str] = mapped_column(String(120))
    purpose: Mapped[str] = mapped_column(String(200))
    tonnes: Mapped[TonnesColumn]
    price_curve: Mapped[str] = mapped_column(String(64))
    spot_price: Mapped[MoneyColumn]
    margin: Mapped[RateColumn]
    unit_price: Mapped[MoneyColumn]
    amount: Mapped[MoneyColumn]
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(16))
    payment_reference: Mapped[str | None] = mapped_column(String(64))
    refund_reference: Mapped[str | None] = mapped_column(String(64))
    certificate_code: Mapped[str | None] = mapped_column(String(32))
    #: Of the retired units, those that an account has set against its emissions.
    claimed_tonnes: Mapped[TonnesColumn]
    quoted_at: Mapped[Moment]
    valid_until: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    retired_at: Mapped[Moment | None]


class LandUseCompensation(Versioned, Base):
    """What a project that takes forest land owes: the loss, units of equal value, and who gets the fee."""

    __tablename__ = "land_use_compensations"
    __table_args__ = (
        UniqueConstraint("institution", "procedure"),
        CheckConstraint("state IN ('assessed', 'paid', 'discharged', 'withdrawn')", name="state"),
        CheckConstraint("area_ha > 0", name="area"),
        CheckConstraint("fee > 0 AND equal_tonnes > 0", name="fee"),
        CheckConstraint(
            "state_amount >= 0 AND owner_amount >= 0 AND state_amount + owner_amount = fee", name="split_is_the_fee"
        ),
    )

    id: Mapped[Id]
    version: Mapped[int]
    #: The bureau that handles the procedure.
    institution: Mapped[Institution]
    #: Number of the land-use procedure; it is compensated once.
    procedure: Mapped[str] = mapped_column(String(64))
    project: Mapped[str] = mapped_column(String(120))
    payer: Mapped[str] = mapped_column(String(120))
    forest_owner: Mapped[str] = mapped_column(String(120))
    county: Mapped[str] = mapped_column(String(32))
    area_ha: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    stand: Mapped[dict[str, Any]] = mapped_column(JSONB)
    stock_tonnes: Mapped[TonnesColumn]
    stock_value: Mapped[MoneyColumn]
    yearly_service_value: Mapped[MoneyColumn]
    service_years: Mapped[int]
    unit_price: Mapped[MoneyColumn]
    equal_tonnes: Mapped[TonnesColumn]
    fee: Mapped[MoneyColumn]
    #: Shares of state and owner. [1/10000]
    split: Mapped[dict[str, int]] = mapped_column(JSONB)
    state_amount: Mapped[MoneyColumn]
    owner_amount: Mapped[MoneyColumn]
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(16))
    payment_reference: Mapped[str | None] = mapped_column(String(64))
    certificate_code: Mapped[str | None] = mapped_column(String(32))
    assessed_at: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    discharged_at: Mapped[Moment | None]


class CompensationRetirement(Base):
    """Which retirement served which order or land use; one retirement serves one."""

    __tablename__ = "compensation_retirements"
    __table_args__ = (
        CheckConstraint("num_nonnulls(order_id, land_use_id) = 1", name="serves_one"),
        CheckConstraint("tonnes > 0", name="tonnes"),
    )

    retirement_id: Mapped[UUID] = mapped_column(ForeignKey("retirements.id"), primary_key=True)
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64))
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("compensation_orders.id"), index=True)
    land_use_id: Mapped[UUID | None] = mapped_column(ForeignKey("land_use_compensations.id"), index=True)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    tonnes: Mapped[TonnesColumn]


class CompensationCertificate(Base):
    """What was retired for whom: written once, found by whoever was given its code."""

    __tablename__ = "compensation_certificates"
    __table_args__ = (UniqueConstraint("code"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(32))
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    content: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    issued_at: Mapped[Moment]


class Planting(Versioned, Base):
    """Trees planted for allowances, an adoption or a memory, on ground that earns no credits."""

    __tablename__ = "plantings"
    __table_args__ = (
        Index("ix_plantings_extent", "min_latitude", "max_latitude", "min_longitude", "max_longitude"),
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


class ZeroCarbonAccount(Versioned, Base):
    """A village, community, campus, enterprise or person that sets what it emits against what it makes up for."""

    __tablename__ = "zero_carbon_accounts"
    __table_args__ = (
        UniqueConstraint("institution", "name"),
        CheckConstraint("kind IN ('village', 'community', 'campus', 'enterprise', 'person')", name="kind"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(120))
    county: Mapped[str] = mapped_column(String(32))
    opened_at: Mapped[Moment]


class AccountEntry(Versioned, Base):
    """One line of an account in a year; a wrong one is voided, never changed."""

    __tablename__ = "account_entries"
    __table_args__ = (
        # A footprint is emitted once.
        Index(
            "uq_account_entries_footprint_id", "footprint_id", unique=True, postgresql_where=text("voided_at IS NULL")
        ),
        Index("ix_account_entries_year", "account_id", "year"),
        CheckConstraint("kind IN ('emission', 'reduction', 'allowance', 'retirement')", name="kind"),
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("footprint_id IS NULL OR kind = 'emission'", name="footprint_is_emission"),
        CheckConstraint("(adoption_id IS NOT NULL) = (kind = 'allowance')", name="allowance_has_adoption"),
        CheckConstraint("(order_id IS NOT NULL) = (kind = 'retirement')", name="retirement_has_order"),
        CheckConstraint("(voided_at IS NULL) = (void_reason IS NULL)", name="voided_for_a_reason"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    institution: Mapped[Institution]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("zero_carbon_accounts.id"))
    year: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    tonnes: Mapped[TonnesColumn]
    footprint_id: Mapped[UUID | None] = mapped_column(ForeignKey("footprints.id"))
    adoption_id: Mapped[UUID | None] = mapped_column(ForeignKey("adoptions.id"), index=True)
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("compensation_orders.id"), index=True)
    note: Mapped[str | None] = mapped_column(String(200))
    entered_at: Mapped[Moment]
    voided_at: Mapped[Moment | None]
    void_reason: Mapped[str | None] = mapped_column(String(200))


def latest_valuation(session: Session, asset: Asset) -> Valuation | None:
    """The valuation in force, if the asset was ever valued."""
    return session.scalars(
        select(Valuation).where(Valuation.asset_id == asset.id, Valuation.version == asset.valuation_version)
    ).first()


def locked_in_order(session: Session, statement: Select[Asset]) -> list[Asset]:
    """Lock assets in id order, so that two transactions over the same ones queue up instead of embracing."""
    ordered = statement.order_by(Asset.id).with_for_update()
    return list(session.scalars(ordered, execution_options={"populate_existing": True}))


# -- measurement ------------------------------------------------------------------------------------------------------


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


# -- imports of many parcels, and the evidence of one -----------------------------------------------------------------


class AssetImport(Base):
    """A file of parcels on its way into the register; its id is that of the job that reads it."""

    __tablename__ = "asset_imports"
    __table_args__ = (
        CheckConstraint("format IN ('rows', 'csv', 'xlsx', 'geojson')", name="format"),
        CheckConstraint("registered >= 0 AND known >= 0 AND refused >= 0 AND errors >= 0", name="counts"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    #: As it was sent: rows of JSON, csv, xlsx or geojson.
    format: Mapped[str] = mapped_column(String(8))
    charset: Mapped[str] = mapped_column(String(16))
    #: Only checks; nothing is registered.
    dry_run: Mapped[bool]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    #: How the rows are read now (a sheet is turned into csv first), in which columns, and from which byte.
    reading: Mapped[str] = mapped_column(String(8))
    columns: Mapped[list[str]] = mapped_column(JSONB)
    start: Mapped[int] = mapped_column(BigInteger)
    #: Rows that went in, that were in the register already, that could not go in; and what was wrong with these.
    registered: Mapped[int]
    known: Mapped[int]
    refused: Mapped[int]
    errors: Mapped[int]
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class AssetImportPiece(Base):
    """A piece of an import's file, until it is read."""

    __tablename__ = "asset_import_pieces"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class AssetImportError(Base):
    """What is wrong with a row of an import."""

    __tablename__ = "asset_import_errors"
    __table_args__ = (Index("ix_asset_import_errors_import", "import_id", "id"),)

    id: Mapped[Id]
    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"))
    institution: Mapped[Institution]
    row: Mapped[int]
    field: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(String(500))


class AssetImportParcel(Base):
    """A parcel that a dry run found in order, so that the rest of the file is held against it; gone at its end."""

    __tablename__ = "asset_import_parcels"
    __table_args__ = (Index("ix_asset_import_parcels_import", "import_id", "min_latitude", "max_latitude"),)

    id: Mapped[Id]
    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"))
    institution: Mapped[Institution]
    reference: Mapped[str | None] = mapped_column(String(64))
    geometry: Mapped[dict[str, Any]] = mapped_column(JSONB)
    min_longitude: Mapped[float]
    min_latitude: Mapped[float]
    max_longitude: Mapped[float]
    max_latitude: Mapped[float]


class Evidence(Base):
    """What speaks for or against a rule of the methodology: a document, an observation; entered once, never changed."""

    __tablename__ = "evidence"
    __table_args__ = (
        UniqueConstraint("asset_id", "rule", "kind", "reference"),
        CheckConstraint("finding IN ('supports', 'contradicts', 'unclear')", name="finding"),
        CheckConstraint("share >= 0 AND share <= 1", name="share"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    #: Where the document is kept, by that archive's key.
    reference: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str | None] = mapped_column(String(64))
    #: The day that the evidence shows.
    dated_on: Mapped[date]
    finding: Mapped[str] = mapped_column(String(16))
    #: Share of the surface, where the rule asks for one.
    share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    recorded_by: Mapped[str] = mapped_column(String(128))
    recorded_at: Mapped[Moment]


# -- the ledger of units ----------------------------------------------------------------------------------------------

#: Where units come from; it only gives.
PROGRAMME = "programme"
#: What liens on units not yet issued are taken out of.
FORECAST = "forecast"
#: Accounts under a lien.
LIENS = ("pledged", "frozen", "enforced")
ACCOUNTS = (
    PROGRAMME, FORECAST, "free", *LIENS, "buffer", "transferred", "retired", "cancelled", "buffer_cancelled",
)  # fmt: skip
#: What each kind of posting may take from (-) and bring to (+) each account. The bank makes those on its own lien, from
#: pledge to enforce; all others are the registrar's.
MOVES = {
    "issue": "programme- buffer+ free+ pledged+ frozen+ enforced+ pledged- frozen- enforced- forecast+",
    "pledge": "forecast- pledged+ free- free+",
    "freeze": "pledged- frozen+",
    "release": "pledged- frozen- pledged+ frozen+ free+ forecast+",
    "enforce": "pledged- frozen- enforced+",
    "retire": "free- free+ transferred- transferred+ retired+",
    "cancel": "free- free+ transferred- transferred+ cancelled+",
    "transfer": "free- free+ transferred- transferred+ enforced- enforced+",
    "reverse": "buffer- buffer+ buffer_cancelled+",
}


def written(batch: str, first: int, last: int) -> str:
    """A range of serial numbers as certificates and events name it."""
    return f"{batch}:{first}-{last}"


def _among(column: str, names: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(name) for name in names)})"


class Posting(Base):
    """One movement in the ledger: what was done to the units of an asset, and why. Written once."""

    __tablename__ = "unit_postings"
    __table_args__ = (
        CheckConstraint(_among("kind", tuple(MOVES)), name="kind"),
        CheckConstraint(
            "kind NOT IN ('retire', 'cancel', 'reverse') OR (reason IS NOT NULL AND length(trim(reason)) > 2)",
            name="reason",
        ),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    #: The issuance, retirement, pledge or reversal this belongs to.
    subject_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(200))
    tonnes: Mapped[TonnesColumn]
    #: Serial ranges that moved, written out.
    serials: Mapped[list[str]] = mapped_column(JSONB)
    holder: Mapped[str | None] = mapped_column(String(120))
    posted_at: Mapped[Moment]


class UnitEntry(Base):
    """A line of the ledger: so many tonnes into an account (+) or out of it (-). Never changed, never deleted.

    A line that brings issued units is a block: a range of serials in one account. A block leaves its account whole, by
    one line that `spends` it; lines of the same posting bring the same serials to where they are now, so that a split
    makes blocks that tile the old one. Liens on the forecast are lines without serials. Of a lien everybody sees its
    rank and its tonnes; whose it is stands in the pledge, which is the bank's.
    """

    __tablename__ = "unit_entries"
    __table_args__ = (
        CheckConstraint(_among("account", ACCOUNTS), name="account"),
        CheckConstraint(
            "num_nulls(issuance_id, first_serial, last_serial) IN (0, 3)"
            " AND (first_serial IS NULL OR (first_serial > 0 AND abs(tonnes) = last_serial - first_serial + 1))",
            name="serials",
        ),
        CheckConstraint(
            f"CASE account WHEN '{FORECAST}' THEN first_serial IS NULL"
            f" ELSE first_serial IS NOT NULL OR {_among('account', LIENS)} END",
            name="stage",
        ),
        CheckConstraint(
            f"num_nulls(pledge_id, rank) = CASE WHEN {_among('account', LIENS)} THEN 0 ELSE 2 END", name="lien"
        ),
        CheckConstraint(
            "CASE WHEN account IN ('transferred', 'enforced') THEN holder IS NOT NULL"
            " WHEN account IN ('retired', 'cancelled') THEN true ELSE holder IS NULL END",
            name="holder",
        ),
        CheckConstraint(
            "tonnes <> 0 AND (account <> 'programme' OR tonnes < 0)"
            " AND (spends IS NOT NULL) = (tonnes < 0 AND account NOT IN ('programme', 'forecast'))",
            name="sign",
        ),
        ExcludeConstraint(
            (func.int8range(text("first_serial"), text("last_serial"), text("'[]'")), "&&"),
            name="ex_unit_entries_used_up_once",
            where=text("account IN ('retired', 'cancelled', 'buffer_cancelled')"),
        ),
        Index(
            "ix_unit_entries_issued_once", "issuance_id", unique=True, postgresql_where=text("account = 'programme'")
        ),
        Index("ix_unit_entries_spends", "spends", unique=True),
    )

    id: Mapped[Id]
    posting_id: Mapped[UUID] = mapped_column(ForeignKey("unit_postings.id"), index=True)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    issuance_id: Mapped[UUID | None] = mapped_column(ForeignKey("issuances.id"), index=True)
    account: Mapped[str] = mapped_column(String(16))
    #: Who holds the units, if not the owner of the forest.
    holder: Mapped[str | None] = mapped_column(String(120))
    pledge_id: Mapped[UUID | None] = mapped_column(index=True)
    rank: Mapped[int | None]
    first_serial: Mapped[int | None] = mapped_column(BigInteger)
    last_serial: Mapped[int | None] = mapped_column(BigInteger)
    tonnes: Mapped[TonnesColumn]
    spends: Mapped[UUID | None] = mapped_column(ForeignKey("unit_entries.id"))


_entries, _issuances = db.table_of(UnitEntry).c, db.table_of(Issuance).c
_spending = db.table_of(UnitEntry).alias("spending").c


def unspent() -> ColumnElement[bool]:
    """Condition on a line: what it brought is still where it was brought to."""
    return (_entries.tonnes > 0) & ~select(_spending.id).where(_spending.spends == _entries.id).exists()


class Block(Base):
    """A range of issued units where it stands now: a line of the ledger that nothing spent, read only."""

    __table__ = (
        select(
            _entries.id,
            _entries.posting_id,
            _entries.asset_id,
            _entries.issuance_id,
            _entries.account,
            _entries.holder,
            _entries.pledge_id,
            _entries.rank,
            _entries.first_serial,
            _entries.last_serial,
            _entries.tonnes,
            _issuances.batch,
            _issuances.vintage_from,
            _issuances.vintage_to,
        )
        .join(db.table_of(Issuance), _issuances.id == _entries.issuance_id)
        .where(unspent(), _entries.account != FORECAST)
        .subquery("blocks")
    )
    __mapper_args__ = {"primary_key": [__table__.c.id]}  # noqa: RUF012

    id: Mapped[UUID]
    posting_id: Mapped[UUID]
    asset_id: Mapped[UUID]
    issuance_id: Mapped[UUID]
    account: Mapped[str]
    holder: Mapped[str | None]
    pledge_id: Mapped[UUID | None]
    rank: Mapped[int | None]
    first_serial: Mapped[int]
    last_serial: Mapped[int]
    tonnes: Mapped[Decimal]
    batch: Mapped[str]
    vintage_from: Mapped[date]
    vintage_to: Mapped[date]

    @property
    def serials(self) -> str:
        """The range, written out."""
        return written(self.batch, self.first_serial, self.last_serial)


class Project(Versioned, Base):
    """A project of the national registry, by our id and by the portal's; its forests are issued for together."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("registrar", "portal_id"),
        UniqueConstraint("number"),
        CheckConstraint(
            "state IN ('notice', 'registered', 'reductions_notice', 'reductions_registered', 'issued')", name="state"
        ),
        CheckConstraint("round >= 0 AND number > 0", name="numbers"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    #: Ours, short, for batch names.
    number: Mapped[int]
    portal_id: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(120))
    methodology: Mapped[str] = mapped_column(String(64))
    expected_tonnes_per_year: Mapped[TonnesColumn | None]
    state: Mapped[str] = mapped_column(String(24))
    #: Monitoring period that is going on or was last; 0 before the first.
    round: Mapped[int]
    vintage_from: Mapped[date | None]
    vintage_to: Mapped[date | None]
    entered_at: Mapped[Moment]
    steps: Mapped[list["ProjectStep"]] = relationship(
        order_by="ProjectStep.id", viewonly=True, lazy="selectin", primaryjoin="Project.id == ProjectStep.project_id"
    )


class ProjectStep(Base):
    """One step of a project, dated and evidenced. Written once."""

    __tablename__ = "project_steps"
    __table_args__ = (
        UniqueConstraint("project_id", "round", "state"),
        CheckConstraint("length(trim(evidence)) > 2", name="evidence"),
    )

    id: Mapped[Id]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    round: Mapped[int]
    state: Mapped[str] = mapped_column(String(24))
    taken_on: Mapped[date]
    evidence: Mapped[str] = mapped_column(String(300))
    vintage_from: Mapped[date | None]
    vintage_to: Mapped[date | None]
    entered_at: Mapped[Moment]


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


class LienCertificate(Base):
    """What the register certified of a lien on a day, word for word; its code is the hash of its content."""

    __tablename__ = "lien_certificates"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    institution: Mapped[Institution]
    pledge_id: Mapped[UUID] = mapped_column(ForeignKey("pledges.id"), index=True)
    content: Mapped[str]
    issued_at: Mapped[Moment]

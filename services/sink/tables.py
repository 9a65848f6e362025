"""Tables of the sink database.

The register is public: every institution reads assets, valuations, price curves, reversals, issuances and retirements,
and only their registrar enters them. Pledges belong to the bank and are nobody else's business; what the world sees of
them is the sum on the asset.
"""

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
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

from shared import db
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
    crediting_from: Mapped[date]
    crediting_until: Mapped[date]
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

    @property
    def results(self) -> dict[str, Any]:
        """The outputs, read."""
        read: dict[str, Any] = json.loads(self.outputs)
        return read

    @property
    def present_value(self) -> dict[str, Decimal]:
        """Distribution of the present value. [CNY]"""
        return {name: getattr(self, f"pv_{name}") for name in ("mean", "p05", "p10", "p50", "p90", "p95")}

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
    value_before: Mapped[dict[str, str]] = mapped_column(JSONB)
    value_after: Mapped[dict[str, str]] = mapped_column(JSONB)
    #: The inputs `value_before` was derived from; `value_after` is the new valuation's.
    before_inputs: Mapped[str]
    valuation_version: Mapped[int]
    reported_at: Mapped[Moment]

    @property
    def before(self) -> dict[str, Decimal]:
        """Distribution of the value without the event. [CNY]"""
        return {name: Decimal(amount) for name, amount in self.value_before.items()}

    @property
    def after(self) -> dict[str, Decimal]:
        """Distribution of the value after the event. [CNY]"""
        return {name: Decimal(amount) for name, amount in self.value_after.items()}


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


def latest_valuation(session: Session, asset: Asset) -> Valuation | None:
    """The valuation in force, if the asset was ever valued."""
    return session.scalars(
        select(Valuation).where(Valuation.asset_id == asset.id, Valuation.version == asset.valuation_version)
    ).first()


def locked_in_order(session: Session, statement: Select[Asset]) -> list[Asset]:
    """Lock assets in id order, so that two transactions over the same ones queue up instead of embracing."""
    ordered = statement.order_by(Asset.id).with_for_update()
    return list(session.scalars(ordered, execution_options={"populate_existing": True}))


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

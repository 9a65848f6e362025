"""The ledger of units: lines that are only added, and the blocks that stand."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, String, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from services.sink.tables.units import Issuance, written
from shared import db
from shared.db import Id, Moment, TonnesColumn

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
        Index("ix_unit_entries_pooled", "first_serial", postgresql_where=text("account = 'buffer' AND tonnes > 0")),
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

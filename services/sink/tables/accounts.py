"""Zero-carbon accounts."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment, TonnesColumn, Versioned


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

"""Units bought for somebody.

An order is of two: the institution that buys and the registrar whose units it buys. Both read it, nobody else does."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


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

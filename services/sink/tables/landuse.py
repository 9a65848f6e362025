"""What projects on forest land owe."""

from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Numeric, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, TonnesColumn, Versioned


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

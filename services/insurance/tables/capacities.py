"""How much an insurer will carry, and what is taken of it."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, MoneyColumn, Versioned


class Capacity(Versioned, Base):
    """How much an insurer will carry in a county, or in all of them together; never more."""

    __tablename__ = "capacities"
    __table_args__ = (
        UniqueConstraint("institution", "county"),
        CheckConstraint("pending >= 0 AND posted >= 0 AND posted + pending <= cap", name="within_cap"),
        CheckConstraint("set_by IN ('parameters', 'insurer')", name="set_by"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    county: Mapped[str] = mapped_column(String(64))
    cap: Mapped[MoneyColumn]
    pending: Mapped[MoneyColumn]
    posted: Mapped[MoneyColumn]
    set_by: Mapped[str] = mapped_column(String(16))

    @property
    def room(self) -> Decimal:
        """What can still be written. [CNY]"""
        return self.cap - self.pending - self.posted


class CapacityHold(Base):
    """What one cover holds of a capacity: pending from the quote, posted from the binding, then released."""

    __tablename__ = "capacity_holds"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'posted', 'released')", name="state"),
        CheckConstraint("amount > 0", name="amount"),
    )

    cover_id: Mapped[UUID] = mapped_column(ForeignKey("covers.id"), primary_key=True)
    county: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution: Mapped[Institution]
    amount: Mapped[MoneyColumn]
    state: Mapped[str] = mapped_column(String(16))

"""Liens of banks."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.sink.tables.base import Base
from services.sink.tables.ledger import Block
from shared.db import Id, Institution, Moment, TonnesColumn, Versioned


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
    blocks: Mapped[list[Block]] = relationship(
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

"""What is set aside for losses, for all forests of a register together."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, TonnesColumn


class BufferPool(Base):
    """The buffer of a registrar's forests under one programme. The database itself counts it, line by line of the
    ledger; nobody else can write here.
    """

    __tablename__ = "buffer_pools"
    __table_args__ = (
        UniqueConstraint("registrar", "programme"),
        CheckConstraint("tonnes >= 0 AND cancelled_tonnes >= 0", name="not_negative"),
    )

    id: Mapped[Id]
    registrar: Mapped[str] = mapped_column(String(64))
    programme: Mapped[str] = mapped_column(String(16))
    #: Units that stand in the pool.
    tonnes: Mapped[TonnesColumn]
    #: Units cancelled for losses so far.
    cancelled_tonnes: Mapped[TonnesColumn]

    @property
    def contributed_tonnes(self) -> Decimal:
        """Units that all issuances together brought in. [tCO2e]"""
        return self.tonnes + self.cancelled_tonnes

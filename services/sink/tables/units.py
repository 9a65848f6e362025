"""Units as they were issued and used up."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Numeric, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment, TonnesColumn


def written(batch: str, first: int, last: int) -> str:
    """A range of serial numbers as certificates and events name it."""
    return f"{batch}:{first}-{last}"


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
    #: Part of what was minted that went into the buffer, and the rating that said so; none where the programme did.
    buffer_share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    rating_id: Mapped[UUID | None] = mapped_column(ForeignKey("ratings.id"))

    @property
    def buffer_basis(self) -> str:
        """Whose share the buffer got: the rating's, or by default that of the programme."""
        return "programme" if self.rating_id is None else "rating"

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

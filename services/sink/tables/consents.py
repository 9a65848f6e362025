"""What banks agree to."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment, TonnesColumn


class Consent(Base):
    """A bank lets the registrar write units that it took over under its lien over to somebody; it serves once.

    The bank gives it, the registrar sees and uses it, and it is nobody else's business.
    """

    __tablename__ = "consents"
    __table_args__ = (CheckConstraint("tonnes > 0", name="tonnes"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64))
    pledge_id: Mapped[UUID] = mapped_column(ForeignKey("pledges.id"))
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    tonnes: Mapped[TonnesColumn]
    #: To whom.
    to: Mapped[str] = mapped_column(String(120))
    given_by: Mapped[str] = mapped_column(String(128))
    given_at: Mapped[Moment]
    #: The transfer that it was used for.
    posting_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit_postings.id"))

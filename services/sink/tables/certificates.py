"""What the register certified."""

from uuid import UUID

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Institution, Moment


class Certificate(Base):
    """What the register certified on a day, word for word: written once, found by whoever was given its code."""

    __tablename__ = "certificates"
    __table_args__ = (CheckConstraint("kind IN ('lien', 'purchase', 'land_use')", name="kind"),)

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    #: Whose it is: the bank of a lien, the buyer of retired units.
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64))
    #: The pledge, order or land use that it is of.
    subject_id: Mapped[UUID] = mapped_column(index=True)
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    content: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    issued_at: Mapped[Moment]

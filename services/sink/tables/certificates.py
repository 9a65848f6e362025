"""What the register certified."""

from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment


class LienCertificate(Base):
    """What the register certified of a lien on a day, word for word; its code is the hash of its content."""

    __tablename__ = "lien_certificates"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    institution: Mapped[Institution]
    pledge_id: Mapped[UUID] = mapped_column(ForeignKey("pledges.id"), index=True)
    content: Mapped[str]
    issued_at: Mapped[Moment]


class CompensationCertificate(Base):
    """What was retired for whom: written once, found by whoever was given its code."""

    __tablename__ = "compensation_certificates"
    __table_args__ = (UniqueConstraint("code"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    registrar: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(32))
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    content: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    issued_at: Mapped[Moment]

"""Evidence for the rules of a methodology."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Moment


class Evidence(Base):
    """What speaks for or against a rule of the methodology: a document, an observation; entered once, never changed.

    A second person confirms it or rejects it.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        UniqueConstraint("asset_id", "rule", "kind", "reference"),
        CheckConstraint("finding IN ('supports', 'contradicts', 'unclear')", name="finding"),
        CheckConstraint("share >= 0 AND share <= 1", name="share"),
        CheckConstraint("state IN ('recorded', 'confirmed', 'rejected')", name="state"),
        CheckConstraint("(state = 'recorded') = (decided_by IS NULL) AND decided_by <> recorded_by", name="four_eyes"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    #: Where the document is kept, by that archive's key.
    reference: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str | None] = mapped_column(String(64))
    #: The day that the evidence shows.
    dated_on: Mapped[date]
    finding: Mapped[str] = mapped_column(String(16))
    #: Share of the surface, where the rule asks for one.
    share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    recorded_by: Mapped[str] = mapped_column(String(128))
    recorded_at: Mapped[Moment]
    state: Mapped[str] = mapped_column(String(16), server_default=text("'recorded'"))
    #: Of all that was recorded: what the second person decides on.
    payload_hash: Mapped[str | None] = mapped_column(String(64))
    decided_by: Mapped[str | None] = mapped_column(String(128))

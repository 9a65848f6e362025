"""Many prices at once: the rows in batches, and what was found of each."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment


class BulkPricing(Base):
    """One file of forests, or the whole book, to be priced; a job of the same id goes through it."""

    __tablename__ = "bulk_pricings"
    __table_args__ = (CheckConstraint("kind IN ('file', 'book', 'renewal')", name="kind"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(8))
    rows: Mapped[int]
    priced: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    parameters_digest: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    #: What came of it in all, once it is through.
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class BulkPricingBatch(Base):
    """Some rows of a file or a book, and beside them what each costs, once they were priced."""

    __tablename__ = "bulk_pricing_batches"

    pricing_id: Mapped[UUID] = mapped_column(ForeignKey("bulk_pricings.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    content: Mapped[list[Any]] = mapped_column(JSONB)
    results: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))

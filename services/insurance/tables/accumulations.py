"""The book's bad years: what was simulated, and the years in blocks."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn


class Accumulation(Base):
    """The book as it stood on a day, and what events of so many years do to it; a job of the same id goes through."""

    __tablename__ = "accumulations"
    __table_args__ = (CheckConstraint("years > 0 AND policies > 0 AND forests >= policies", name="something"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    on: Mapped[date]
    seed: Mapped[int]
    years: Mapped[int]
    policies: Mapped[int]
    forests: Mapped[int]
    sum_insured: Mapped[MoneyColumn]
    #: Policies and forests as they went in.
    book: Mapped[dict[str, Any]] = mapped_column(JSONB, deferred=True)
    book_digest: Mapped[str] = mapped_column(String(64))
    parameters_digest: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    #: What the years say, and a digest of them, once all are there.
    metrics: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    result_digest: Mapped[str | None] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class AccumulationBlock(Base):
    """Some years of a run: arrays as numpy writes them, compressed, never pickled."""

    __tablename__ = "accumulation_blocks"
    __table_args__ = (UniqueConstraint("accumulation_id", "first_year"),)

    accumulation_id: Mapped[UUID] = mapped_column(ForeignKey("accumulations.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    first_year: Mapped[int]
    arrays: Mapped[bytes] = mapped_column(LargeBinary)

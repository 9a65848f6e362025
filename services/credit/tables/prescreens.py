"""Pre-screening of many would-be applications: the rows in batches, and what was found of each."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.credit.tables.base import Base
from shared.db import Id, Institution, Moment


class Prescreen(Base):
    """One file of would-be applications; a job of the same id goes through it."""

    __tablename__ = "prescreens"

    id: Mapped[Id]
    institution: Mapped[Institution]
    dry_run: Mapped[bool]
    #: Rows of the file, blank ones aside.
    rows: Mapped[int]
    screened: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    approved: Mapped[int] = mapped_column(default=0)
    referred: Mapped[int] = mapped_column(default=0)
    declined: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class PrescreenBatch(Base):
    """Some rows of a file, and beside them what became of each, once they were screened."""

    __tablename__ = "prescreen_batches"

    prescreen_id: Mapped[UUID] = mapped_column(ForeignKey("prescreens.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    #: Number of each row in the file, its cells by column, and what no request can be read from.
    content: Mapped[list[Any]] = mapped_column(JSONB)
    results: Mapped[list[Any] | None] = mapped_column(JSONB)

"""Reinsurance programmes: dated contracts, proposed by one person and approved by another."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, Versioned


class ReinsuranceProgramme(Versioned, Base):
    """Contracts in force from a day until the next approved programme."""

    __tablename__ = "reinsurance_programmes"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
        CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name="decided"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    name: Mapped[str] = mapped_column(String(100))
    starts_on: Mapped[date]
    #: Each contract as it was agreed; amounts as text in CNY.
    contracts: Mapped[list[Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(16))
    payload_hash: Mapped[str] = mapped_column(String(64))
    proposed_by: Mapped[str] = mapped_column(String(128))
    decided_by: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[Moment]
    decided_at: Mapped[Moment | None]

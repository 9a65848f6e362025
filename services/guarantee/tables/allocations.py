"""Queues that were placed as a whole."""

from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import Base
from shared.db import Id, Institution, Moment, RateColumn


class Allocation(Base):
    """The placing of one queue; a job of the same id works on it. It reserves nothing by itself."""

    __tablename__ = "allocations"

    id: Mapped[Id]
    institution: Mapped[Institution]
    #: The file as it came: the certificate names its hash.
    queue: Mapped[bytes] = mapped_column(LargeBinary)
    loans: Mapped[int]
    seed: Mapped[int]
    #: Where the work stands between two steps of its job.
    state: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: Best value and lowest bound so far, in whole fen.
    value: Mapped[int | None] = mapped_column(BigInteger)
    bound: Mapped[int | None] = mapped_column(BigInteger)
    gap: Mapped[RateColumn | None]
    certificate: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]

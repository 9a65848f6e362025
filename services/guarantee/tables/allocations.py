"""Queues that were placed as a whole."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import Base
from shared.db import Id, Institution, Moment, RateColumn


class Allocation(Base):
    """The placing of one queue; a job of the same id works on it. It holds room once two persons accept it."""

    __tablename__ = "allocations"
    __table_args__ = (
        CheckConstraint("acceptance IN ('none', 'proposed', 'accepted', 'rejected')", name="acceptance"),
        CheckConstraint("(acceptance IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)", name="decided"),
        CheckConstraint("decided_by <> proposed_by", name="four_eyes"),
        CheckConstraint("(acceptance = 'accepted') = (held_until IS NOT NULL)", name="accepted_holds"),
    )

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
    #: Whether its loans were accepted: `none`, `proposed`, `accepted`, `rejected`.
    acceptance: Mapped[str] = mapped_column(String(16))
    payload_hash: Mapped[str | None] = mapped_column(String(64))
    proposed_by: Mapped[str | None] = mapped_column(String(128))
    decided_by: Mapped[str | None] = mapped_column(String(128))
    decided_at: Mapped[Moment | None]
    #: Loans that are proposed or accepted, and their sum in whole fen.
    accepted_loans: Mapped[int | None]
    accepted_amount: Mapped[int | None] = mapped_column(BigInteger)
    #: When room that no bank asked for is given back.
    held_until: Mapped[Moment | None]

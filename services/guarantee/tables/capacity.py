"""Limits, and room held under them."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import Base
from shared.db import Id, Institution, Moment

#: States of a reservation in which it takes room.
LIVE = ("pending", "posted")


class Bucket(Base):
    """One limit and how much of it is taken, in whole fen. Only actions/capacity.py writes it.

    `pending` is held for reservations, `posted` for guarantees in force. A limit that was lowered under its use stands
    as an explicit state: the use may stay (`cap_effective`), but nothing may be added.
    """

    __tablename__ = "buckets"
    __table_args__ = (
        UniqueConstraint("institution", "kind", "key"),
        CheckConstraint("posted >= 0", name="posted_not_negative"),
        CheckConstraint("pending >= 0", name="pending_not_negative"),
        CheckConstraint("posted + pending <= cap_effective", name="within_cap"),
        CheckConstraint(
            "cap_legal >= 0 AND cap_effective >= cap_legal AND cap_effective IN (cap_legal, posted + pending)",
            name="over_limit_is_exact",
        ),
        CheckConstraint("kind IN ('headroom', 'obligor', 'county', 'province', 'national', 'pool')", name="kind"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(16))
    #: The obligor or the county; empty where a guarantor has one bucket of the kind.
    key: Mapped[str]
    cap_legal: Mapped[int] = mapped_column(BigInteger)
    cap_effective: Mapped[int] = mapped_column(BigInteger)
    posted: Mapped[int] = mapped_column(BigInteger)
    pending: Mapped[int] = mapped_column(BigInteger)

    @property
    def room(self) -> int:
        """What can still be added, 0 for a bucket over its limit. [fen]"""
        return max(self.cap_legal - self.posted - self.pending, 0)

    @property
    def over_limit(self) -> bool:
        """Whether the limit was lowered under its use."""
        return self.cap_effective > self.cap_legal


class Reservation(Base):
    """Room held in the buckets for one loan, in whole fen. Only actions/capacity.py writes it.

    The first five amounts are as granted; what is used now follows from the balance, `liability` from the obligor's
    total, which gives the weight.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'posted', 'void', 'expired', 'released')", name="state"),
        CheckConstraint("amount > 0 AND balance BETWEEN 0 AND amount", name="balance_within_amount"),
        CheckConstraint(
            "borne >= 0 AND province >= 0 AND national >= 0 AND pool >= 0 AND liability >= 0", name="not_negative"
        ),
        CheckConstraint(
            "state IN ('pending', 'posted') OR (balance = 0 AND liability = 0)", name="ended_holds_nothing"
        ),
        CheckConstraint("allocation_id IS NULL OR state <> 'posted'", name="allocated_is_never_posted"),
        Index(
            "ix_reservations_live", "institution", "obligor", postgresql_where=text("state IN ('pending', 'posted')")
        ),
        Index(
            "uq_reservations_allocated",
            "institution",
            "loan_id",
            unique=True,
            postgresql_where=text("allocation_id IS NOT NULL AND state = 'pending'"),
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID]
    #: The accepted allocation that holds the room until the bank asks; NULL for the room of a guarantee.
    allocation_id: Mapped[UUID | None] = mapped_column(ForeignKey("allocations.id"), index=True)
    obligor: Mapped[str]
    county: Mapped[str]
    small_or_farmer: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(BigInteger)
    borne: Mapped[int] = mapped_column(BigInteger)
    province: Mapped[int] = mapped_column(BigInteger)
    national: Mapped[int] = mapped_column(BigInteger)
    pool: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    liability: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[Moment]

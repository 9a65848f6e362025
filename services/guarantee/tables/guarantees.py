"""Guarantees from the request to their end."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import FIVE_PARTS, Base, FiveParts
from shared import clock
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


class Guarantee(Versioned, FiveParts, Base):
    """The guarantee of one loan, from the request to its end. Its id is its reservation's."""

    __tablename__ = "guarantees"
    __table_args__ = (
        UniqueConstraint("institution", "loan_id"),
        CheckConstraint(
            "state IN ('reserved', 'refused', 'expired', 'issued', 'called', 'paid', 'released')", name="state"
        ),
        CheckConstraint(f"{FIVE_PARTS} = amount OR state = 'refused'", name="shares_sum_to_the_amount"),
        CheckConstraint("balance BETWEEN 0 AND amount", name="balance_within_amount"),
        CheckConstraint("pledged_tonnes >= 0", name="pledged_tonnes"),
        CheckConstraint(
            "state NOT IN ('issued', 'called', 'paid') OR (issued_on IS NOT NULL AND claim_until IS NOT NULL)",
            name="issued_with_its_clock",
        ),
        Index("ix_guarantees_reserved", "institution", "expires_at", postgresql_where=text("state = 'reserved'")),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str]
    obligor: Mapped[str]
    county: Mapped[str]
    scheme: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), index=True)
    amount: Mapped[MoneyColumn]
    #: Principal still owed; what is guaranteed of it follows from the shares.
    balance: Mapped[MoneyColumn]
    term_months: Mapped[int]
    default_probability: Mapped[RateColumn]
    loss_given_default: Mapped[RateColumn]
    small_or_farmer: Mapped[bool]
    #: What its request pledged; NULL in rows from before it was kept. [tCO2e]
    pledged_tonnes: Mapped[TonnesColumn | None]
    #: The scheme's split as agreed when the room was reserved, in basis points: later versions do not change it.
    shares_bp: Mapped[dict[str, int]] = mapped_column(JSONB)
    fee: Mapped[MoneyColumn]
    fee_rate: Mapped[RateColumn]
    #: General or joint; a type that is not written down would count as general (Civil Code art. 686).
    type: Mapped[str] = mapped_column(String(16))
    requested_at: Mapped[Moment]
    expires_at: Mapped[Moment | None]
    issued_on: Mapped[date | None]
    matures_on: Mapped[date | None]
    claim_until: Mapped[date | None]
    loan_closed: Mapped[bool]
    #: Day and balance after each repayment that the loan was agreed to make when the money went out.
    plan: Mapped[list[Any]] = mapped_column(JSONB)
    request_hash: Mapped[str] = mapped_column(String(64))
    profile_version: Mapped[int | None]
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    #: Each limit the decision looked at: kind, key, need and room in fen.
    measures: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    #: Value and price when it was weighed by bid prices, and by which; NULL if it was not.
    bid: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    reasons: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    warnings: Mapped[list[dict[str, str]]] = mapped_column(JSONB)

    @property
    def planned_balance(self) -> Decimal | None:
        """What the borrower should owe today by the schedule; None before the money went out. [CNY]"""
        if not self.plan:
            return None
        today = clock.today().isoformat()
        return min((Decimal(left) for due, left in self.plan if due < today), default=self.amount)

    @property
    def guaranteed(self) -> Decimal:
        """What the guarantor answers for toward the bank: everything but the bank's own share. [CNY]"""
        return self.amount - self.share_bank

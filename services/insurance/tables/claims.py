"""Losses and what is payable on them."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, Versioned


class Claim(Versioned, Base):
    """A loss on an insured forest; there is one for each policy, forest and what it rests on.

    What it rests on is a reversal of the register, or an observation of an index.
    """

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("policy_id", "reversal_id", "asset_id"),
        CheckConstraint("state IN ('open', 'nil', 'paid')", name="state"),
        CheckConstraint("origin IN ('reversal', 'index')", name="origin"),
        CheckConstraint("loss >= 0 AND payable >= 0 AND payable <= loss", name="payable"),
        CheckConstraint("(state = 'nil') = (payable = 0)", name="nil_pays_nothing"),
        CheckConstraint(
            "(state = 'paid') = (paid_at IS NOT NULL) AND (state <> 'paid' OR (to_bank >= 0 AND to_owner >= 0"
            " AND coalesce(withheld, 0) >= 0 AND to_bank + to_owner + coalesce(withheld, 0) = payable))",
            name="paid_in_full",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"))
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str] = mapped_column(String(64))
    asset_id: Mapped[UUID]
    origin: Mapped[str] = mapped_column(String(16))
    #: The register's reversal, or the observation of an index.
    reversal_id: Mapped[UUID]
    peril: Mapped[str] = mapped_column(String(16))
    occurred_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(16), index=True)
    loss: Mapped[MoneyColumn]
    payable: Mapped[MoneyColumn]
    explanation: Mapped[list[Any]] = mapped_column(JSONB)
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    opened_at: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    to_bank: Mapped[MoneyColumn | None]
    to_owner: Mapped[MoneyColumn | None]
    #: Not paid because the owner broke the policy, and what the insurer may claim back from the owner.
    withheld: Mapped[MoneyColumn | None]
    subrogated: Mapped[MoneyColumn | None]

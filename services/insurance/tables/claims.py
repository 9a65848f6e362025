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

    What it rests on is a reversal of the register, an observation of an index, or as yet nothing but its own notice.
    """

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("policy_id", "reversal_id", "asset_id"),
        CheckConstraint("state IN ('notified', 'open', 'nil', 'paid')", name="state"),
        CheckConstraint("origin IN ('reversal', 'index', 'notice')", name="origin"),
        CheckConstraint("loss >= 0 AND payable >= 0 AND payable <= loss", name="payable"),
        CheckConstraint("(state IN ('nil', 'notified')) = (payable = 0)", name="nil_pays_nothing"),
        CheckConstraint("reserve >= 0 AND (state IN ('notified', 'open') OR reserve = 0)", name="reserve"),
        CheckConstraint("recovered >= 0 AND recovered <= coalesce(to_bank + to_owner, 0)", name="recovered"),
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
    #: The register's reversal, or the observation of an index; of a notice that nothing confirms yet, its own id.
    reversal_id: Mapped[UUID]
    peril: Mapped[str] = mapped_column(String(16))
    occurred_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(16), index=True)
    #: As the owner told it until it is assessed.
    loss: Mapped[MoneyColumn]
    payable: Mapped[MoneyColumn]
    #: What is set aside for it: after the terms on what was told, then what is payable, until it is paid.
    reserve: Mapped[MoneyColumn]
    #: What came back of what was paid.
    recovered: Mapped[MoneyColumn]
    explanation: Mapped[list[Any]] = mapped_column(JSONB)
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    #: What looks odd, in words; a person judges it.
    flags: Mapped[list[Any]] = mapped_column(JSONB)
    note: Mapped[str | None] = mapped_column(String(400))
    assessed_by: Mapped[str | None] = mapped_column(String(128))
    cleared_by: Mapped[str | None] = mapped_column(String(128))
    rejected: Mapped[bool]
    opened_at: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    to_bank: Mapped[MoneyColumn | None]
    to_owner: Mapped[MoneyColumn | None]
    #: Not paid because the owner broke the policy, and what the insurer may claim back from the owner.
    withheld: Mapped[MoneyColumn | None]
    subrogated: Mapped[MoneyColumn | None]

    @property
    def needs_clearance(self) -> bool:
        """Whether an adjuster's own word would be paid though something looks odd; the register's needs none."""
        return self.origin == "notice" and self.reversal_id == self.id and bool(self.flags) and self.cleared_by is None


class Proceeds(Base):
    """Money that came back after a claim was paid."""

    __tablename__ = "claim_proceeds"
    __table_args__ = (
        UniqueConstraint("claim_id", "reference"),
        CheckConstraint("kind IN ('subrogation', 'salvage', 'third_party')", name="kind"),
        CheckConstraint("amount > 0", name="amount"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    claim_id: Mapped[UUID] = mapped_column(ForeignKey("claims.id"))
    kind: Mapped[str] = mapped_column(String(16))
    amount: Mapped[MoneyColumn]
    reference: Mapped[str] = mapped_column(String(64))
    received_on: Mapped[date]
    made_by: Mapped[str] = mapped_column(String(128))
    made_at: Mapped[Moment]

"""Cover in force."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.insurance.tables.base import Base
from services.insurance.tables.covers import Cover, CoverAsset
from services.insurance.tables.index_covers import IndexCover
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


class Policy(Versioned, Base):
    """Cover in force, with the bank as first loss payee up to its live interest.

    The cover stands from `inception` up to but without `ends_on`. The sum insured is one amount for the whole
    term: what claims take of it is gone.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("state IN ('in_force', 'ending', 'ended')", name="state"),
        CheckConstraint("claimed >= 0 AND claimed <= sum_insured + reinstated", name="claims_within_sum_insured"),
        CheckConstraint("inception <= ends_on AND ends_on <= expiry", name="dates"),
        CheckConstraint("interest >= 0 AND balance >= 0 AND unsettled >= 0", name="interest"),
        CheckConstraint("return_premium >= 0 AND return_premium <= annual_premium", name="return_premium"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    cover_id: Mapped[UUID] = mapped_column(ForeignKey("covers.id"), unique=True)
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    sum_insured: Mapped[MoneyColumn]
    annual_premium: Mapped[MoneyColumn]
    owner_premium: Mapped[MoneyColumn]
    deductible: Mapped[RateColumn]
    perils: Mapped[list[Any]] = mapped_column(JSONB)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    inception: Mapped[date]
    expiry: Mapped[date]
    ends_on: Mapped[date]
    #: What the bank may have at stake at most: the loan's amount.
    interest: Mapped[MoneyColumn]
    #: What the bank has at stake, as credit last told; nothing is known before the loan is drawn or undone.
    balance: Mapped[MoneyColumn | None]
    #: Paid to the bank on claims and not yet seen in a balance.
    unsettled: Mapped[MoneyColumn]
    claimed: Mapped[MoneyColumn]
    #: Of what claims took, what was insured again for more premium.
    reinstated: Mapped[MoneyColumn]
    return_premium: Mapped[MoneyColumn | None]
    #: Who pays which part of the premium, and who gets which part of what is given back; yuan by payer.
    premium_split: Mapped[dict[str, Any]] = mapped_column(JSONB)
    return_split: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: When the owner broke the policy; from then on the lender's clause says who is paid.
    breached_at: Mapped[Moment | None]
    breach: Mapped[str | None] = mapped_column(String(200))
    lapse_reason: Mapped[str | None] = mapped_column(String(32))
    bound_at: Mapped[Moment]

    assets: Mapped[list["PolicyAsset"]] = relationship(order_by="PolicyAsset.asset_id")

    @property
    def remaining(self) -> Decimal:
        """What claims have left of the sum insured. [CNY]"""
        return self.sum_insured + self.reinstated - self.claimed

    def covers(self, day: date) -> bool:
        """Whether the cover stands on a day."""
        return self.inception <= day < self.ends_on


class PolicyAsset(Base):
    """One insured forest."""

    __tablename__ = "policy_assets"
    __table_args__ = (
        CheckConstraint(
            "sum_insured > 0 AND claimed >= 0 AND reinstated BETWEEN 0 AND claimed"
            " AND claimed <= sum_insured + reinstated",
            name="claims_within_sum",
        ),
    )

    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"), primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    institution: Mapped[Institution]
    county: Mapped[str] = mapped_column(String(64))
    tonnes: Mapped[TonnesColumn]
    insured_value: Mapped[MoneyColumn]
    sum_insured: Mapped[MoneyColumn]
    claimed: Mapped[MoneyColumn]
    reinstated: Mapped[MoneyColumn]

    @property
    def used(self) -> Decimal:
        """What claims took of the sum and was not insured again. [CNY]"""
        return self.claimed - self.reinstated


class Endorsement(Base):
    """A change of a policy in force: what it was, what it is, and what the change costs from its day on."""

    __tablename__ = "endorsements"
    __table_args__ = (
        UniqueConstraint("policy_id", "number"),
        CheckConstraint("kind IN ('revaluation', 'renewal', 'reinstatement')", name="kind"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    effective_on: Mapped[date]
    expiry: Mapped[date]
    sum_insured_before: Mapped[MoneyColumn]
    sum_insured: Mapped[MoneyColumn]
    annual_premium_before: Mapped[MoneyColumn]
    annual_premium: Mapped[MoneyColumn]
    #: To be paid for the rest of the policy year; below 0 it is given back.
    premium_change: Mapped[MoneyColumn]
    split: Mapped[dict[str, Any]] = mapped_column(JSONB)
    explanation: Mapped[list[Any]] = mapped_column(JSONB)
    made_by: Mapped[str] = mapped_column(String(128))
    made_at: Mapped[Moment]


class Instalment(Base):
    """One part of a year's premium and the day it is due."""

    __tablename__ = "instalments"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    due_on: Mapped[date]
    amount: Mapped[MoneyColumn]
    split: Mapped[dict[str, Any]] = mapped_column(JSONB)
    paid_on: Mapped[date | None]


def policy_of_loan(session: Session, loan_id: UUID) -> Policy | None:
    """The current insurer's policy for a loan, locked."""
    return session.scalars(
        select(Policy).where(Policy.loan_id == loan_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


def sum_insured_elsewhere(session: Session, asset_id: UUID, but_cover: UUID) -> Decimal:
    """What the current insurer already carries or has quoted on a forest under other covers. [CNY]"""
    quoted = session.scalar(
        select(func.coalesce(func.sum(CoverAsset.sum_insured), 0))
        .join(Cover, Cover.id == CoverAsset.cover_id)
        .where(CoverAsset.asset_id == asset_id, Cover.state == "quoted", Cover.id != but_cover)
    )
    carried = session.scalar(
        select(func.coalesce(func.sum(PolicyAsset.sum_insured), 0))
        .join(Policy, Policy.id == PolicyAsset.policy_id)
        .where(PolicyAsset.asset_id == asset_id, Policy.state != "ended", Policy.cover_id != but_cover)
    )
    return Decimal(quoted or 0) + Decimal(carried or 0) + index_limits(session, asset_id)


def index_limits(session: Session, asset_id: UUID) -> Decimal:
    """What the current insurer's index covers may still pay on a forest: the same trees are insured once. [CNY]"""
    carried = session.scalar(
        select(func.coalesce(func.sum(IndexCover.most), 0)).where(
            IndexCover.asset_id == asset_id, IndexCover.state == "in_force"
        )
    )
    return Decimal(carried or 0)

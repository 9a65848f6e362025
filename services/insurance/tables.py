"""Tables of the insurance database, and the queries that several actions share."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from shared import db
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


class Base(DeclarativeBase):
    """The insurance service's own metadata."""

    metadata = db.metadata()


# -- copies of what the register tells everybody ----------------------------------------------------------------------


class Valuation(Base):
    """The latest valuation of a forest, as the register published it."""

    __tablename__ = "valuations"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    valuation_id: Mapped[UUID]
    as_of: Mapped[date]
    valid_until: Mapped[date]
    county: Mapped[str] = mapped_column(String(64))
    area_ha: Mapped[RateColumn]
    #: Score of each peril, a decimal string.
    hazards: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Mean and quantiles, decimal strings of CNY.
    present_value: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[Moment]


class Reversal(Base):
    """That a forest was damaged, and when this service learnt of it."""

    __tablename__ = "reversals"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    reversal_id: Mapped[UUID] = mapped_column(primary_key=True)
    peril: Mapped[str] = mapped_column(String(16))
    occurred_on: Mapped[date]
    received_at: Mapped[Moment]


# -- covers -----------------------------------------------------------------------------------------------------------


class Cover(Versioned, Base):
    """A bank's question for cover of one loan, and the insurer's answer."""

    __tablename__ = "covers"
    __table_args__ = (
        UniqueConstraint("institution", "loan_id"),
        CheckConstraint("state IN ('asked', 'waiting', 'quoted', 'refused', 'bound', 'void')", name="state"),
        CheckConstraint(
            "state NOT IN ('quoted', 'bound') OR (sum_insured > 0 AND annual_premium > 0"
            " AND owner_premium BETWEEN 0 AND annual_premium AND quoted_at IS NOT NULL AND expires_at IS NOT NULL)",
            name="quote_is_whole",
        ),
        CheckConstraint("deductible >= 0 AND deductible < 1", name="deductible"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str] = mapped_column(String(64))
    obligor: Mapped[str] = mapped_column(String(128))
    county: Mapped[str] = mapped_column(String(64))
    loan_amount: Mapped[MoneyColumn]
    term_months: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)
    answer_by: Mapped[Moment]
    sum_insured: Mapped[MoneyColumn | None]
    annual_premium: Mapped[MoneyColumn | None]
    owner_premium: Mapped[MoneyColumn | None]
    expected_annual_loss: Mapped[MoneyColumn | None]
    deductible: Mapped[RateColumn | None]
    perils: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    #: The terms a claim will be judged by, as they stood when the quote was given.
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    #: Every step of the price: equation, inputs, result.
    explanation: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    reasons: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    parameters_digest: Mapped[str] = mapped_column(String(64), default="")
    unverified_parameters: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    quoted_at: Mapped[Moment | None]
    expires_at: Mapped[Moment | None]
    created_at: Mapped[Moment]

    assets: Mapped[list["CoverAsset"]] = relationship(order_by="CoverAsset.asset_id")


class CoverAsset(Base):
    """One forest that cover is asked for: what is pledged, what can be insured of it."""

    __tablename__ = "cover_assets"
    __table_args__ = (
        CheckConstraint("tonnes >= 0 AND value >= 0", name="pledge"),
        CheckConstraint("sum_insured > 0 AND sum_insured <= insured_value", name="never_over_insured"),
    )

    cover_id: Mapped[UUID] = mapped_column(ForeignKey("covers.id"), primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    institution: Mapped[Institution]
    county: Mapped[str] = mapped_column(String(64))
    #: The version credit judged the loan on; after the quote, the version it was priced on.
    valuation_version: Mapped[int]
    tonnes: Mapped[TonnesColumn]
    value: Mapped[MoneyColumn]
    #: The forest's whole insurable value, a quantile of its present value.
    insured_value: Mapped[MoneyColumn | None]
    sum_insured: Mapped[MoneyColumn | None]


# -- policies and claims ----------------------------------------------------------------------------------------------


class Policy(Versioned, Base):
    """Cover in force, with the bank as first loss payee up to its live interest.

    The cover stands from `inception` up to but without `ends_on`. The sum insured is one amount for the whole
    term: what claims take of it is gone.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("state IN ('in_force', 'ending', 'ended')", name="state"),
        CheckConstraint("claimed >= 0 AND claimed <= sum_insured", name="claims_within_sum_insured"),
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
    return_premium: Mapped[MoneyColumn | None]
    lapse_reason: Mapped[str | None] = mapped_column(String(32))
    bound_at: Mapped[Moment]

    assets: Mapped[list["PolicyAsset"]] = relationship(order_by="PolicyAsset.asset_id")

    @property
    def remaining(self) -> Decimal:
        """What claims have left of the sum insured. [CNY]"""
        return self.sum_insured - self.claimed

    def covers(self, day: date) -> bool:
        """Whether the cover stands on a day."""
        return self.inception <= day < self.ends_on


class PolicyAsset(Base):
    """One insured forest."""

    __tablename__ = "policy_assets"
    __table_args__ = (
        CheckConstraint("sum_insured > 0 AND claimed >= 0 AND claimed <= sum_insured", name="claims_within_sum"),
    )

    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"), primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    institution: Mapped[Institution]
    county: Mapped[str] = mapped_column(String(64))
    tonnes: Mapped[TonnesColumn]
    insured_value: Mapped[MoneyColumn]
    sum_insured: Mapped[MoneyColumn]
    claimed: Mapped[MoneyColumn]


class Claim(Versioned, Base):
    """A loss on an insured forest; there is one for each policy, reversal and forest."""

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("policy_id", "reversal_id", "asset_id"),
        CheckConstraint("state IN ('open', 'nil', 'paid')", name="state"),
        CheckConstraint("loss >= 0 AND payable >= 0 AND payable <= loss", name="payable"),
        CheckConstraint("(state = 'nil') = (payable = 0)", name="nil_pays_nothing"),
        CheckConstraint(
            "(state = 'paid') = (paid_at IS NOT NULL) AND (state <> 'paid' OR"
            " (to_bank >= 0 AND to_owner >= 0 AND to_bank + to_owner = payable))",
            name="paid_in_full",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"))
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str] = mapped_column(String(64))
    asset_id: Mapped[UUID]
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


# -- capacity ---------------------------------------------------------------------------------------------------------


class Capacity(Versioned, Base):
    """How much an insurer will carry in a county, or in all of them together; never more."""

    __tablename__ = "capacities"
    __table_args__ = (
        UniqueConstraint("institution", "county"),
        CheckConstraint("pending >= 0 AND posted >= 0 AND posted + pending <= cap", name="within_cap"),
        CheckConstraint("set_by IN ('parameters', 'insurer')", name="set_by"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    county: Mapped[str] = mapped_column(String(64))
    cap: Mapped[MoneyColumn]
    pending: Mapped[MoneyColumn]
    posted: Mapped[MoneyColumn]
    set_by: Mapped[str] = mapped_column(String(16))

    @property
    def room(self) -> Decimal:
        """What can still be written. [CNY]"""
        return self.cap - self.pending - self.posted


class CapacityHold(Base):
    """What one cover holds of a capacity: pending from the quote, posted from the binding, then released."""

    __tablename__ = "capacity_holds"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'posted', 'released')", name="state"),
        CheckConstraint("amount > 0", name="amount"),
    )

    cover_id: Mapped[UUID] = mapped_column(ForeignKey("covers.id"), primary_key=True)
    county: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution: Mapped[Institution]
    amount: Mapped[MoneyColumn]
    state: Mapped[str] = mapped_column(String(16))


# -- queries ----------------------------------------------------------------------------------------------------------


def lock_assets(session: Session, asset_ids: Iterable[UUID]) -> None:
    """Let one transaction at a time judge a forest.

    A forest's first valuation has no row to lock yet, and a request that waits for it must not slip past it; so the
    lock is on the id.
    """
    for asset_id in sorted(set(asset_ids)):
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"asset/{asset_id}", 0))))


def latest_valuations(session: Session, asset_ids: Iterable[UUID]) -> dict[UUID, Valuation]:
    """This service's copies of the forests' latest valuations, read anew."""
    rows = session.scalars(
        select(Valuation)
        .where(Valuation.asset_id.in_(sorted(set(asset_ids))))
        .execution_options(populate_existing=True)
    )
    return {row.asset_id: row for row in rows}


def cover_of_loan(session: Session, loan_id: UUID) -> Cover | None:
    """The current insurer's cover for a loan, locked."""
    return session.scalars(
        select(Cover).where(Cover.loan_id == loan_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


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
    return Decimal(quoted or 0) + Decimal(carried or 0)

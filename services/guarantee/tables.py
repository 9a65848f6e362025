"""Tables of the guarantee database."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from shared import db
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, Versioned
from shared.events.parts import Shares

#: States of a reservation in which it takes room.
LIVE = ("pending", "posted")


class Base(DeclarativeBase):
    """The guarantee service's own metadata."""

    metadata = db.metadata()


# -- what a guarantor may take on -------------------------------------------------------------------------------------


class Profile(Versioned, Base):
    """What a guarantor says of itself: its limits follow from it. One for each institution."""

    __tablename__ = "profiles"
    __table_args__ = (
        UniqueConstraint("institution"),
        CheckConstraint("net_assets >= 0 AND equity_in_guarantors >= 0 AND other_liability >= 0", name="not_negative"),
        CheckConstraint("province_quota >= 0 AND national_quota >= 0", name="quotas_not_negative"),
        CheckConstraint("leverage_class IN (10, 15)", name="leverage_class"),
        CheckConstraint("default_probability_ceiling BETWEEN 0 AND 1", name="default_probability_ceiling"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    net_assets: Mapped[MoneyColumn]
    equity_in_guarantors: Mapped[MoneyColumn]
    #: Liability balance of business that this service does not know of.
    other_liability: Mapped[MoneyColumn]
    leverage_class: Mapped[int]
    province_quota: Mapped[MoneyColumn]
    national_quota: Mapped[MoneyColumn]
    #: NULL takes the parameter in force.
    default_probability_ceiling: Mapped[RateColumn | None]
    set_at: Mapped[Moment]
    counties: Mapped[list["County"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", order_by="County.county"
    )


class County(Base):
    """What a guarantor's profile says of one county."""

    __tablename__ = "counties"
    __table_args__ = (CheckConstraint("cap >= 0 AND pool_balance >= 0", name="not_negative"),)

    profile_id: Mapped[UUID] = mapped_column(ForeignKey("profiles.id"), primary_key=True)
    county: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution: Mapped[Institution]
    #: NULL takes the parameter in force, a share of the leverage limit.
    cap: Mapped[MoneyColumn | None]
    pool_balance: Mapped[MoneyColumn]


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
    """Room held in the buckets for one guarantee, in whole fen. Only actions/capacity.py writes it.

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
        Index(
            "ix_reservations_live", "institution", "obligor", postgresql_where=text("state IN ('pending', 'posted')")
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
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


# -- guarantees, calls, recoveries ------------------------------------------------------------------------------------


class FiveParts:
    """An amount split between the five parties."""

    share_primary: Mapped[MoneyColumn]
    share_province: Mapped[MoneyColumn]
    share_national: Mapped[MoneyColumn]
    share_bank: Mapped[MoneyColumn]
    share_pool: Mapped[MoneyColumn]

    @property
    def shares(self) -> Shares:
        """The five parts, as events carry them."""
        return Shares(
            primary=self.share_primary,
            province=self.share_province,
            national=self.share_national,
            bank=self.share_bank,
            pool=self.share_pool,
        )


_SUM = "share_primary + share_province + share_national + share_bank + share_pool"


class Guarantee(Versioned, FiveParts, Base):
    """The guarantee of one loan, from the request to its end. Its id is its reservation's."""

    __tablename__ = "guarantees"
    __table_args__ = (
        UniqueConstraint("institution", "loan_id"),
        CheckConstraint(
            "state IN ('reserved', 'refused', 'expired', 'issued', 'called', 'paid', 'released')", name="state"
        ),
        CheckConstraint(f"{_SUM} = amount OR state = 'refused'", name="shares_sum_to_the_amount"),
        CheckConstraint("balance BETWEEN 0 AND amount", name="balance_within_amount"),
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
    request_hash: Mapped[str] = mapped_column(String(64))
    profile_version: Mapped[int | None]
    parameters_hash: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    #: Each limit the decision looked at: kind, key, need and room in fen.
    measures: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    reasons: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    warnings: Mapped[list[dict[str, str]]] = mapped_column(JSONB)

    @property
    def guaranteed(self) -> Decimal:
        """What the guarantor answers for toward the bank: everything but the bank's own share. [CNY]"""
        return self.amount - self.share_bank


class Call(Versioned, FiveParts, Base):
    """The bank's claim on a guarantee after default."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("guarantee_id"),
        CheckConstraint("state IN ('open', 'paid', 'cancelled')", name="state"),
        CheckConstraint(f"{_SUM} = balance", name="shares_sum_to_the_balance"),
        CheckConstraint("payable = balance - share_bank", name="payable_is_all_but_the_bank_share"),
        CheckConstraint("(state = 'paid') = (paid IS NOT NULL) AND paid = payable", name="paid_in_full_or_not"),
        CheckConstraint(
            "recovered >= 0 AND recovered_for_guarantors BETWEEN 0 AND recovered AND subrogated_claim >= 0",
            name="recovered_not_negative",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    guarantee_id: Mapped[UUID] = mapped_column(ForeignKey("guarantees.id"))
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), index=True)
    balance: Mapped[MoneyColumn]
    payable: Mapped[MoneyColumn]
    paid: Mapped[MoneyColumn | None]
    #: Net recoveries so far, of all parties.
    recovered: Mapped[MoneyColumn]
    #: Net recoveries so far of the parties behind the guarantor's payment: everyone but the bank.
    recovered_for_guarantors: Mapped[MoneyColumn]
    #: Claim on the debtor that passed to the guarantor with its payment, less what came back (Civil Code art. 700).
    subrogated_claim: Mapped[MoneyColumn]
    defaulted_on: Mapped[date]
    opened_at: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    reference: Mapped[str] = mapped_column(String(64))


class Recovery(FiveParts, Base):
    """Money recovered after default, shared back by the shares of the call. Its id is the bank's recovery's."""

    __tablename__ = "recoveries"
    __table_args__ = (
        CheckConstraint(f"{_SUM} = net", name="shares_sum_to_the_net"),
        CheckConstraint("net = greatest(amount - costs, 0)", name="net_of_costs"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id"), index=True)
    source: Mapped[str] = mapped_column(String(16))
    amount: Mapped[MoneyColumn]
    costs: Mapped[MoneyColumn]
    net: Mapped[MoneyColumn]
    shared_at: Mapped[Moment]


class JournalRow(Base):
    """One amount that moves from the credit of one account to the debit of another: so the journal sums to zero.

    Append-only: nobody has the right to change or delete a row, and balances are sums.
    """

    __tablename__ = "journal_rows"
    __table_args__ = (
        UniqueConstraint("kind", "source", "debit", "credit"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        CheckConstraint("kind IN ('call', 'payment', 'recovery', 'cancellation')", name="kind"),
        CheckConstraint(
            "debit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')"
            " AND credit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')",
            name="accounts",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    #: What caused it: the call, or the recovery.
    source: Mapped[UUID]
    debit: Mapped[str] = mapped_column(String(16))
    credit: Mapped[str] = mapped_column(String(16))
    amount: Mapped[MoneyColumn]
    booked_at: Mapped[Moment]

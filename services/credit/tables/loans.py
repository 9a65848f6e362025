"""Loans, their legs, their history and their money."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    UniqueConstraint,
    case,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.credit.tables.base import Base, one_of
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned

#: Every state a loan can be in. What leads from one to another stands in actions/states.py.
STATES = (
    "applied",
    "scored",
    "referred",
    "declined",
    "structuring",
    "proposed",
    "offered",
    "binding",
    "ready",
    "performing",
    "margin_called",
    "defaulted",
    "enforcing",
    "closed",
    "withdrawn",
    "expired",
)


class Loan(Versioned, Base):
    """A loan, from its application on: what was asked, where it stands, and what flowed.

    Principal goes three ways and never vanishes: `disbursed = principal_repaid + recovered + balance + unrecovered`
    counts what the debtor owes; at the end `disbursed = principal_repaid + guarantee_received + recovered_by_bank +
    written_off − bank_surplus` counts what the bank has.
    """

    __tablename__ = "loans"
    __table_args__ = (
        Index("ix_loans_institution_state_id", "institution", "state", "id"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint("amount > 0 AND term_months > 0 AND grace_months BETWEEN 0 AND term_months - 1", name="terms"),
        CheckConstraint("guaranteed_share BETWEEN 0 AND 1", name="guaranteed_share"),
        CheckConstraint(one_of("day_count", ("ACT/360", "ACT/365", "30/360")), name="day_count"),
        CheckConstraint("disbursed = 0 OR disbursed = amount", name="disbursed_whole"),
        CheckConstraint(
            "offer IS NULL OR num_nulls(covenant_quantile, margin_level, cure_level, cure_days) = 0",
            name="levels_of_offer",
        ),
        CheckConstraint(
            "(state IN ('performing', 'margin_called', 'defaulted', 'enforcing', 'closed')) = (disbursed > 0)",
            name="disbursed_once_live",
        ),
        CheckConstraint(
            "balance >= 0 AND interest_due >= 0 AND principal_repaid >= 0 AND recovered >= 0 AND unrecovered >= 0"
            " AND interest_paid >= 0 AND guarantee_received >= 0 AND recovered_by_bank >= 0 AND surplus >= 0"
            " AND bank_surplus >= 0 AND written_off >= 0 AND charges_due >= 0 AND charges_paid >= 0",
            name="no_negative_money",
        ),
        CheckConstraint("disbursed = principal_repaid + recovered + balance + unrecovered", name="debt_adds_up"),
        CheckConstraint(
            "state <> 'closed' OR (balance = 0 AND disbursed + bank_surplus"
            " = principal_repaid + guarantee_received + recovered_by_bank + written_off)",
            name="money_adds_up",
        ),
        CheckConstraint(
            "(state IN ('defaulted', 'enforcing')) = (default_balance IS NOT NULL) OR state = 'closed'", name="default"
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    state: Mapped[str] = mapped_column(String(16))
    #: How many times the state changed: the number of the last line of its history.
    steps: Mapped[int] = mapped_column(default=0)
    applied_by: Mapped[str] = mapped_column(String(128))
    applied_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    # What was asked.
    #: The registered borrower; None for an application that carries the borrower's features itself.
    party_id: Mapped[UUID | None] = mapped_column(ForeignKey("parties.id"), index=True)
    purpose: Mapped[str | None] = mapped_column(String(32))
    #: The borrower's year and debts as they stood at the application, decimal strings.
    finances: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: What was found in the file, when it was last looked at; some of it stands in the way until it is mended.
    findings: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    borrower_reference: Mapped[str] = mapped_column(String(64))
    borrower_kind: Mapped[str] = mapped_column(String(32))
    #: Stable pseudonym of the borrower for the other institutions.
    obligor: Mapped[str] = mapped_column(String(32))
    features: Mapped[dict[str, Any]] = mapped_column(JSONB)
    small_or_farmer: Mapped[bool]
    amount: Mapped[MoneyColumn]
    term_months: Mapped[int]
    repayment: Mapped[str] = mapped_column(String(32))
    grace_months: Mapped[int]
    insurer: Mapped[str] = mapped_column(String(64))
    guarantor: Mapped[str] = mapped_column(String(64))
    scheme: Mapped[str] = mapped_column(String(64))
    guaranteed_share: Mapped[RateColumn]
    #: County of the largest part of the collateral; unknown while no asset is valued.
    county: Mapped[str | None] = mapped_column(String(64))
    #: Cell of the fire grid in which that part lies.
    fire_zone: Mapped[str | None] = mapped_column(String(32))
    #: Who verifies the carbon, as far as anybody said.
    verifier: Mapped[str | None] = mapped_column(String(64))

    # What stopped it.
    blocked_by: Mapped[str | None] = mapped_column(String(16))
    reasons: Mapped[list[Any]] = mapped_column(JSONB, default=list)

    # Deadlines.
    legs_by: Mapped[Moment | None]
    offer_expires_at: Mapped[Moment | None]
    bind_by: Mapped[Moment | None]
    drawdown_by: Mapped[Moment | None]
    cure_by: Mapped[Moment | None]

    # The offer, exactly as it was put before the second person.
    annual_rate: Mapped[RateColumn | None]
    #: How the days of interest are counted: ACT/360, ACT/365, 30/360. From the application or, else, from policy.
    day_count: Mapped[str | None] = mapped_column(String(8))
    #: What is past due bears this share of the rate on top of it. Agreed in the offer; None: nothing was.
    late_markup: Mapped[RateColumn | None]
    #: The carbon's income as it was expected when the loan was priced: day and fen of each issuance.
    issuances: Mapped[list[Any] | None] = mapped_column(JSONB)
    offer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: The levels of the covenants that the borrower signed, as the offer has them: a test needs no more of it.
    covenant_quantile: Mapped[str | None] = mapped_column(String(8))
    margin_level: Mapped[RateColumn | None]
    cure_level: Mapped[RateColumn | None]
    cure_days: Mapped[int | None]
    offer_hash: Mapped[str | None] = mapped_column(String(64))
    approved_by: Mapped[str | None] = mapped_column(String(128))

    # Money.
    disbursed: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    disbursed_on: Mapped[date | None]
    matures_on: Mapped[date | None]
    #: Principal the debtor owes.
    balance: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: Interest owed up to `interest_until`.
    interest_due: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    interest_until: Mapped[date | None]
    principal_repaid: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    interest_paid: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: Late charges and fees owed up to `interest_until`; each stands in loan_charges.
    charges_due: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    charges_paid: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    defaulted_on: Mapped[date | None]
    default_balance: Mapped[MoneyColumn | None]
    guarantee_received: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: Recovered from the debtor after default, net of costs, to be shared with the guarantor.
    recovered: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: The bank's part of what was recovered.
    recovered_by_bank: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: Received beyond what was owed: it belongs to the borrower.
    surplus: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: Received by the bank beyond its loss, the fen of repeated rounding: it belongs to the guarantor.
    bank_surplus: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    written_off: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    #: What the debtor still owed to the bank and its guarantors when the loan was closed.
    unrecovered: Mapped[MoneyColumn] = mapped_column(default=Decimal("0.00"))
    outcome: Mapped[str | None] = mapped_column(String(16))

    # Covenants, as last tested.
    loan_to_value: Mapped[RateColumn | None]
    shortfall: Mapped[MoneyColumn | None]
    covenant_reasons: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    tested_at: Mapped[Moment | None]

    # Class, as last found; what led there stands in loan_classes.
    #: Day of the first instalment that has not come in whole, be it to come.
    next_due_on: Mapped[date | None]
    bucket: Mapped[str | None] = mapped_column(String(16))
    stage: Mapped[int | None] = mapped_column(SmallInteger)
    five_class: Mapped[str | None] = mapped_column(String(8))
    #: Yearly default probability and loss given default of the decision on which the money went out.
    origin_probability: Mapped[RateColumn | None]
    #: The same without fire: what of it is the borrower's own.
    borrower_probability: Mapped[RateColumn | None]
    loss_given_default: Mapped[RateColumn | None]

    assets: Mapped[list["LoanAsset"]] = relationship(order_by="LoanAsset.asset_id")
    cover: Mapped["LoanCover"] = relationship()
    guarantee: Mapped["LoanGuarantee"] = relationship()


class LoanAsset(Base):
    """One forest behind a loan: what is pledged of it, what it counted for, and where the pledge stands."""

    __tablename__ = "loan_assets"
    __table_args__ = (
        CheckConstraint("tonnes > 0", name="tonnes"),
        CheckConstraint("asked_rank > 0", name="asked_rank"),
        CheckConstraint(
            one_of("pledge_state", ("none", "placed", "released", "frozen", "enforced")), name="pledge_state"
        ),
        CheckConstraint("pledge_state = 'none' OR pledge_id IS NOT NULL", name="pledge_has_id"),
    )

    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    institution: Mapped[Institution]
    tonnes: Mapped[TonnesColumn]
    #: What the latest decision stood on; unknown when it found no valuation.
    county: Mapped[str | None] = mapped_column(String(64))
    valuation_id: Mapped[UUID | None]
    valuation_version: Mapped[int | None]
    value: Mapped[MoneyColumn | None]
    pledge_state: Mapped[str] = mapped_column(String(16), default="none")
    pledge_id: Mapped[UUID | None]
    rank: Mapped[int | None]
    #: The lien's rank that was asked for; None: whichever there is.
    asked_rank: Mapped[int | None]


#: `breached`: the owner broke the policy and the bank is paid all the same; `void`: nobody is paid any more.
COVER_STATES = ("none", "asked", "quoted", "refused", "bound", "breached", "void", "lapsed")
#: States in which the insurer pays the bank for a loss.
COVERING = ("bound", "breached")


class LoanCover(Base):
    """The insurance leg of a loan, as the insurer tells it."""

    __tablename__ = "loan_covers"
    __table_args__ = (
        CheckConstraint(one_of("state", COVER_STATES), name="state"),
        CheckConstraint("state NOT IN ('quoted', 'bound') OR cover_id IS NOT NULL", name="cover_id"),
        CheckConstraint(
            "state NOT IN ('bound', 'breached', 'void', 'lapsed') OR policy_id IS NOT NULL", name="policy_id"
        ),
        CheckConstraint("claimed >= 0", name="claimed"),
    )

    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), primary_key=True)
    institution: Mapped[Institution]
    state: Mapped[str] = mapped_column(String(16), default="none")
    cover_id: Mapped[UUID | None]
    policy_id: Mapped[UUID | None]
    sum_insured: Mapped[MoneyColumn | None]
    #: What claims took of the sum and is not insured again.
    claimed: Mapped[MoneyColumn] = mapped_column(default=Decimal(0))
    annual_premium: Mapped[MoneyColumn | None]
    owner_premium: Mapped[MoneyColumn | None]
    deductible: Mapped[RateColumn | None]
    perils: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    expires_at: Mapped[Moment | None]
    inception: Mapped[date | None]
    expiry: Mapped[date | None]
    reasons: Mapped[list[Any]] = mapped_column(JSONB, default=list)


class LoanGuarantee(Base):
    """The guarantee leg of a loan, as the guarantor tells it."""

    __tablename__ = "loan_guarantees"
    __table_args__ = (
        CheckConstraint(
            one_of("state", ("none", "asked", "reserved", "refused", "issued", "released", "called", "paid")),
            name="state",
        ),
        CheckConstraint("state IN ('none', 'asked', 'refused') OR guarantee_id IS NOT NULL", name="guarantee_id"),
    )

    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), primary_key=True)
    institution: Mapped[Institution]
    state: Mapped[str] = mapped_column(String(16), default="none")
    guarantee_id: Mapped[UUID | None]
    call_id: Mapped[UUID | None]
    fee: Mapped[MoneyColumn | None]
    #: Who bears what of the amount, decimal strings of CNY.
    shares: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    expires_at: Mapped[Moment | None]
    claim_until: Mapped[date | None]
    reasons: Mapped[list[Any]] = mapped_column(JSONB, default=list)


class LoanHistory(Base):
    """One change of a loan's state: who, why, when."""

    __tablename__ = "loan_history"

    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    at: Mapped[Moment]
    actor: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(String(64))
    comment: Mapped[str] = mapped_column(String(1000), default="")

    #: Says that the loan is written first.
    loan: Mapped[Loan] = relationship()


#: Fees of the tariff, and late charges on principal and on interest.
FEES = ("appraisal", "enforcement")
CHARGES = ("late_principal", "late_interest", *FEES)


class LoanPayment(Base):
    """Money that came in on a loan, and what became of it.

    The borrower's, the insurer's and recovered money: `amount = costs + charges + principal + interest + surplus`. The
    guarantor's money leaves the debt where it is and counts for the bank alone. `bank_part` is what the bank keeps of
    the principal; of a recovery it is not known until the guarantor has told how it was shared.
    """

    __tablename__ = "loan_payments"
    __table_args__ = (
        UniqueConstraint("loan_id", "reference"),
        CheckConstraint(one_of("source", ("borrower", "insurance", "guarantee", "recovery")), name="source"),
        CheckConstraint(
            "amount >= 0 AND principal >= 0 AND interest >= 0 AND charges >= 0 AND costs >= 0 AND surplus >= 0",
            name="no_negative_money",
        ),
        CheckConstraint(
            "CASE WHEN source = 'guarantee' THEN principal = 0 AND interest = 0 AND charges = 0 AND costs = 0"
            " AND surplus = 0"
            " ELSE amount = costs + charges + principal + interest + surplus END",
            name="parts_sum_to_amount",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), index=True)
    source: Mapped[str] = mapped_column(String(16))
    #: Where recovered money came from: carbon, insurance, borrower.
    origin: Mapped[str] = mapped_column(String(16))
    #: Repayment, claim, call or recovery this is the money of.
    reference: Mapped[UUID]
    at: Mapped[Moment]
    received_on: Mapped[date]
    amount: Mapped[MoneyColumn]
    costs: Mapped[MoneyColumn]
    principal: Mapped[MoneyColumn]
    interest: Mapped[MoneyColumn]
    charges: Mapped[MoneyColumn]
    surplus: Mapped[MoneyColumn]
    bank_part: Mapped[MoneyColumn | None]
    #: Principal the debtor owed afterwards.
    balance: Mapped[MoneyColumn]


class LoanCharge(Base):
    """What a loan was charged beside its interest: for being late between two days, or a fee."""

    __tablename__ = "loan_charges"
    __table_args__ = (
        CheckConstraint(one_of("kind", CHARGES), name="kind"),
        CheckConstraint("amount > 0 AND from_day <= until_day", name="amount"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    from_day: Mapped[date]
    until_day: Mapped[date]
    #: What was late between these days; of a fee the fee itself.
    on_amount: Mapped[MoneyColumn]
    amount: Mapped[MoneyColumn]
    comment: Mapped[str] = mapped_column(String(1000), default="")
    at: Mapped[Moment]


def charges_of(session: Session, loan_id: UUID) -> list[LoanCharge]:
    """What a loan was charged beside its interest, oldest first."""
    return list(session.scalars(select(LoanCharge).where(LoanCharge.loan_id == loan_id).order_by(LoanCharge.id)))


def locked_loan(session: Session, loan_id: UUID) -> Loan | None:
    """Read and lock a loan for an event; None if this bank has none of that id."""
    return session.get(Loan, loan_id, with_for_update=True, populate_existing=True)


#: States in which a loan takes room in the bank's book.
IN_BOOK = (
    "structuring",
    "proposed",
    "offered",
    "binding",
    "ready",
    "performing",
    "margin_called",
    "defaulted",
    "enforcing",
)


def book(session: Session, loan: Loan, group: Sequence[UUID]) -> tuple[Decimal, dict[str, tuple[str, Decimal] | None]]:
    """What this bank has lent or promised on forests without one loan, in all, and beside it by dimension. [CNY]

    Of each dimension the name there and the sum, or None where this loan's is not known. The group are the parties
    connected with the borrower, itself among them; whoever is not registered is one with its own loans only.
    """
    exposure = case((Loan.disbursed > 0, Loan.balance), else_=Loan.amount)
    places = {
        "county": (loan.county, Loan.county == loan.county),
        "fire_zone": (loan.fire_zone, Loan.fire_zone == loan.fire_zone),
        "verifier": (loan.verifier, Loan.verifier == loan.verifier),
        "guarantor": (loan.guarantor, Loan.guarantor == loan.guarantor),
        "group": (loan.obligor, or_(Loan.obligor == loan.obligor, Loan.party_id.in_(group))),
    }
    known = {dimension: name for dimension, (name, _) in places.items() if name is not None}
    sums = [func.coalesce(func.sum(exposure).filter(places[dimension][1]), 0) for dimension in known]
    whole, *parts = session.execute(
        select(func.coalesce(func.sum(exposure), 0), *sums).where(Loan.state.in_(IN_BOOK), Loan.id != loan.id)
    ).one()
    beside: dict[str, tuple[str, Decimal] | None] = dict.fromkeys(places)
    for (dimension, name), part in zip(known.items(), parts, strict=True):
        beside[dimension] = name, Decimal(part)
    return Decimal(whole), beside


def missing_covers(session: Session, loan_ids: Sequence[UUID]) -> dict[str, int]:
    """Of loans whose policy still insures less than was agreed and than is owed: how much is missing. [fen]"""
    agreed = Loan.offer["cover"]["sum_insured"].astext.cast(Numeric)
    missing = func.least(agreed, Loan.balance) - (LoanCover.sum_insured - LoanCover.claimed)
    found = (
        select(Loan.id, cast(missing * 100, BigInteger).label("missing"))
        .join(LoanCover, LoanCover.loan_id == Loan.id)
        .where(Loan.id.in_(loan_ids), LoanCover.state.in_(COVERING), missing > 0)
    )
    return {str(row.id): row.missing for row in session.execute(found)}


def payment_of(session: Session, loan_id: UUID, reference: UUID) -> LoanPayment | None:
    """The money of one repayment, claim, call or recovery, if it came in."""
    return session.scalars(
        select(LoanPayment).where(LoanPayment.loan_id == loan_id, LoanPayment.reference == reference)
    ).first()


def payments_of(session: Session, loan_id: UUID) -> list[LoanPayment]:
    """Money that came in on a loan, oldest first."""
    oldest_first = select(LoanPayment).where(LoanPayment.loan_id == loan_id).order_by(LoanPayment.at, LoanPayment.id)
    return list(session.scalars(oldest_first).all())

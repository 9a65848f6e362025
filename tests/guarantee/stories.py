"""Events of one loan's story, and a guarantor with a profile, for the tests of the guarantee service."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions.profile import set_profile
from services.guarantee.tables import Bucket, Guarantee
from shared import clock
from shared.events.credit import (
    LegsRequested,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDefaulted,
    LoanDisbursed,
    LoanExpired,
    LoanRepaid,
    LoanWithdrawn,
    RecoveryReceived,
)
from shared.events.parts import Reason, Shares
from tests.harness import BANK, GUARANTOR, INSURER

LEGS: dict[str, Any] = {"bank": BANK, "insurer": INSURER, "guarantor": GUARANTOR}
AMOUNT = Decimal("1000000.00")
COUNTY = "youyu"


def yuan(text: str | int) -> Decimal:
    return Decimal(text).quantize(Decimal("0.01"))


def terms(**changed: Any) -> dict[str, Any]:
    """A profile with room for all: 200 million of net assets, quotas of 100 million, one pool of 2 million."""
    whole: dict[str, Any] = {
        "net_assets": yuan(200_000_000),
        "equity_in_guarantors": yuan(0),
        "other_liability": yuan(0),
        "leverage_class": 10,
        "province_quota": yuan(100_000_000),
        "national_quota": yuan(100_000_000),
        "default_probability_ceiling": None,
        "counties": [{"county": COUNTY, "cap": None, "pool_balance": yuan(2_000_000)}],
    }
    return whole | changed


def ready(sessions: Any, sealed: Any, institution: str = GUARANTOR, **changed: Any) -> None:
    """Set the first profile of a guarantor, or the next one."""
    with sealed(sessions, institution) as session:
        set_profile(session, terms(**changed))


def asked(loan_id: UUID | None = None, **changed: Any) -> LegsRequested:
    whole: dict[str, Any] = {
        "loan_id": loan_id or uuid4(),
        "obligor": f"obligor-{uuid4()}",
        "amount": AMOUNT,
        "term_months": 24,
        "default_probability": Decimal("0.03"),
        "loss_given_default": Decimal("0.4"),
        "small_or_farmer": True,
        "scheme": "4-3-2-1",
        "county": COUNTY,
        "pledges": (),
        "answer_by": clock.now() + timedelta(days=1),
    }
    return LegsRequested(**LEGS | whole | changed)


def accepted(request: LegsRequested, guarantee_id: UUID, **changed: Any) -> LoanAccepted:
    whole: dict[str, Any] = {
        "loan_id": request.loan_id,
        "amount": request.amount,
        "term_months": request.term_months,
        "cover_id": uuid4(),
        "guarantee_id": guarantee_id,
        "pledges": (),
        "bind_by": clock.now() + timedelta(days=1),
    }
    return LoanAccepted(**LEGS | whole | changed)


def declined(loan_id: UUID) -> LoanDeclined:
    return LoanDeclined(**LEGS, loan_id=loan_id, blocked_by="insurance", reasons=(Reason(code="x", zh="无", en="no"),))


def withdrawn(loan_id: UUID) -> LoanWithdrawn:
    return LoanWithdrawn(**LEGS, loan_id=loan_id, reason="changed his mind")


def expired(loan_id: UUID) -> LoanExpired:
    return LoanExpired(**LEGS, loan_id=loan_id, deadline="binding")


def disbursed(loan_id: UUID, amount: Decimal = AMOUNT, matures_on: date = date(2040, 1, 31)) -> LoanDisbursed:
    return LoanDisbursed(**LEGS, loan_id=loan_id, amount=amount, disbursed_on=clock.today(), matures_on=matures_on)


def repaid(loan_id: UUID, balance: Decimal) -> LoanRepaid:
    nothing = yuan(0)
    return LoanRepaid(
        **LEGS,
        loan_id=loan_id,
        repayment_id=uuid4(),
        source="borrower",
        amount=nothing,
        principal=nothing,
        interest=nothing,
        balance=balance,
    )


def defaulted(loan_id: UUID, balance: Decimal = AMOUNT, on: date | None = None) -> LoanDefaulted:
    reason = Reason(code="cure", zh="未补足", en="not cured")
    return LoanDefaulted(**LEGS, loan_id=loan_id, balance=balance, defaulted_on=on or clock.today(), reason=reason)


def recovered(loan_id: UUID, amount: Decimal, costs: Decimal = Decimal("0.00")) -> RecoveryReceived:
    return RecoveryReceived(**LEGS, loan_id=loan_id, recovery_id=uuid4(), source="carbon", amount=amount, costs=costs)


def closed(loan_id: UUID, outcome: Any = "repaid") -> LoanClosed:
    return LoanClosed(**LEGS, loan_id=loan_id, outcome=outcome, written_off=yuan(0))


def guarantee(session: Session, loan_id: UUID) -> Guarantee:
    return session.scalars(select(Guarantee).where(Guarantee.loan_id == loan_id)).one()


def used(session: Session) -> dict[tuple[str, str], tuple[int, int]]:
    """Posted and pending of every bucket that holds anything. [fen]"""
    rows = session.scalars(select(Bucket).execution_options(populate_existing=True))
    return {(row.kind, row.key): (row.posted, row.pending) for row in rows if row.posted or row.pending}


def parts(shares: Shares) -> Mapping[str, str]:
    return {name: str(getattr(shares, name)) for name in ("primary", "province", "national", "bank", "pool")}

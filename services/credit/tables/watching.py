"""Covenant tests, kept as they were made, and the rows that a block of them is made from."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Row, String, Uuid, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.credit.tables.base import Base, one_of
from shared.db import Moment, MoneyColumn, RateColumn

#: Why a loan was tested.
CAUSES = ("disbursement", "valuation", "payment", "cover", "guarantee", "pledge", "clock")
#: All covenants hold; one is broken; the collateral cannot be valued, which is broken as well.
VERDICTS = ("kept", "broken", "unknown")


class CovenantTest(Base):
    """One test of a loan's covenants: what went in, what came out, which limits it was held against.

    Written in blocks of many thousand rows, so it has one index and points to its loan by no foreign key: the loan's
    row is locked while its test is written, and no loan is ever deleted.
    """

    __tablename__ = "covenant_tests"
    __table_args__ = (
        CheckConstraint(one_of("cause", CAUSES), name="cause"),
        CheckConstraint(one_of("verdict", VERDICTS), name="verdict"),
        CheckConstraint(
            "verdict <> 'unknown' OR (value IS NULL AND loan_to_value IS NULL)", name="unknown_is_no_number"
        ),
        CheckConstraint("(verdict = 'kept') = (jsonb_array_length(broken) = 0)", name="verdict_of_broken"),
    )

    loan_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    institution: Mapped[str] = mapped_column(String(64))
    at: Mapped[Moment]
    cause: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[str] = mapped_column(String(16))
    #: Codes of what was broken.
    broken: Mapped[list[Any]] = mapped_column(JSONB)
    balance: Mapped[MoneyColumn]
    quantile: Mapped[str] = mapped_column(String(8))
    #: Of the pledges at the quantile, after haircuts; unknown while one valuation is.
    value: Mapped[MoneyColumn | None]
    loan_to_value: Mapped[RateColumn | None]
    #: The level it was held against: that of the call, or once called that of the cure.
    limit_loan_to_value: Mapped[RateColumn]
    shortfall: Mapped[MoneyColumn]
    #: The last day on which every valuation may be used.
    fresh_until: Mapped[date | None]
    cover_state: Mapped[str] = mapped_column(String(16))
    cover_until: Mapped[date | None]
    guarantee_state: Mapped[str] = mapped_column(String(16))
    #: Weakest cover of debt service over the years in which an issuance falls within the term; none falls: unknown.
    debt_service_cover: Mapped[RateColumn | None]
    debt_service_year: Mapped[int | None]
    #: Each pledge: asset, version of its valuation, tonnes, where the lien stands.
    pledges: Mapped[list[Any]] = mapped_column(JSONB)
    #: SHA-256 of the coefficients it was made with.
    coefficients: Mapped[str] = mapped_column(String(64))


class Instalment(Base):
    """One instalment of a loan as agreed, fixed on the day the money went out."""

    __tablename__ = "loan_instalments"
    __table_args__ = (CheckConstraint("principal >= 0 AND interest >= 0", name="no_negative_money"),)

    loan_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[str] = mapped_column(String(64))
    due_on: Mapped[date]
    principal: Mapped[MoneyColumn]
    interest: Mapped[MoneyColumn]
    #: Principal and interest due up to and with this one.
    due_in_all: Mapped[MoneyColumn]


_IDS: Any = bindparam("ids", type_=ARRAY(Uuid))
_LOCK = text(
    "SELECT id FROM loans WHERE id = ANY(:ids) AND state IN ('performing', 'margin_called') ORDER BY id FOR UPDATE"
).bindparams(_IDS)
# Each contract's levels are read out of the offer that was signed, once for each loan.
_LOANS = text(
    "SELECT l.id, l.state, l.steps, l.cure_by, l.insurer, l.guarantor,"
    " (l.balance * 100)::bigint AS balance, l.matures_on, k.quantile, k.margin_call_loan_to_value::float8 AS margin,"
    " k.cure_loan_to_value::float8 AS cure, k.cure_days, c.state AS cover_state, c.expiry AS cover_until,"
    " g.state AS guarantee_state, t.due_at AS looked_at"
    " FROM loans l JOIN loan_covers c ON c.loan_id = l.id JOIN loan_guarantees g ON g.loan_id = l.id"
    " CROSS JOIN LATERAL jsonb_to_record(l.offer -> 'covenants')"
    " AS k(quantile text, margin_call_loan_to_value numeric, cure_loan_to_value numeric, cure_days integer)"
    " LEFT JOIN timers t ON t.kind = 'freshness' AND t.subject = l.id"
    " WHERE l.id = ANY(:ids) ORDER BY l.id"
).bindparams(_IDS)
_PLEDGES = text(
    "SELECT a.loan_id, a.asset_id, a.tonnes::float8 AS tonnes, a.pledge_state FROM loan_assets a"
    " WHERE a.loan_id = ANY(:ids) ORDER BY a.loan_id, a.asset_id"
).bindparams(_IDS)
_SERVICE = text(
    "SELECT i.loan_id, extract(year FROM i.due_on)::int AS year, sum(i.principal + i.interest)::float8 AS service"
    " FROM loan_instalments i WHERE i.loan_id = ANY(:ids) GROUP BY 1, 2"
).bindparams(_IDS)
_ON = text(
    "SELECT a.asset_id, a.loan_id FROM loan_assets a JOIN loans l ON l.id = a.loan_id"
    " WHERE a.asset_id = ANY(:ids) AND l.state IN ('performing', 'margin_called')"
).bindparams(_IDS)


def live_loans_on(session: Session, asset_ids: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """This bank's loans that stand on each of some assets and whose covenants are tested."""
    found: dict[UUID, set[UUID]] = {}
    for asset_id, loan_id in session.execute(_ON, {"ids": list(asset_ids)}):
        found.setdefault(asset_id, set()).add(loan_id)
    return found


def lock_live(session: Session, loan_ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of some loans that are live, in the order in which everybody locks them."""
    return list(session.scalars(_LOCK, {"ids": list(loan_ids)}))


def contracts_of(session: Session, loan_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """What a test of the covenants reads of each loan and its legs, by id."""
    return session.execute(_LOANS, {"ids": list(loan_ids)}).all()


def pledges_of(session: Session, loan_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The pledges of loans, by loan and asset."""
    return session.execute(_PLEDGES, {"ids": list(loan_ids)}).all()


def debt_service_of(session: Session, loan_ids: Sequence[UUID]) -> dict[tuple[UUID, int], float]:
    """Instalments that fall due in each year of loans that are paid out, whether paid or not. [CNY]"""
    return {(row.loan_id, row.year): row.service for row in session.execute(_SERVICE, {"ids": list(loan_ids)})}


def covenant_tests_of(session: Session, loan_id: UUID, limit: int = 100) -> list[CovenantTest]:
    """The latest tests of a loan, newest first."""
    newest = select(CovenantTest).where(CovenantTest.loan_id == loan_id).order_by(CovenantTest.id.desc()).limit(limit)
    return list(session.scalars(newest))

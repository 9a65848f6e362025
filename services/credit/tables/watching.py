"""Covenant tests, kept as they were made, and the rows that a block of them is made from."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, Row, SmallInteger, String, Uuid, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.credit.tables.base import Base, one_of
from shared.db import Moment, MoneyColumn, RateColumn

#: Why a loan was tested.
CAUSES = ("disbursement", "valuation", "payment", "cover", "guarantee", "pledge", "clock")
#: The regulator's five, from best to worst.
FIVE_CLASSES = ("正常", "关注", "次级", "可疑", "损失")
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


class LoanClass(Base):
    """A loan passed from one class into another: stage, five classes, arrears; why, and what loss is then expected."""

    __tablename__ = "loan_classes"
    __table_args__ = (
        CheckConstraint("stage BETWEEN 1 AND 3", name="stage"),
        CheckConstraint(one_of("five_class", FIVE_CLASSES), name="five_class"),
    )

    loan_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    institution: Mapped[str] = mapped_column(String(64))
    at: Mapped[Moment]
    actor: Mapped[str] = mapped_column(String(128))
    days_past_due: Mapped[int]
    bucket: Mapped[str] = mapped_column(String(16))
    stage: Mapped[int] = mapped_column(SmallInteger)
    five_class: Mapped[str] = mapped_column(String(8))
    #: Codes of what put it there; none in the best class.
    grounds: Mapped[list[Any]] = mapped_column(JSONB)
    exposure: Mapped[MoneyColumn]
    #: Unknown where the loan was paid out before these were kept.
    origin_probability: Mapped[RateColumn | None]
    default_probability: Mapped[RateColumn | None]
    loss_given_default: Mapped[RateColumn | None]
    #: Over twelve months in stage 1, over the life of the loan in the others.
    expected_loss: Mapped[MoneyColumn | None]
    coefficients: Mapped[str] = mapped_column(String(64))


_IDS: Any = bindparam("ids", type_=ARRAY(Uuid))
_LOCK = text(
    "SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT id FROM loans WHERE id = ANY(:ids)"
    " AND state IN ('performing', 'margin_called') ORDER BY id FOR UPDATE) AS locked"
).bindparams(_IDS)
# One value, a line for each row: a block has ten thousand of them, and a row that the driver takes apart field by field
# costs as much as testing it. Each contract's levels are read out of the offer that was signed, once for each loan.
_LOANS = text(
    "SELECT string_agg(array_to_string(ARRAY[l.id::text, l.state, l.steps::text, l.cure_by::text, l.insurer,"
    " l.guarantor, l.annual_rate::text, l.next_due_on::text, l.stage::text, l.five_class, l.bucket,"
    " l.origin_probability::text, l.borrower_probability::text, l.loss_given_default::text,"
    " (l.interest_due * 100)::bigint::text, (l.balance * 100)::bigint::text, l.matures_on::text, k.quantile,"
    " k.margin_call_loan_to_value::text, k.cure_loan_to_value::text, k.cure_days::text,"
    " c.state, c.expiry::text, g.state, t.due_at::text],"
    " E'\\t', '\\N'), E'\\n' ORDER BY l.id)"
    " FROM loans l JOIN loan_covers c ON c.loan_id = l.id JOIN loan_guarantees g ON g.loan_id = l.id"
    " CROSS JOIN LATERAL jsonb_to_record(l.offer -> 'covenants')"
    " AS k(quantile text, margin_call_loan_to_value numeric, cure_loan_to_value numeric, cure_days integer)"
    " LEFT JOIN timers t ON t.kind = 'freshness' AND t.subject = l.id"
    " WHERE l.id = ANY(:ids)"
).bindparams(_IDS)
_PLEDGES = text(
    "SELECT string_agg(a.loan_id || E'\\t' || a.asset_id || E'\\t' || a.tonnes || E'\\t' || a.pledge_state, E'\\n'"
    " ORDER BY a.loan_id, a.asset_id) FROM loan_assets a WHERE a.loan_id = ANY(:ids)"
).bindparams(_IDS)
_SERVICE = text(
    "SELECT i.loan_id, extract(year FROM i.due_on)::int AS year, sum(i.principal + i.interest)::float8 AS service"
    " FROM loan_instalments i WHERE i.loan_id = ANY(:ids) GROUP BY 1, 2"
).bindparams(_IDS)
_NEXT_DUE = text(
    "SELECT l.id, coalesce(min(i.due_on), l.matures_on) AS due_on FROM loans l LEFT JOIN loan_instalments i"
    " ON i.loan_id = l.id AND i.due_in_all > l.principal_repaid + l.recovered + l.interest_paid"
    " WHERE l.id = ANY(:ids) GROUP BY l.id"
).bindparams(_IDS)
_LEFT_TO_PAY = text(
    "SELECT i.loan_id, i.due_on, i.principal FROM loan_instalments i WHERE i.loan_id = ANY(:ids)"
    " ORDER BY i.loan_id, i.number"
).bindparams(_IDS)
_LIVE = text(
    "SELECT id FROM loans WHERE state IN ('performing', 'margin_called') AND id > :last ORDER BY id LIMIT :size"
)
_BY_CLASS = text(
    "SELECT l.stage, l.five_class, l.bucket, count(*) AS loans, sum(l.balance) AS balance,"
    " sum(c.expected_loss) AS expected_loss, count(*) FILTER (WHERE c.expected_loss IS NULL) AS loss_unknown"
    " FROM loans l LEFT JOIN LATERAL (SELECT expected_loss FROM loan_classes c WHERE c.loan_id = l.id"
    " ORDER BY c.id DESC LIMIT 1) c ON true"
    " WHERE l.state IN ('performing', 'margin_called', 'defaulted', 'enforcing') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
_ON = text(
    "SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT DISTINCT l.id FROM loans l JOIN loan_assets a"
    " ON a.loan_id = l.id WHERE a.asset_id = ANY(:ids) AND l.state IN ('performing', 'margin_called')) AS live"
).bindparams(_IDS)
_BETWEEN = text(
    "SELECT l.id, array_agg(a.asset_id) AS assets FROM loans l JOIN loan_assets a ON a.loan_id = l.id"
    " WHERE a.asset_id = ANY(:ids) AND l.state IN ('performing', 'margin_called') GROUP BY l.id HAVING count(*) > 1"
).bindparams(_IDS)


class Contract(NamedTuple):
    """What a test of the covenants reads of a loan and its legs. Money in fen, rates and shares as fractions."""

    id: UUID
    state: str
    steps: int
    cure_by: datetime | None
    insurer: str
    guarantor: str
    annual_rate: float | None
    next_due_on: date | None
    stage: int | None
    five_class: str | None
    bucket: str | None
    origin_probability: float | None
    borrower_probability: float | None
    loss_given_default: float | None
    interest_due: int
    balance: int
    matures_on: date | None
    quantile: str
    margin: float
    cure: float
    cure_days: int
    cover_state: str
    cover_until: date | None
    guarantee_state: str
    looked_at: datetime | None


class Held(NamedTuple):
    """A forest behind a loan."""

    loan_id: UUID
    asset_id: UUID
    tonnes: float
    pledge_state: str


#: How each field of a Contract is read from its text.
_READ: tuple[Callable[[str], Any], ...] = (
    *(UUID, str, int, datetime.fromisoformat, str, str, float, date.fromisoformat, int, str, str, float, float, float),
    *(int, int, date.fromisoformat, str, float, float, int, str, date.fromisoformat, str, datetime.fromisoformat),
)


def live_loans_on(session: Session, asset_ids: Sequence[UUID]) -> list[UUID]:
    """This bank's loans that stand on some assets and whose covenants are tested, in order."""
    return _ids(session.scalar(_ON, {"ids": list(asset_ids)}))


def loans_between(session: Session, asset_ids: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """Those that stand on more than one of these assets, each with the ones it stands on."""
    return {row.id: set(row.assets) for row in session.execute(_BETWEEN, {"ids": list(asset_ids)})}


def lock_live(session: Session, loan_ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of some loans that are live, in the order in which everybody locks them."""
    return _ids(session.scalar(_LOCK, {"ids": list(loan_ids)}))


def contracts_of(session: Session, loan_ids: Sequence[UUID]) -> list[Contract]:
    """What a test of the covenants reads of each loan and its legs, by id."""
    lines = session.scalar(_LOANS, {"ids": list(loan_ids)}) or ""
    return [
        Contract._make(
            [None if field == "\\N" else read(field) for read, field in zip(_READ, line.split("\t"), strict=True)]
        )
        for line in lines.splitlines()
    ]


def pledges_of(session: Session, loan_ids: Sequence[UUID]) -> list[Held]:
    """The pledges of loans, by loan and asset."""
    lines = session.scalar(_PLEDGES, {"ids": list(loan_ids)}) or ""
    known: dict[str, UUID] = {}
    held = []
    for line in lines.splitlines():
        loan, asset, tonnes, state = line.split("\t")
        if asset not in known:
            known[asset] = UUID(asset)
        held.append(Held(UUID(loan), known[asset], float(tonnes), state))
    return held


def _ids(joined: str | None) -> list[UUID]:
    return [UUID(one) for one in joined.split(",")] if joined else []


def debt_service_of(session: Session, loan_ids: Sequence[UUID]) -> dict[tuple[UUID, int], float]:
    """Instalments that fall due in each year of loans that are paid out, whether paid or not. [CNY]"""
    return {(row.loan_id, row.year): row.service for row in session.execute(_SERVICE, {"ids": list(loan_ids)})}


def next_due(session: Session, loan_ids: Sequence[UUID]) -> dict[UUID, date]:
    """The day of each loan's first instalment that has not come in whole; once all have, the last day of the loan.

    Money counts for the instalments in their order, principal and interest together, so that who pays as agreed is
    never late for a few days' interest.
    """
    return {row.id: row.due_on for row in session.execute(_NEXT_DUE, {"ids": list(loan_ids)})}


def agreed_principal(session: Session, loan_ids: Sequence[UUID]) -> dict[UUID, list[tuple[date, Decimal]]]:
    """Day and principal of each instalment of loans, as agreed."""
    rows: dict[UUID, list[tuple[date, Decimal]]] = {}
    for row in session.execute(_LEFT_TO_PAY, {"ids": list(loan_ids)}):
        rows.setdefault(row.loan_id, []).append((row.due_on, row.principal))
    return rows


def instalments_of(session: Session, loan_id: UUID) -> list[Instalment]:
    """Instalments of a loan as they were agreed when the money went out, in order; none before."""
    return list(session.scalars(select(Instalment).where(Instalment.loan_id == loan_id).order_by(Instalment.number)))


def classes_of(session: Session, loan_id: UUID) -> list[LoanClass]:
    """Every class a loan passed through, oldest first."""
    return list(session.scalars(select(LoanClass).where(LoanClass.loan_id == loan_id).order_by(LoanClass.id)))


def live_loans(session: Session, size: int) -> Iterator[list[UUID]]:
    """This bank's loans whose covenants are tested, so many at a time, by id."""
    last = UUID(int=0)
    while ids := list(session.scalars(_LIVE, {"last": last, "size": size})):
        yield ids
        last = ids[-1]


def expected_losses(session: Session) -> list[Row[Any]]:
    """Loans, what they owe and the loss expected of them, by stage, class and arrears as last found."""
    return list(session.execute(_BY_CLASS))


def covenant_tests_of(session: Session, loan_id: UUID, limit: int = 100) -> list[CovenantTest]:
    """The latest tests of a loan, newest first."""
    newest = select(CovenantTest).where(CovenantTest.loan_id == loan_id).order_by(CovenantTest.id.desc()).limit(limit)
    return list(session.scalars(newest))

"""Covenant tests, kept as they were made, and the rows that a block of them is made from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, Row, SmallInteger, String, Uuid, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.credit.tables.base import Base, one_of
from shared import bulk
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


# Ids go to the database and come from it as text, a block of them in one value, and a row as a line of one value: ten
# thousand objects made one by one, or rows that the driver takes apart field by field, cost as much as testing them.
_LOCK = text(
    "SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT id FROM loans WHERE id = ANY(CAST(:ids AS uuid[]))"
    " AND state IN ('performing', 'margin_called') ORDER BY id FOR UPDATE) AS locked"
)
# A day is told as its number, counted as date.toordinal counts.
_LOANS = text(
    "SELECT string_agg(array_to_string(ARRAY[l.id::text, l.state, l.steps::text, l.cure_by::text, l.insurer,"
    " l.guarantor, l.annual_rate::text, (l.next_due_on - DATE '0001-12-31 BC')::text, l.stage::text, l.five_class,"
    " l.bucket, l.origin_probability::text, l.borrower_probability::text, l.loss_given_default::text,"
    " l.interest_due::text, l.balance::text, (l.matures_on - DATE '0001-12-31 BC')::text, l.covenant_quantile,"
    " l.margin_level::text, l.cure_level::text, l.cure_days::text, c.state,"
    " (c.expiry - DATE '0001-12-31 BC')::text, g.state, extract(epoch FROM t.due_at)::text],"
    " E'\\t', ''), E'\\n' ORDER BY l.id)"
    " FROM loans l JOIN loan_covers c ON c.loan_id = l.id JOIN loan_guarantees g ON g.loan_id = l.id"
    " LEFT JOIN timers t ON t.kind = 'freshness' AND t.subject = l.id"
    " WHERE l.id = ANY(CAST(:ids AS uuid[]))"
)
_PLEDGES = text(
    "SELECT string_agg(a.loan_id || E'\\t' || a.asset_id || E'\\t' || a.tonnes || E'\\t' || a.pledge_state, E'\\n'"
    " ORDER BY a.loan_id, a.asset_id) FROM loan_assets a WHERE a.loan_id = ANY(CAST(:ids AS uuid[]))"
)
_SERVICE = text(
    "SELECT i.loan_id::text AS loan_id, extract(year FROM i.due_on)::int AS year,"
    " sum(i.principal + i.interest)::float8 AS service"
    " FROM loan_instalments i WHERE i.loan_id = ANY(CAST(:ids AS uuid[])) GROUP BY 1, 2"
)
_NEXT_DUE = text(
    "SELECT l.id::text AS id, coalesce(min(i.due_on), l.matures_on) AS due_on FROM loans l LEFT JOIN loan_instalments i"
    " ON i.loan_id = l.id AND i.due_in_all > l.principal_repaid + l.recovered + l.interest_paid"
    " WHERE l.id = ANY(CAST(:ids AS uuid[])) GROUP BY l.id"
)
_LEFT_TO_PAY = text(
    "SELECT i.loan_id::text AS loan_id, i.due_on, i.principal FROM loan_instalments i"
    " WHERE i.loan_id = ANY(CAST(:ids AS uuid[])) ORDER BY i.loan_id, i.number"
)
# What was found of a block, one array for each column: a loan's new figures and the test that is kept are two halves
# of one statement, which is written once for one loan and for ten thousand.
_KEEP = text(
    "WITH tested AS MATERIALIZED (SELECT * FROM ROWS FROM ("
    " unnest(CAST(:loan_id AS uuid[])), unnest(CAST(:id AS uuid[])), unnest(CAST(:state AS text[])),"
    " unnest(CAST(:steps AS integer[])), unnest(CAST(:cure_by AS timestamptz[])), unnest(CAST(:stage AS smallint[])),"
    " unnest(CAST(:five_class AS text[])), unnest(CAST(:bucket AS text[])), unnest(CAST(:next_due_on AS date[])),"
    " jsonb_array_elements(CAST(:reasons AS jsonb)), unnest(CAST(:verdict AS text[])),"
    " jsonb_array_elements(CAST(:broken AS jsonb)), unnest(CAST(:balance AS numeric[])),"
    " unnest(CAST(:quantile AS text[])), unnest(CAST(:value AS numeric[])), unnest(CAST(:ratio AS numeric[])),"
    " unnest(CAST(:known_ratio AS numeric[])), unnest(CAST(:level AS numeric[])),"
    " unnest(CAST(:shortfall AS numeric[])), unnest(CAST(:fresh_until AS date[])),"
    " unnest(CAST(:cover_state AS text[])), unnest(CAST(:cover_until AS date[])),"
    " unnest(CAST(:guarantee_state AS text[])), unnest(CAST(:service_cover AS numeric[])),"
    " unnest(CAST(:service_year AS integer[])), jsonb_array_elements(CAST(:pledges AS jsonb))"
    " ) AS t(loan_id, id, state, steps, cure_by, stage, five_class, bucket, next_due_on, reasons, verdict, broken,"
    " balance, quantile, value, ratio, known_ratio, level, shortfall, fresh_until, cover_state, cover_until,"
    " guarantee_state, service_cover, service_year, pledges)),"
    " moved AS (UPDATE loans AS l SET state = t.state, steps = t.steps, loan_to_value = t.ratio,"
    " shortfall = t.shortfall, covenant_reasons = t.reasons, tested_at = :now, updated_at = :now,"
    " cure_by = t.cure_by, stage = t.stage, five_class = t.five_class, bucket = t.bucket,"
    " next_due_on = t.next_due_on, version = l.version + 1 FROM tested t WHERE l.id = t.loan_id)"
    " INSERT INTO covenant_tests (loan_id, id, institution, at, cause, verdict, broken, balance, quantile, value,"
    " loan_to_value, limit_loan_to_value, shortfall, fresh_until, cover_state, cover_until, guarantee_state,"
    " debt_service_cover, debt_service_year, pledges, coefficients)"
    " SELECT loan_id, id, :institution, :now, :cause, verdict, broken, balance, quantile, value, known_ratio, level,"
    " shortfall, fresh_until, cover_state, cover_until, guarantee_state, service_cover, service_year, pledges,"
    " :coefficients FROM tested"
)
_LIVE = text(
    "SELECT id::text FROM loans WHERE state IN ('performing', 'margin_called') AND id > CAST(:last AS uuid)"
    " ORDER BY id LIMIT :size"
)
_BY_CLASS = text(
    "SELECT l.stage, l.five_class, l.bucket, count(*) AS loans, sum(l.balance) AS balance,"
    " sum(c.expected_loss) AS expected_loss, count(*) FILTER (WHERE c.expected_loss IS NULL) AS loss_unknown"
    " FROM loans l LEFT JOIN LATERAL (SELECT expected_loss FROM loan_classes c WHERE c.loan_id = l.id"
    " ORDER BY c.id DESC LIMIT 1) c ON true"
    " WHERE l.state IN ('performing', 'margin_called', 'defaulted', 'enforcing') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
_IDS: Any = bindparam("ids", type_=ARRAY(Uuid))
_ON = text(
    "SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT DISTINCT l.id FROM loans l JOIN loan_assets a"
    " ON a.loan_id = l.id WHERE a.asset_id = ANY(:ids) AND l.state IN ('performing', 'margin_called')) AS live"
).bindparams(_IDS)
_BETWEEN = text(
    "SELECT l.id, array_agg(a.asset_id) AS assets FROM loans l JOIN loan_assets a ON a.loan_id = l.id"
    " WHERE a.asset_id = ANY(:ids) AND l.state IN ('performing', 'margin_called') GROUP BY l.id HAVING count(*) > 1"
).bindparams(_IDS)


class Contract(NamedTuple):
    """What a test of the covenants reads of a loan and its legs. Money in CNY, shares as fractions, NaN: not known."""

    id: UUID
    state: str
    steps: int
    cure_by: datetime | None
    insurer: str
    guarantor: str
    annual_rate: float
    next_due_on: date | None
    stage: int | None
    five_class: str
    bucket: str
    origin_probability: float
    borrower_probability: float
    loss_given_default: float
    interest_due: Decimal
    balance: Decimal
    matures_on: date | None
    quantile: str
    margin: float
    cure: float
    cure_days: int
    cover_state: str
    cover_until: date | None
    guarantee_state: str
    looked_at: float


def _number(told: str) -> float:
    return float(told or "nan")


def _day(told: str) -> date | None:
    return date.fromordinal(int(told)) if told else None


#: How each field of a Contract is read from its text.
_READ: tuple[Callable[[str], Any], ...] = (
    *(UUID, str, int, lambda told: datetime.fromisoformat(told) if told else None, str, str, _number, _day),
    *(lambda told: int(told) if told else None, str, str, _number, _number, _number, Decimal, Decimal, _day, str),
    *(_number, _number, int, str, _day, str, _number),
)


class Contracts(Sequence[Contract]):
    """Contracts of a block of loans, as columns of text; one of them is read when it is asked for."""

    def __init__(self, lines: str) -> None:
        self._columns = dict(zip(Contract._fields, _columns(lines, len(Contract._fields)), strict=True))

    def texts(self, name: str) -> Sequence[str]:
        """A field of all loans as the database writes it; empty where there is none."""
        return self._columns[name]

    def __len__(self) -> int:
        return len(self.texts("id"))

    def __getitem__(self, place: Any) -> Any:
        return Contract._make(read(column[place]) for read, column in zip(_READ, self._columns.values(), strict=True))


class Pledges(NamedTuple):
    """The forests behind a block of loans, one element for each, by loan and forest."""

    loan_ids: Sequence[str]
    asset_ids: list[UUID]
    tonnes: list[float]
    states: Sequence[str]


def live_loans_on(session: Session, asset_ids: Sequence[UUID]) -> list[str]:
    """This bank's loans that stand on some assets and whose covenants are tested, in order."""
    return _split(session.scalar(_ON, {"ids": list(asset_ids)}))


def loans_between(session: Session, asset_ids: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """Those that stand on more than one of these assets, each with the ones it stands on."""
    return {row.id: set(row.assets) for row in session.execute(_BETWEEN, {"ids": list(asset_ids)})}


def lock_live(session: Session, loan_ids: Sequence[str]) -> list[str]:
    """Lock those of some loans that are live, in the order in which everybody locks them."""
    return _split(session.scalar(_LOCK, {"ids": bulk.array(loan_ids)}))


def contracts_of(session: Session, loan_ids: Sequence[str]) -> Contracts:
    """What a test of the covenants reads of each loan and its legs, by id."""
    return Contracts(session.scalar(_LOANS, {"ids": bulk.array(loan_ids)}) or "")


def pledges_of(session: Session, loan_ids: Sequence[str]) -> Pledges:
    """The pledges of loans, by loan and asset."""
    lines = session.scalar(_PLEDGES, {"ids": bulk.array(loan_ids)}) or ""
    loans, assets, tonnes, states = _columns(lines, 4)
    known = {asset: UUID(asset) for asset in set(assets)}
    return Pledges(loans, [known[asset] for asset in assets], list(map(float, tonnes)), states)


def _columns(lines: str, count: int) -> list[list[str]]:
    """Lines of so many fields as columns, without a list for each line."""
    fields = lines.replace("\n", "\t").split("\t") if lines else []
    return [fields[number::count] for number in range(count)]


def _split(joined: str | None) -> list[str]:
    return joined.split(",") if joined else []


def keep_tests(session: Session, columns: Mapping[str, str], **same: Any) -> None:
    """Write what a test found of each loan of a block, each column an array, and keep the tests themselves."""
    session.flush()
    session.execute(_KEEP, {**columns, **same})


def debt_service_of(session: Session, loan_ids: Sequence[str]) -> dict[tuple[str, int], float]:
    """Instalments that fall due in each year of loans that are paid out, whether paid or not. [CNY]"""
    return {(row.loan_id, row.year): row.service for row in session.execute(_SERVICE, {"ids": bulk.array(loan_ids)})}


def next_due(session: Session, loan_ids: Sequence[str]) -> dict[str, date]:
    """The day of each loan's first instalment that has not come in whole; once all have, the last day of the loan.

    Money counts for the instalments in their order, principal and interest together, so that who pays as agreed is
    never late for a few days' interest.
    """
    return {row.id: row.due_on for row in session.execute(_NEXT_DUE, {"ids": bulk.array(loan_ids)})}


def agreed_principal(session: Session, loan_ids: Sequence[str]) -> dict[str, list[tuple[date, Decimal]]]:
    """Day and principal of each instalment of loans, as agreed."""
    rows: dict[str, list[tuple[date, Decimal]]] = {}
    for row in session.execute(_LEFT_TO_PAY, {"ids": bulk.array(loan_ids)}):
        rows.setdefault(row.loan_id, []).append((row.due_on, row.principal))
    return rows


def instalments_of(session: Session, loan_id: UUID) -> list[Instalment]:
    """Instalments of a loan as they were agreed when the money went out, in order; none before."""
    return list(session.scalars(select(Instalment).where(Instalment.loan_id == loan_id).order_by(Instalment.number)))


def classes_of(session: Session, loan_id: UUID) -> list[LoanClass]:
    """Every class a loan passed through, oldest first."""
    return list(session.scalars(select(LoanClass).where(LoanClass.loan_id == loan_id).order_by(LoanClass.id)))


def live_loans(session: Session, size: int) -> Iterator[list[str]]:
    """This bank's loans whose covenants are tested, so many at a time, by id."""
    last = str(UUID(int=0))
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

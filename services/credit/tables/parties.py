"""Borrowers and who stands behind them. What is personal is under seal; marks find it again and tell nothing."""

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    case,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, relationship

from services.credit.tables.base import Base, one_of
from services.credit.tables.loans import IN_BOOK, Loan
from shared.db import Id, Institution, Moment, MoneyColumn, Versioned

KINDS = ("enterprise", "individual_business", "cooperative", "collective", "natural_person")
DOCUMENTS = ("resident_id", "business_licence", "registration_certificate")
#: What a mark was made of. A person's number makes the same mark whether the person borrows, signs or owns.
MARKS = ("identity", "representative", "owner", "account", "phone", "address")


class Party(Versioned, Base):
    """A borrower of one bank: a person, a household's business, a village, a cooperative or a firm."""

    __tablename__ = "parties"
    __table_args__ = (
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint(one_of("document_kind", DOCUMENTS), name="document_kind"),
        CheckConstraint(
            "(verified_on IS NULL) = (verified_until IS NULL) AND (verified_on IS NULL) = (verified_by IS NULL)"
            " AND verified_on <= verified_until",
            name="verification",
        ),
        CheckConstraint("yearly_income >= 0 AND yearly_costs >= 0", name="no_negative_money"),
        CheckConstraint(
            "(erased_at IS NULL) = (sealed IS NOT NULL) AND (key_id IS NULL) = (sealed IS NULL)", name="seal"
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(32))
    #: Names, numbers, contact, representative and owners, as JSON under seal; gone once erased.
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(String(32), index=True)
    #: Pseudonym of the borrower for the other institutions.
    obligor: Mapped[str] = mapped_column(String(32))
    #: The code under which this party itself insures or guarantees loans, if it does.
    acts_as: Mapped[str | None] = mapped_column(String(64))

    # What a score reads.
    industry: Mapped[str] = mapped_column(String(4))
    employees: Mapped[int | None]
    established_on: Mapped[date | None]
    small_or_farmer: Mapped[bool]

    # What was checked, by whom, and how long that holds.
    document_kind: Mapped[str] = mapped_column(String(32))
    #: None: valid without end.
    document_until: Mapped[date | None]
    verified_on: Mapped[date | None]
    verified_until: Mapped[date | None]
    verified_by: Mapped[str | None] = mapped_column(String(128))

    # Money of a year, and what is owed elsewhere.
    yearly_income: Mapped[MoneyColumn | None]
    yearly_costs: Mapped[MoneyColumn | None]
    #: Balance and yearly service of each debt, decimal strings, and its end.
    debts: Mapped[list[Any]] = mapped_column(JSONB, default=list)

    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    erased_at: Mapped[Moment | None]

    marks: Mapped[list["PartyMark"]] = relationship(cascade="all, delete-orphan")

    @property
    def yearly_cash_flow(self) -> Decimal | None:
        """What a year leaves, before any debt is served. [CNY]"""
        if self.yearly_income is None or self.yearly_costs is None:
            return None
        return self.yearly_income - self.yearly_costs


class PartyMark(Base):
    """A keyed hash of something that identifies: equal where the thing is equal, within one bank."""

    __tablename__ = "party_marks"
    __table_args__ = (
        CheckConstraint(one_of("kind", MARKS), name="kind"),
        Index("ix_party_marks_institution_mark", "institution", "mark"),
        # An identity is registered once: whoever has the number already is found, not entered again.
        Index(
            "uq_party_marks_identity", "institution", "mark", unique=True, postgresql_where=text("kind = 'identity'")
        ),
    )

    party_id: Mapped[UUID] = mapped_column(ForeignKey("parties.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    mark: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    institution: Mapped[Institution]


def party_of_identity(session: Session, mark: bytes) -> UUID | None:
    """The party of this bank that has an identity."""
    return session.scalar(select(PartyMark.party_id).where(PartyMark.kind == "identity", PartyMark.mark == mark))


DOCUMENT_KINDS = (
    "application_form",
    "identity_document",
    "licence",
    "forest_title",
    "financial_statement",
    "tax_record",
    "valuation_report",
    "insurance_policy",
    "guarantee_letter",
    "resolution",
    "contract",
    "photograph",
    "other",
)


class LoanDocument(Base):
    """A document that was seen: what it is called under seal, and the hash by which it is known again; never itself."""

    __tablename__ = "loan_documents"
    __table_args__ = (
        UniqueConstraint("loan_id", "sha256"),
        Index("ix_loan_documents_institution_sha256", "institution", "sha256"),
        CheckConstraint(one_of("kind", DOCUMENT_KINDS), name="kind"),
        CheckConstraint("size > 0", name="size"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"))
    kind: Mapped[str] = mapped_column(String(32))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(String(32), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    #: [bytes]
    size: Mapped[int] = mapped_column(BigInteger)
    registered_by: Mapped[str] = mapped_column(String(128))
    registered_at: Mapped[Moment]


def group_of(session: Session, party_id: UUID, links: Collection[str]) -> list[UUID]:
    """The party and everybody who is connected with it by shared marks of some kinds, however many steps away."""
    one, other = aliased(PartyMark), aliased(PartyMark)
    group = select(literal(party_id).label("id")).cte("connected", recursive=True)
    group = group.union(
        select(other.party_id)
        .select_from(group)
        .join(one, one.party_id == group.c.id)
        .join(other, other.mark == one.mark)
        .where(one.kind.in_(links), other.kind.in_(links))
    )
    return list(session.scalars(select(group.c.id).order_by(group.c.id)))


def exposures(session: Session, parties: Sequence[UUID]) -> dict[UUID, Decimal]:
    """What this bank has lent or promised to each of some parties. [CNY]"""
    exposure = func.sum(case((Loan.disbursed > 0, Loan.balance), else_=Loan.amount))
    query = select(Loan.party_id, exposure).where(Loan.party_id.in_(parties), Loan.state.in_(IN_BOOK))
    return {party: Decimal(sum_) for party, sum_ in session.execute(query.group_by(Loan.party_id)) if party is not None}


def sharing(session: Session, party_id: UUID) -> list[tuple[UUID, str]]:
    """Who else has a mark that a party has, and what it is to the other."""
    one, other = aliased(PartyMark), aliased(PartyMark)
    query = (
        select(other.party_id, other.kind)
        .join(one, one.mark == other.mark)
        .where(one.party_id == party_id, other.party_id != party_id)
        .distinct()
        .order_by(other.party_id, other.kind)
    )
    return [(row.party_id, row.kind) for row in session.execute(query)]


def shared_marks(session: Session, links: Collection[str]) -> list[list[UUID]]:
    """The parties of each mark that more than one of them has."""
    whose = func.array_agg(PartyMark.party_id.distinct())
    query = (
        select(whose)
        .where(PartyMark.kind.in_(links))
        .group_by(PartyMark.mark)
        .having(func.count(PartyMark.party_id.distinct()) > 1)
    )
    return [sorted(parties) for parties in session.scalars(query)]


def live_loans_of(session: Session, parties: Collection[UUID], states: Collection[str], without: UUID) -> list[Loan]:
    """Loans of some parties that are in some states, oldest first."""
    query = select(Loan).where(Loan.party_id.in_(parties), Loan.state.in_(states), Loan.id != without)
    return list(session.scalars(query.order_by(Loan.id)))


def parties_acting_as(session: Session, codes: Collection[str]) -> list[Party]:
    """The parties of this bank that are themselves some of the insurers or guarantors."""
    return list(session.scalars(select(Party).where(Party.acts_as.in_(codes)).order_by(Party.id)))

"""What banks asked for, and the answers."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, TonnesColumn, Versioned


class Cover(Versioned, Base):
    """A bank's question for cover of one loan, and the insurer's answer."""

    __tablename__ = "covers"
    __table_args__ = (
        UniqueConstraint("institution", "loan_id"),
        CheckConstraint(
            "state IN ('asked', 'waiting', 'referred', 'quoted', 'refused', 'bound', 'void')", name="state"
        ),
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
    #: Who else carries the loan, as credit told; unknown of what was asked before it was kept.
    guarantor: Mapped[str | None] = mapped_column(String(64))
    scheme: Mapped[str | None] = mapped_column(String(64))
    default_probability: Mapped[RateColumn | None]
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
    #: The price as it is shown: waterfall, technical and filed rate, factors, who pays which part.
    pricing: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: What two people have to agree to, and the hash of what the first of them proposed.
    referral: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    proposal_hash: Mapped[str | None] = mapped_column(String(64))
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


def cover_of_loan(session: Session, loan_id: UUID) -> Cover | None:
    """The current insurer's cover for a loan, locked."""
    return session.scalars(
        select(Cover).where(Cover.loan_id == loan_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()

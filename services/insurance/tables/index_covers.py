"""Index covers, what was observed, and what each observation set off."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, Versioned


class IndexCover(Versioned, Base):
    """A cover that pays by an index, beside the policy whose bank and owner it pays."""

    __tablename__ = "index_covers"
    __table_args__ = (
        CheckConstraint("kind IN ('area_index', 'remote_sensing', 'annual_aggregate')", name="kind"),
        CheckConstraint("state IN ('quoted', 'in_force', 'ended')", name="state"),
        CheckConstraint("most > 0 AND premium > 0 AND paid >= 0 AND paid <= most", name="paid_within_limit"),
        CheckConstraint("(state = 'quoted') = (bound_at IS NULL)", name="bound"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id"), index=True)
    loan_id: Mapped[UUID]
    bank: Mapped[str] = mapped_column(String(64))
    asset_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), index=True)
    #: The limit of the whole time of cover; `limit` is a word of SQL.
    most: Mapped[MoneyColumn]
    paid: Mapped[MoneyColumn]
    annual_premium: Mapped[MoneyColumn]
    premium: Mapped[MoneyColumn]
    expected_payout: Mapped[MoneyColumn]
    expected_loss: Mapped[MoneyColumn]
    #: What the payment is computed from, as it was agreed: source of the index, target, price, steps.
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    quantity: Mapped[dict[str, Any]] = mapped_column(JSONB)
    basis_risk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    explanation: Mapped[list[Any]] = mapped_column(JSONB)
    parameters_digest: Mapped[str] = mapped_column(String(64))
    unverified_parameters: Mapped[list[Any]] = mapped_column(JSONB)
    #: Of what was shown before the sale: terms, premium, basis risk.
    price_hash: Mapped[str] = mapped_column(String(64))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    quoted_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    bound_at: Mapped[Moment | None]
    bound_by: Mapped[str | None] = mapped_column(String(128))

    triggers: Mapped[list["IndexTrigger"]] = relationship(order_by="IndexTrigger.id")

    def covers(self, day: date) -> bool:
        """Whether the cover was bound and stands on a day."""
        return self.state != "quoted" and self.starts_on <= day < self.ends_on


class IndexObservation(Base):
    """What somebody measured of a forest, as it was delivered; another number for the same is another revision."""

    __tablename__ = "index_observations"
    __table_args__ = (
        UniqueConstraint("institution", "asset_id", "kind", "source", "name", "revision"),
        CheckConstraint("reading >= 0 AND revision >= 1", name="reading"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    asset_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int]
    observed_on: Mapped[date]
    reading: Mapped[RateColumn]
    arrived_at: Mapped[Moment]
    arrived_by: Mapped[str] = mapped_column(String(128))

    triggers: Mapped[list["IndexTrigger"]] = relationship(order_by="IndexTrigger.id")


class IndexTrigger(Base):
    """What one observation meant for one cover: the index after it, the threshold, what was owed and paid."""

    __tablename__ = "index_triggers"
    __table_args__ = (
        UniqueConstraint("index_cover_id", "observation_id"),
        CheckConstraint("owed >= 0 AND paid_before >= 0 AND paid >= 0", name="amounts"),
        CheckConstraint("(claim_id IS NOT NULL) = (paid > 0)", name="paid_by_a_claim"),
        CheckConstraint("outcome IN ('below', 'paid', 'paid_before', 'overpaid', 'late')", name="outcome"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    index_cover_id: Mapped[UUID] = mapped_column(ForeignKey("index_covers.id"))
    observation_id: Mapped[UUID] = mapped_column(ForeignKey("index_observations.id"), index=True)
    index: Mapped[RateColumn]
    threshold: Mapped[RateColumn]
    outcome: Mapped[str] = mapped_column(String(16))
    owed: Mapped[MoneyColumn]
    paid_before: Mapped[MoneyColumn]
    paid: Mapped[MoneyColumn]
    claim_id: Mapped[UUID | None] = mapped_column(ForeignKey("claims.id"))
    explanation: Mapped[list[Any]] = mapped_column(JSONB)
    made_at: Mapped[Moment]


def index_covers_on(session: Session, asset_id: UUID, kind: str, source: str) -> list[IndexCover]:
    """The current insurer's bound covers of a forest that settle on this source."""
    query = select(IndexCover).where(
        IndexCover.asset_id == asset_id,
        IndexCover.kind == kind,
        IndexCover.state != "quoted",
        IndexCover.terms["source"].astext == source,
    )
    return list(session.scalars(query.order_by(IndexCover.id).with_for_update()))

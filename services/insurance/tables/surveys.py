"""What an insurer found at the sites of forests."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import String, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.insurance.tables.base import Base
from shared.db import Id, Institution, Moment


class SiteSurvey(Base):
    """What an insurer knows of a site beyond the register: rating factors, and what a peril model asks for."""

    __tablename__ = "site_surveys"

    id: Mapped[Id]
    institution: Mapped[Institution]
    asset_id: Mapped[UUID] = mapped_column(index=True)
    surveyed_on: Mapped[date]
    source: Mapped[str] = mapped_column(String(200))
    #: By rating factor: decimal strings of what is measured, words of what is named.
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB)
    covariates: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_by: Mapped[str] = mapped_column(String(128))
    made_at: Mapped[Moment]


def latest_surveys(session: Session, asset_ids: Iterable[UUID]) -> dict[UUID, SiteSurvey]:
    """The current insurer's latest survey of each forest that it surveyed."""
    query = select(SiteSurvey).where(SiteSurvey.asset_id.in_(sorted(set(asset_ids))))
    return {row.asset_id: row for row in session.scalars(query.order_by(SiteSurvey.surveyed_on, SiteSurvey.id))}

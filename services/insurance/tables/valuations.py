"""Copies of what the register tells everybody of a forest's worth."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import String, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.insurance.tables.base import Base
from shared.db import Moment, MoneyColumn, RateColumn, TonnesColumn


class Valuation(Base):
    """The latest valuation of a forest, as the register published it."""

    __tablename__ = "valuations"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    valuation_id: Mapped[UUID]
    as_of: Mapped[date]
    valid_until: Mapped[date]
    county: Mapped[str] = mapped_column(String(64))
    area_ha: Mapped[RateColumn]
    #: Score of each peril, a decimal string.
    hazards: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Mean and quantiles, decimal strings of CNY.
    present_value: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: What pricing needs besides; unknown of what was heard before it was kept.
    species: Mapped[list[Any] | None] = mapped_column(JSONB)
    spot_price: Mapped[MoneyColumn | None]
    units: Mapped[TonnesColumn | None]
    title_until: Mapped[date | None]
    #: Centre of the forest. [degrees]
    longitude: Mapped[RateColumn | None]
    latitude: Mapped[RateColumn | None]
    received_at: Mapped[Moment]


#: In the order of the names: whoever locks many takes them as everybody does.
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
    " FROM (SELECT name FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS t(name, place)"
    " ORDER BY place OFFSET 0) s"
)


def lock_assets(session: Session, asset_ids: Iterable[UUID]) -> None:
    """Let one transaction at a time judge a forest.

    A forest's first valuation has no row to lock yet, and a request that waits for it must not slip past it; so the
    lock is on the id.
    """
    names = [f"asset/{asset_id}" for asset_id in sorted(set(asset_ids))]
    session.execute(_LOCK, {"names": names})


def latest_valuations(session: Session, asset_ids: Iterable[UUID]) -> dict[UUID, Valuation]:
    """This service's copies of the forests' latest valuations, read anew."""
    rows = session.scalars(
        select(Valuation)
        .where(Valuation.asset_id.in_(sorted(set(asset_ids))))
        .execution_options(populate_existing=True)
    )
    return {row.asset_id: row for row in rows}

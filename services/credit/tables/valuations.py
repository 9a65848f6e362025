"""Copies of what the register tells everybody."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import String, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.credit.tables.base import Base
from shared.db import Moment, MoneyColumn, RateColumn, TonnesColumn


class Valuation(Base):
    """The latest valuation of a forest, as the register published it."""

    __tablename__ = "valuations"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    valuation_id: Mapped[UUID]
    version: Mapped[int]
    as_of: Mapped[date]
    valid_until: Mapped[date]
    #: Empty: from before we kept it.
    methodology: Mapped[str] = mapped_column(String(200), default="")
    #: Issued and not retired, as far as we heard. What we did not hear of counts as forecast.
    issued_tonnes: Mapped[TonnesColumn] = mapped_column(default=Decimal(0))
    county: Mapped[str] = mapped_column(String(64))
    area_ha: Mapped[RateColumn]
    longitude: Mapped[RateColumn]
    latitude: Mapped[RateColumn]
    title_until: Mapped[date]
    crediting_until: Mapped[date]
    #: Name and share of each species, decimal strings.
    species: Mapped[list[Any]] = mapped_column(JSONB)
    #: Yearly probability of each peril, decimal strings.
    hazards: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Net tonnes of each verification date, decimal strings.
    removals: Mapped[list[Any]] = mapped_column(JSONB)
    #: Sum of the mean removals: what a pledge of tonnes is a share of.
    forecast_tonnes: Mapped[TonnesColumn]
    free_tonnes: Mapped[TonnesColumn]
    pledged_tonnes: Mapped[TonnesColumn]
    price_curve: Mapped[str] = mapped_column(String(128))
    spot_price: Mapped[MoneyColumn]
    pv_mean: Mapped[MoneyColumn]
    pv_p05: Mapped[MoneyColumn]
    pv_p10: Mapped[MoneyColumn]
    pv_p50: Mapped[MoneyColumn]
    pv_p90: Mapped[MoneyColumn]
    pv_p95: Mapped[MoneyColumn]
    liquidity_haircut: Mapped[RateColumn]
    inputs_hash: Mapped[str] = mapped_column(String(128))
    parameters_hash: Mapped[str] = mapped_column(String(128))
    unverified_parameters: Mapped[list[Any]] = mapped_column(JSONB)
    received_at: Mapped[Moment]


def valuations_of(session: Session, asset_ids: Iterable[UUID], *, hold: bool = False) -> dict[UUID, Valuation]:
    """Our copies of the latest valuations of assets; an asset that was never valued is not in it.

    With `hold` no later valuation can come in before this transaction ends: whoever pays out on a valuation is found by
    the test of the next one.
    """
    query = select(Valuation).where(Valuation.asset_id.in_(list(asset_ids))).order_by(Valuation.asset_id)
    query = query.execution_options(populate_existing=True)
    rows = session.scalars(query.with_for_update(read=True) if hold else query)
    return {row.asset_id: row for row in rows}

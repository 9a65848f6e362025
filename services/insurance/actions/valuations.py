"""The insurer's own copies of the register's valuations."""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.insurance.actions import covers
from services.insurance.tables import Valuation, lock_assets
from shared import clock, watchers
from shared.db import table_of
from shared.events.sink import CarbonAssetValued
from shared.inbox import Incoming

log = structlog.get_logger(__name__)

_insert = insert(table_of(Valuation))
#: Keep a forest's latest valuation, pass over an older one.
_KEEP = _insert.on_conflict_do_update(
    index_elements=["asset_id"],
    set_={column.name: _insert.excluded[column.name] for column in table_of(Valuation).columns},
    where=table_of(Valuation).c.version < _insert.excluded.version,
)


def remember_valuations(session: Session, incoming: Sequence[Incoming]) -> None:
    """Keep the latest valuations of these forests; quote whoever waits for one, on the first that comes."""
    lock_assets(session, (one.event.asset_id for one in incoming))
    awaited = watchers.watched(session, (one.event.asset_id for one in incoming))
    latest: dict[Any, CarbonAssetValued] = {}
    for one in incoming:
        event: CarbonAssetValued = one.event
        if event.asset_id in awaited:
            _quote_on(session, one)
        elif event.asset_id not in latest or latest[event.asset_id].version < event.version:
            latest[event.asset_id] = event
    if latest:
        session.execute(_KEEP, [_row(event) for event in latest.values()])


def _quote_on(session: Session, one: Incoming) -> None:
    """Keep a valuation that somebody may wait for, and quote on it."""
    event: CarbonAssetValued = one.event
    with one.cause(session):
        if session.scalar(_KEEP.values(_row(event)).returning(table_of(Valuation).c.version)) is None:
            log.info("an older valuation is passed over", asset=str(event.asset_id), version=event.version)
            return
        for _ in watchers.each(session, event.asset_id):
            covers.quote_waiting(session, event.asset_id)


def _row(event: CarbonAssetValued) -> dict[str, Any]:
    value = event.present_value
    return {
        "asset_id": event.asset_id,
        "version": event.version,
        "valuation_id": event.valuation_id,
        "as_of": event.as_of,
        "valid_until": event.valid_until,
        "county": event.county,
        "area_ha": event.area_ha,
        "hazards": {peril: str(score) for peril, score in event.hazards.items()},
        "present_value": {name: str(getattr(value, name)) for name in ("mean", "p05", "p10", "p50", "p90", "p95")},
        "species": [{"species": one.species, "share": str(one.share)} for one in event.species],
        "spot_price": event.spot_price,
        "units": event.units.free + event.units.pledged,
        "title_until": event.title_until,
        "longitude": event.longitude,
        "latitude": event.latitude,
        "received_at": clock.now(),
    }

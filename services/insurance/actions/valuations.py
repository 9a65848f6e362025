"""The insurer's own copies of the register's valuations."""

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.insurance.actions import covers
from services.insurance.tables import Valuation, lock_assets
from shared import clock, watchers
from shared.events.sink import CarbonAssetValued

log = structlog.get_logger(__name__)


def remember_valuation(session: Session, event: CarbonAssetValued) -> None:
    """Keep a forest's latest valuation, pass over an older one, and quote whoever waited for it."""
    lock_assets(session, [event.asset_id])
    value = event.present_value
    statement = insert(Valuation).values(
        asset_id=event.asset_id,
        version=event.version,
        valuation_id=event.valuation_id,
        as_of=event.as_of,
        valid_until=event.valid_until,
        county=event.county,
        area_ha=event.area_ha,
        hazards={peril: str(score) for peril, score in event.hazards.items()},
        present_value={name: str(getattr(value, name)) for name in ("mean", "p05", "p10", "p50", "p90", "p95")},
        species=[{"species": one.species, "share": str(one.share)} for one in event.species],
        spot_price=event.spot_price,
        units=event.units.free + event.units.pledged,
        title_until=event.title_until,
        longitude=event.longitude,
        latitude=event.latitude,
        received_at=clock.now(),
    )
    newer = {column.name: statement.excluded[column.name] for column in Valuation.__table__.columns}
    kept = session.scalar(
        statement.on_conflict_do_update(
            index_elements=["asset_id"], set_=newer, where=Valuation.version < statement.excluded.version
        ).returning(Valuation.version)
    )
    if kept is None:
        log.info("an older valuation is passed over", asset=str(event.asset_id), version=event.version)
        return
    for _ in watchers.each(session, event.asset_id):
        covers.quote_waiting(session, event.asset_id)

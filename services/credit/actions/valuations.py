"""Credit's own copies of the register's valuations: only the latest of each asset counts."""

from decimal import Decimal

import structlog
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.credit.actions import watching
from services.credit.tables import Valuation
from shared import clock
from shared.events.base import encode
from shared.events.sink import CarbonAssetValued, CreditsIssued, CreditsRetired

log = structlog.get_logger(__name__)


def remember_valuation(session: Session, event: CarbonAssetValued) -> None:
    """Keep a valuation unless a later one is known, then test every bank's covenants on the asset."""
    data = encode(event)
    values = {
        "asset_id": event.asset_id,
        "valuation_id": event.valuation_id,
        "version": event.version,
        "as_of": event.as_of,
        "valid_until": event.valid_until,
        "methodology": event.methodology[:200],
        "county": event.county,
        "area_ha": event.area_ha,
        "longitude": event.longitude,
        "latitude": event.latitude,
        "title_until": event.title_until,
        "crediting_until": event.crediting_until,
        "species": data["species"],
        "hazards": data["hazards"],
        "removals": data["removals"],
        "forecast_tonnes": sum((removal.mean for removal in event.removals), start=Decimal(0)),
        "free_tonnes": event.units.free,
        "pledged_tonnes": event.units.pledged,
        "price_curve": event.price_curve,
        "spot_price": event.spot_price,
        "liquidity_haircut": event.liquidity_haircut,
        "inputs_hash": event.inputs_hash,
        "parameters_hash": event.parameters_hash,
        "unverified_parameters": list(event.unverified_parameters),
        "received_at": clock.now(),
        **{f"pv_{name}": getattr(event.present_value, name) for name in ("mean", "p05", "p10", "p50", "p90", "p95")},
    }
    statement = insert(Valuation).values(values)
    kept = session.execute(
        statement.on_conflict_do_update(
            index_elements=["asset_id"],
            set_={name: statement.excluded[name] for name in values if name != "asset_id"},
            where=Valuation.version < statement.excluded.version,
        ).returning(Valuation.version)
    ).first()
    if kept is None:
        log.info("an older valuation", asset=str(event.asset_id), version=event.version)
        return
    watching.watch_asset(session, event.asset_id)


def remember_issuance(session: Session, event: CreditsIssued | CreditsRetired) -> None:
    """Keep how many issued units an asset has; of one that was never valued nothing is kept, so they stay forecast."""
    change = event.tonnes if isinstance(event, CreditsIssued) else -event.tonnes
    session.execute(
        update(Valuation)
        .where(Valuation.asset_id == event.asset_id)
        .values(issued_tonnes=func.greatest(0, Valuation.issued_tonnes + change))
    )

"""Credit's own copies of the register's valuations: only the latest of each asset counts."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.credit.actions import watching
from services.credit.tables import Valuation, loans_between
from shared import clock, watchers
from shared.db import acting_for
from shared.events.base import encode
from shared.events.sink import CarbonAssetValued, CreditsIssued, CreditsRetired
from shared.inbox import Incoming

log = structlog.get_logger(__name__)


def remember_valuations(session: Session, many: Sequence[Incoming]) -> None:
    """Keep the valuations that are later than what is known, and test every bank's covenants on their assets."""
    for part in _apart(session, many):
        by_asset = {one.event.asset_id: one for one in part}
        statement = insert(Valuation)
        kept = session.scalars(
            statement.on_conflict_do_update(
                index_elements=["asset_id"],
                set_={name: statement.excluded[name] for name in _values(part[0].event) if name != "asset_id"},
                where=Valuation.version < statement.excluded.version,
            ).returning(Valuation.asset_id),
            [_values(one.event) for one in part],
        ).all()
        for asset_id in set(by_asset).difference(kept):
            log.info("an older valuation", asset=str(asset_id), version=by_asset[asset_id].event.version)
        watching.watch_assets(session, {asset_id: by_asset[asset_id] for asset_id in kept})


def _apart(session: Session, many: Sequence[Incoming]) -> Iterator[Sequence[Incoming]]:
    """Events in order, in parts in which none tests a loan that another of the part tests.

    A loan on two forests is tested with the first one's new value before the second one's comes, as it would be if they
    came alone: between the two it may be called.
    """
    if len(many) == 1:
        yield many
        return
    between: dict[UUID, set[UUID]] = {one.event.asset_id: set() for one in many}
    for bank, assets in watchers.banks(session, between).items():
        with acting_for(session, bank):
            for loan_id, under in loans_between(session, assets).items():
                for asset_id in under:
                    between[asset_id].add(loan_id)
    part: list[Incoming] = []
    taken: set[UUID] = set()
    for one in many:
        touched = {one.event.asset_id} | between[one.event.asset_id]
        if part and not taken.isdisjoint(touched):
            yield part
            part, taken = [], set()
        part.append(one)
        taken |= touched
    yield part


def _values(event: CarbonAssetValued) -> dict[str, Any]:
    """A valuation as our row of it."""
    data = encode(event)
    return {
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


def remember_issuance(session: Session, event: CreditsIssued | CreditsRetired) -> None:
    """Keep how many issued units an asset has; of one that was never valued nothing is kept, so they stay forecast."""
    change = event.tonnes if isinstance(event, CreditsIssued) else -event.tonnes
    session.execute(
        update(Valuation)
        .where(Valuation.asset_id == event.asset_id)
        .values(issued_tonnes=func.greatest(0, Valuation.issued_tonnes + change))
    )

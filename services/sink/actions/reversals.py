"""Reversals: a fire, a pest or a storm takes carbon from forests; each is valued anew in the same transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.replacements import cover_reversal, lock_pools
from services.sink.actions.valuations import (
    Basis,
    basis,
    derive,
    enter_valuation,
    inputs_of,
    live_stock,
    present_value,
    valued,
)
from services.sink.formulas.reversal import carbon_lost_to_air, live_biomass_lost
from services.sink.tables import Asset, Reversal, latest_valuation, locked_in_order
from shared import audit, clock, outbox
from shared.db import tenant
from shared.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from shared.events.base import encode
from shared.events.sink import PresentValue, ReversalReported
from shared.ids import uuid7
from shared.strict_json import canonical

#: Digits of a share of a stand.
_SHARE = Decimal("0.00000001")
_TONNES = Decimal("0.001")
_HECTARES = Decimal("0.0001")


@dataclass(frozen=True)
class Loss:
    """How hard one asset was hit: the share of the live biomass lost on the damaged ground; all of it if not said."""

    asset_id: UUID
    severity: Decimal
    damaged_ha: Decimal | None = None


@dataclass(frozen=True)
class Event:
    """What happened, once, to one or many assets."""

    id: UUID
    peril: str
    occurred_on: date
    #: Area of the whole event, forests of others included; the sum of the damage if not said.
    area_ha: Decimal | None
    #: Whether care would have prevented it; by the peril if not said.
    avoidable: bool | None = None


def report_reversal(
    session: Session,
    peril: str,
    occurred_on: date,
    event_area_ha: Decimal | None,
    losses: Sequence[Loss],
    *,
    avoidable: bool | None = None,
) -> list[Reversal]:
    """Report an event and the assets it hit: all of them, in one transaction, or none."""
    by_asset = {loss.asset_id: loss for loss in losses}
    if len(by_asset) != len(losses):
        raise InvalidError("an asset stands twice in the list", errors=[{"pointer": "/assets", "detail": "twice"}])
    assets = locked_in_order(session, select(Asset).where(Asset.id.in_(by_asset)))
    missing = sorted(set(by_asset) - {asset.id for asset in assets})
    if missing:
        raise NotFoundError(f"no asset has the id {missing[0]}")
    if any(asset.registrar != tenant(session) for asset in assets):
        raise ForbiddenError("only the registrar of an asset may report a reversal")
    for asset in assets:
        if occurred_on < asset.measured_on:
            raise InvalidError(f"asset {asset.id} was measured after the event: the measurement shows its loss already")
    event = Event(uuid7(), peril, occurred_on, event_area_ha, avoidable)
    return _report(session, event, [(asset, by_asset[asset.id]) for asset in assets])


def report_county_reversal(
    session: Session,
    peril: str,
    occurred_on: date,
    event_area_ha: Decimal | None,
    county: str,
    severity: Decimal,
    *,
    avoidable: bool | None = None,
) -> list[Reversal]:
    """Report an event that hit every forest of a county in the caller's register alike."""
    assets = locked_in_order(session, _standing(session, occurred_on).where(Asset.county == county))
    if not assets:
        raise ConflictError("no forest of this county stood in the register on that day")
    event = Event(uuid7(), peril, occurred_on, event_area_ha, avoidable)
    return _report(session, event, [(asset, Loss(asset.id, severity)) for asset in assets])


def report_polygon_reversal(
    session: Session,
    peril: str,
    occurred_on: date,
    polygon: Mapping[str, Any],
    severity: Decimal,
    *,
    avoidable: bool | None = None,
) -> list[Reversal]:
    """Report an event drawn on the map: each forest of the caller's register is damaged where the event lies on it."""
    ground = geometry.parcel(polygon, PARAMETERS.at(clock.today()))
    west, south, east, north = ground.bounds
    touching = _standing(session, occurred_on).where(
        Asset.min_longitude < east, Asset.max_longitude > west, Asset.min_latitude < north, Asset.max_latitude > south
    )
    hit = []
    for asset in locked_in_order(session, touching):
        shared_ha = geometry.overlap_m2(ground, geometry.stored_parcel(asset.geometry)) / geometry.M2_PER_HA
        damaged_ha = min(asset.area_ha, _hectares(shared_ha))
        if damaged_ha > 0:
            hit.append((asset, Loss(asset.id, severity, damaged_ha)))
    if not hit:
        raise ConflictError("no forest of the register stood on this ground on that day")
    damaged = sum((loss.damaged_ha or Decimal(0) for _, loss in hit), Decimal(0))
    # Parcels may overlap by a border's width: an event is never smaller than the damage it did.
    area_ha = max(_hectares(ground.area_m2 / geometry.M2_PER_HA), damaged)
    return _report(session, Event(uuid7(), peril, occurred_on, area_ha, avoidable), hit)


def _standing(session: Session, on: date) -> Select[Asset]:
    """Forests of the caller's register that stood on a day and whose measurement does not show its loss already."""
    return select(Asset).where(
        Asset.registrar == tenant(session), Asset.kind == "forest", Asset.measured_on <= on, Asset.live_share > 0
    )


def _hectares(area: float) -> Decimal:
    return Decimal(repr(area)).quantize(_HECTARES)


def _report(session: Session, event: Event, hit: Sequence[tuple[Asset, Loss]]) -> list[Reversal]:
    today = clock.today()
    if event.occurred_on > today:
        raise InvalidError("the event lies in the future", errors=[{"pointer": "/occurred_on", "detail": "future"}])
    damaged = [loss.damaged_ha if loss.damaged_ha is not None else asset.area_ha for asset, loss in hit]
    for (asset, _), area in zip(hit, damaged, strict=True):
        if area > asset.area_ha:
            raise InvalidError(f"asset {asset.id} has {asset.area_ha} ha; {area} ha of it cannot be damaged")
    total = sum(damaged, Decimal(0))
    area_of_event = event.area_ha if event.area_ha is not None else total
    if area_of_event < total:
        raise InvalidError("the event is smaller than the damage it did", errors=[_EVENT_AREA])
    lock_pools(session, [asset for asset, _ in hit])
    on = basis(session, tenant(session))
    rows = [
        _report_one(session, event, area_of_event, asset, loss.severity, area, on)
        for (asset, loss), area in zip(hit, damaged, strict=True)
    ]
    session.flush()
    return rows


_EVENT_AREA = {"pointer": "/event_area_ha", "detail": "smaller than the damaged areas together"}


def _report_one(
    session: Session,
    event: Event,
    event_area_ha: Decimal,
    asset: Asset,
    severity: Decimal,
    damaged_ha: Decimal,
    on: Basis,
) -> Reversal:
    # Both values are of today's market and coefficients, so that their difference is the event's alone.
    before_inputs = inputs_of(asset, on)
    before = _value_before(session, asset, before_inputs)
    damaged_share = float(damaged_ha / asset.area_ha)
    lost = float(live_biomass_lost(live_stock(before_inputs) * damaged_share, float(severity)))
    emitted = carbon_lost_to_air(lost, on.p["reversal.emitted_share"][event.peril])
    survivors = 1 - severity * damaged_ha / asset.area_ha
    asset.live_share = max(Decimal(0), (asset.live_share * survivors).quantize(_SHARE))
    reversal_id = uuid7()
    valuation = enter_valuation(session, asset, "reversal", on)
    told = ReversalReported(
        asset_id=asset.id,
        reversal_id=reversal_id,
        peril=event.peril,  # type: ignore[arg-type]
        occurred_on=event.occurred_on,
        county=asset.county,
        severity=severity,
        damaged_ha=damaged_ha,
        event_area_ha=event_area_ha,
        live_carbon_lost=Decimal(str(round(lost, 3))).quantize(_TONNES),
        carbon_emitted=Decimal(str(round(float(emitted), 3))).quantize(_TONNES),
        value_before=before,
        value_after=PresentValue(**valuation.present_value),
    )
    values = encode(told)
    row = Reversal(
        id=reversal_id,
        event_id=event.id,
        asset_id=asset.id,
        registrar=asset.registrar,
        peril=event.peril,
        occurred_on=event.occurred_on,
        county=asset.county,
        severity=severity,
        avoidable=event.peril in on.p["reversal.avoidable"] if event.avoidable is None else event.avoidable,
        damaged_ha=damaged_ha,
        event_area_ha=event_area_ha,
        live_carbon_lost=told.live_carbon_lost,
        carbon_emitted=told.carbon_emitted,
        value_before=values["value_before"],
        value_after=values["value_after"],
        before_inputs=canonical(before_inputs).decode(),
        valuation_version=valuation.version,
        reported_at=clock.now(),
    )
    session.add(row)
    # The loss first, then what is left: whoever reads in order knows why the value moved.
    outbox.put(session, told)
    outbox.put(session, valued(asset, valuation))
    audit.record(session, "report_reversal", asset.id, reversal=str(row.id), peril=event.peril, severity=str(severity))
    session.flush()
    cover_reversal(session, asset, row, json.loads(valuation.inputs))
    return row


def _value_before(session: Session, asset: Asset, inputs: Mapping[str, Any]) -> PresentValue:
    """Value of the asset today had nothing happened; the valuation in force says so if it had the same inputs."""
    latest = latest_valuation(session, asset)
    if latest is not None and latest.inputs == canonical(inputs).decode():
        return PresentValue(**latest.present_value)
    return present_value(derive(inputs))

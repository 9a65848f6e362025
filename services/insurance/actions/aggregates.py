"""Aggregates: what is insured within a distance, in a zone, with a bank or a guarantor, and limits that refuse.

One transaction of an insurer at a time judges aggregates, so two covers never pass a limit side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.insurance.accumulation.simulation import KM
from services.insurance.actions import reasons
from services.insurance.tables import (
    AggregateLimit,
    Cover,
    Policy,
    PolicyAsset,
    Valuation,
    latest_valuations,
)
from shared import audit, clock
from shared.db import tenant
from shared.errors import InvalidError
from shared.events.parts import Reason
from shared.ids import uuid7

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """A forest that is insured or to be, with whom."""

    asset_id: UUID
    sum_insured: Decimal
    bank: str
    guarantor: str
    #: Longitude and latitude, if the register has told. [degrees]
    place: tuple[float, float] | None


def set_limit(session: Session, given: Mapping[str, Any], maker: str) -> AggregateLimit:
    """Set or change a limit; what is carried above it already stays, and nothing is added to it."""
    kind, radius, outline = given["kind"], given["radius_km"], given["outline"]
    if (kind == "ring") != (radius is not None):
        raise InvalidError("a ring, and nothing else, has a radius", errors=[_at("/radius_km", "Of a ring only.")])
    if (kind == "zone") != (outline is not None):
        raise InvalidError("a zone, and nothing else, has an outline", errors=[_at("/outline", "Of a zone only.")])
    if outline is not None:
        if any(abs(latitude) > 90 for _, latitude in outline):
            raise InvalidError(
                "an outline lies beyond a pole", errors=[_at("/outline", "A latitude is a value from -90 to 90.")]
            )
        zone = shapely.Polygon(outline)
        if not zone.is_valid or zone.area == 0:
            raise InvalidError("this outline is no area", errors=[_at("/outline", "Crosses itself, or has no area.")])
    _lock(session)
    row = session.scalars(
        select(AggregateLimit).where(AggregateLimit.kind == kind, AggregateLimit.name == given["name"])
    ).one_or_none()
    if row is None:
        row = AggregateLimit(id=uuid7(), institution=tenant(session), kind=kind, name=given["name"])
        session.add(row)
    row.cap, row.radius_km, row.outline, row.set_by, row.set_at = given["cap"], radius, outline, maker, clock.now()
    audit.record(session, "set_aggregate_limit", row.id, kind=kind, name=row.name, cap=str(row.cap))
    session.flush()
    return row


def against(session: Session, joining: Sequence[Forest], leaving: UUID | None = None) -> list[Reason]:
    """Every limit that these forests would exceed beside what is in force, `leaving` being the policy they replace."""
    _lock(session)
    limits = session.scalars(select(AggregateLimit).order_by(AggregateLimit.kind, AggregateLimit.name)).all()
    if not limits:
        return []
    carried = insured(session, leaving)
    found = []
    for limit in limits:
        if limit.kind in ("ring", "zone") and any(one.place is None for one in joining):
            found.append(reasons.place_unknown(limit.name))
            continue
        taken, whole = _taken(limit, carried, joining)
        if whole > taken and whole > limit.cap:
            found.append(reasons.aggregate_exceeded(limit.kind, limit.name, whole, limit.cap))
    return found


def insured(session: Session, leaving: UUID | None = None) -> list[Forest]:
    """The forests of all policies that stand or will."""
    query = (
        select(PolicyAsset.asset_id, PolicyAsset.sum_insured - PolicyAsset.claimed, Policy.bank, Cover.guarantor)
        .join(Policy, Policy.id == PolicyAsset.policy_id)
        .join(Cover, Cover.id == Policy.cover_id)
        .where(Policy.state != "ended", Policy.ends_on > clock.today())
        .order_by(PolicyAsset.asset_id, Policy.id)
    )
    rows = session.execute(query if leaving is None else query.where(Policy.id != leaving)).all()
    valuations = latest_valuations(session, (row[0] for row in rows))
    return [Forest(a, s, bank, g or "", place_of(valuations.get(a))) for a, s, bank, g in rows]


def place_of(valuation: Valuation | None) -> tuple[float, float] | None:
    """Where a forest is, if the register has told."""
    if valuation is None or valuation.longitude is None or valuation.latitude is None:
        return None
    return float(valuation.longitude), float(valuation.latitude)


def carried_under(session: Session) -> list[dict[str, Any]]:
    """Each limit, and what stands against it; of a ring, around the forest where that is most."""
    carried = insured(session)
    limits = session.scalars(select(AggregateLimit).order_by(AggregateLimit.kind, AggregateLimit.name)).all()
    return [
        {"limit": limit, "carried": taken, "room": max(limit.cap - taken, Decimal(0))}
        for limit in limits
        for taken in [_taken(limit, (), carried)[1]]
    ]


def _taken(limit: AggregateLimit, carried: Sequence[Forest], joining: Sequence[Forest]) -> tuple[Decimal, Decimal]:
    """What stands against a limit where it is nearest to it, before and with those that join."""
    if limit.kind == "ring":
        return _in_rings(float(limit.radius_km or 0), carried, joining)
    inside = [_within(limit, one) for one in (*carried, *joining)]
    before = sum((o.sum_insured for o, i in zip(carried, inside, strict=False) if i), Decimal(0))
    more = sum((o.sum_insured for o, i in zip(joining, inside[len(carried) :], strict=True) if i), Decimal(0))
    return before, before + more


def _within(limit: AggregateLimit, one: Forest) -> bool:
    if limit.kind == "zone":
        return one.place is not None and bool(shapely.intersects_xy(shapely.Polygon(limit.outline), *one.place))
    return (one.bank if limit.kind == "bank" else one.guarantor) == limit.name


def _in_rings(radius_km: float, carried: Sequence[Forest], joining: Sequence[Forest]) -> tuple[Decimal, Decimal]:
    """The fullest ring around any forest that one of those who join lies in, without and with them."""
    placed = [one for one in (*carried, *joining) if one.place is not None]
    new = np.array([number >= len(placed) - len([j for j in joining if j.place]) for number in range(len(placed))])
    if not new.any():
        return Decimal(0), Decimal(0)
    longitude, latitude = np.array([one.place for one in placed], dtype=np.float64).T
    # Whole fen, so that sums are exact.
    sums = np.array([int(one.sum_insured * 100) for one in placed], dtype=np.int64)
    worst, before = 0, 0
    for centre in range(len(placed)):
        inside = _distances_km(longitude[centre], latitude[centre], longitude, latitude) <= radius_km
        total = int(sums[inside].sum())
        if (inside & new).any() and total > worst:
            worst, before = total, int(sums[inside & ~new].sum())
    return Decimal(before) / 100, Decimal(worst) / 100


def _distances_km(longitude: float, latitude: float, longitudes: Floats, latitudes: Floats) -> Floats:
    """Distances on the sphere, for those so near that it is flat."""
    across = (longitudes - longitude) * np.cos(np.radians((latitudes + latitude) / 2))
    return np.asarray(KM * np.hypot(across, latitudes - latitude))


def _lock(session: Session) -> None:
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"aggregates/{tenant(session)}", 0))))


def _at(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}

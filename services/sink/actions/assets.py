"""The register: a forest goes in once, with its ground, its trees and its papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, column, select, values
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, INTEGER
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.geometry import M2_PER_HA, Parcel
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.valuations import basis, species_shares, value_assets
from services.sink.formulas.growth import locality_excess
from services.sink.tables import Asset
from shared import audit, clock, outbox
from shared.db import tenant
from shared.errors import ConflictError, InvalidError, RefusalError
from shared.events.sink import AssetRegistered
from shared.ids import uuid7
from shared.parameters import InForce

#: Registrations queue up on this, so that two of them cannot claim the same ground at once.
_REGISTER_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sink.register'))"
#: Up to this year the programme asks for the greater smallest plot.
_OLDER_PROJECTS = 2019


class OverlapError(ConflictError):
    """The ground is taken; whose it is stays unsaid."""

    kind, title = "overlap", "The parcel overlaps another one"


@dataclass(frozen=True)
class AssetFacts:
    """What a registrar says about a forest; area, extent and centre follow from its polygon."""

    name: str
    kind: str
    programme: str
    county: str
    geometry: Mapping[str, Any]
    species: Sequence[Mapping[str, Any]]
    planted_year: int
    survival: Decimal
    title_until: date
    crediting_until: date
    reference: str | None = None
    crediting_from: date | None = None
    measured_on: date | None = None
    volume_m3_ha: Decimal | None = None
    crown_cover: Decimal | None = None
    sampling_uncertainty: Decimal | None = None
    project_area_ha: Decimal | None = None
    hazards: Mapping[str, Decimal] | None = None


def register_asset(session: Session, facts: AssetFacts) -> Asset:
    """Enter one forest into the caller's register, or refuse it with the field that is wrong."""
    (entered,) = register_assets(session, [facts])
    if isinstance(entered, RefusalError):
        raise entered
    session.flush()
    return entered


def register_assets(session: Session, many: Sequence[AssetFacts]) -> list[Asset | RefusalError]:
    """Enter forests into the caller's register; what cannot go in is refused one by one and leaves no trace."""
    p = PARAMETERS.at(clock.today())
    entered: list[Asset | RefusalError] = []
    session.connection().exec_driver_sql(_REGISTER_LOCK)
    parcels: dict[int, Parcel] = {}
    refusals: dict[int, RefusalError] = {}
    for number, facts in enumerate(many):
        try:
            parcels[number] = _checked(facts, p)
        except RefusalError as error:
            refusals[number] = error
    known = _known_references(session, [facts.reference for facts in many if facts.reference])
    taken = _overlapping_the_register(session, parcels, p)
    numbers = list(parcels)
    earlier = dict(zip(numbers, geometry.neighbours([parcels[n] for n in numbers]), strict=True))
    accepted: set[int] = set()
    for number, facts in enumerate(many):
        refusal = refusals.get(number)
        if refusal is None and facts.reference in known:
            refusal = ConflictError(f"the reference {facts.reference} is in the register already", errors=[_REFERENCE])
        if refusal is None and (number in taken or _overlaps(number, earlier, numbers, accepted, parcels, p)):
            refusal = OverlapError("the polygon overlaps ground that is in the register already", errors=[_GEOMETRY])
        if refusal is not None:
            entered.append(refusal)
            continue
        accepted.add(number)
        if facts.reference:
            known.add(facts.reference)
        entered.append(_enter(session, facts, parcels[number], p))
    return entered


def import_assets(session: Session, many: Sequence[AssetFacts]) -> list[Asset | RefusalError]:
    """Enter forests and value each at once; one that cannot be valued stays registered, without a valuation."""
    entered = register_assets(session, many)
    forests = [one for one in entered if isinstance(one, Asset)]
    value_assets(session, forests, "registration", basis(session, tenant(session)))
    return entered


_REFERENCE = {"pointer": "/reference", "detail": "in the register already"}
_GEOMETRY = {"pointer": "/geometry", "detail": "overlaps ground that is in the register already"}


def _checked(facts: AssetFacts, p: InForce) -> Parcel:
    """Read the ground and see that the facts can be true."""
    today = clock.today()
    parcel = geometry.parcel(facts.geometry)
    smallest = p["eligibility.smallest_plot"]
    least = smallest["started_2019_or_earlier" if facts.planted_year <= _OLDER_PROJECTS else "general"]
    if parcel.area_m2 < least:
        raise _invalid(
            "/geometry", f"the parcel has {parcel.area_m2:.0f} m2; the programme asks for {least} m2 at least"
        )
    if parcel.area_m2 > p["register.largest_parcel"] * M2_PER_HA:
        raise _invalid(
            "/geometry", f"the parcel is greater than {p['register.largest_parcel']} ha; is the scale right?"
        )
    if facts.kind == "forest" and not facts.species:
        raise _invalid("/species", "a forest has at least one species")
    if facts.species and sum(share["share"] for share in facts.species) != 1:
        raise _invalid("/species", "the shares of a mix sum to 1")
    if len({share["species"] for share in facts.species}) != len(facts.species):
        raise _invalid("/species", "each species stands once in a mix")
    routes = {p[f"species.{share['species']}"]["route"] for share in facts.species}
    if "crown_cover" in routes and facts.crown_cover is None:
        raise _invalid("/crown_cover", "shrubs are measured by their crown cover")
    if facts.planted_year > today.year:
        raise _invalid("/planted_year", "lies in the future")
    if facts.survival <= 0:
        raise _invalid("/survival", "nothing that stands can be registered")
    if (facts.measured_on or today) > today:
        raise _invalid("/measured_on", "lies in the future")
    if facts.measured_on and facts.measured_on.year < facts.planted_year:
        raise _invalid("/measured_on", "lies before the planting")
    if facts.title_until <= today:
        raise _invalid("/title_until", "the title has ended")
    if facts.crediting_until <= max(today, facts.crediting_from or today):
        raise _invalid("/crediting_until", "the crediting period has ended or ends before it begins")
    if facts.crediting_from and facts.crediting_from.year < facts.planted_year:
        raise _invalid("/crediting_from", "lies before the planting")
    if facts.project_area_ha is not None and float(facts.project_area_ha) * M2_PER_HA < parcel.area_m2 * 0.999:
        raise _invalid("/project_area_ha", "a project is no smaller than its parcel")
    return parcel


def _known_references(session: Session, references: Sequence[str]) -> set[str | None]:
    if not references:
        return set()
    mine = select(Asset.reference).where(Asset.registrar == tenant(session), Asset.reference.in_(references))
    return set(session.scalars(mine))


def _overlapping_the_register(session: Session, parcels: Mapping[int, Parcel], p: InForce) -> set[int]:
    """Which parcels share more ground with the register than a common border explains."""
    if not parcels:
        return set()
    # One statement for all: the extents of the newcomers joined with those of the register.
    extents = values(
        column("number", INTEGER),
        *(column(side, DOUBLE_PRECISION) for side in ("west", "south", "east", "north")),
        name="extents",
    ).data([(number, *parcel.bounds) for number, parcel in parcels.items()])
    touching = select(extents.c.number, Asset.geometry).join(
        Asset,
        and_(
            Asset.min_longitude < extents.c.east,
            Asset.max_longitude > extents.c.west,
            Asset.min_latitude < extents.c.north,
            Asset.max_latitude > extents.c.south,
        ),
    )
    found: set[int] = set()
    for number, stored in session.execute(touching):
        if number not in found and _too_much(parcels[number], geometry.stored_parcel(stored), p):
            found.add(number)
    return found


def _overlaps(
    number: int,
    earlier: Mapping[int, set[int]],
    numbers: Sequence[int],
    accepted: set[int],
    parcels: Mapping[int, Parcel],
    p: InForce,
) -> bool:
    """Whether a parcel overlaps one that was accepted just before it."""
    others = (numbers[position] for position in earlier[number])
    return any(other in accepted and _too_much(parcels[number], parcels[other], p) for other in others)


def _too_much(one: Parcel, other: Parcel, p: InForce) -> bool:
    tolerance = p["register.overlap"]
    allowed = max(tolerance["area_m2"], tolerance["share"] * min(one.area_m2, other.area_m2))
    return bool(geometry.overlap_m2(one, other) > allowed)


def _enter(session: Session, facts: AssetFacts, parcel: Parcel, p: InForce) -> Asset:
    today = clock.today()
    west, south, east, north = parcel.bounds
    longitude, latitude = (Decimal(str(round(degrees, 6))) for degrees in parcel.centre)
    crediting_from = facts.crediting_from or today
    asset = Asset(
        id=uuid7(),
        registrar=tenant(session),
        reference=facts.reference,
        name=facts.name,
        kind=facts.kind,
        programme=facts.programme,
        county=facts.county,
        geometry=parcel.geojson(),
        min_longitude=west,
        min_latitude=south,
        max_longitude=east,
        max_latitude=north,
        longitude=longitude,
        latitude=latitude,
        area_ha=Decimal(str(round(parcel.area_m2 / M2_PER_HA, 4))),
        species=[{"species": share["species"], "share": format(share["share"], "f")} for share in facts.species],
        planted_year=facts.planted_year,
        survival=facts.survival,
        volume_m3_ha=facts.volume_m3_ha,
        crown_cover=facts.crown_cover,
        sampling_uncertainty=facts.sampling_uncertainty,
        measured_on=facts.measured_on or today,
        project_area_ha=facts.project_area_ha,
        hazards={peril: format(score, "f") for peril, score in (facts.hazards or {}).items()},
        title_until=facts.title_until,
        crediting_from=crediting_from,
        crediting_until=facts.crediting_until,
        flags=_flags(facts, p),
        live_share=Decimal(1),
        verified_on=crediting_from,
        verified_live_share=Decimal(1),
        valuation_version=0,
        forecast_tonnes=Decimal(0),
        pledged_tonnes=Decimal(0),
        enforced_tonnes=Decimal(0),
        issued_tonnes=Decimal(0),
        retired_tonnes=Decimal(0),
        over_pledged=False,
        last_rank=0,
        registered_at=clock.now(),
    )
    session.add(asset)
    outbox.put(
        session,
        AssetRegistered(
            asset_id=asset.id,
            name=asset.name,
            kind=asset.kind,  # type: ignore[arg-type]
            county=asset.county,
            area_ha=asset.area_ha,
            species=species_shares(asset),
            planted_year=asset.planted_year,
            longitude=asset.longitude,
            latitude=asset.latitude,
            title_until=asset.title_until,
            crediting_until=asset.crediting_until,
        ),
    )
    audit.record(session, "register_asset", asset.id, area_ha=str(asset.area_ha), county=asset.county)
    return asset


def _flags(facts: AssetFacts, p: InForce) -> list[str]:
    """What a person should look at before anybody lends on this forest; none of it decides anything."""
    flags = []
    volume = facts.volume_m3_ha
    if volume is not None and float(locality_excess(float(volume), p["locality.plausible_volume"])) > 0:
        flags.append("volume_above_plausible")
    if any(p[f"species.{share['species']}"]["possibly_economic_forest"] for share in facts.species):
        flags.append("possibly_economic_forest")
    if float(facts.survival) < p["survival.qualifying"]["arid"]:
        flags.append("survival_below_threshold")
    if facts.title_until < facts.crediting_until:
        flags.append("title_ends_before_crediting")
    return flags


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])

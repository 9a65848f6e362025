"""The register: a forest goes in once, with its ground, its trees and its papers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, column, select, values
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, INTEGER
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.geometry import M2_PER_HA, Parcel
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.valuations import basis, species_shares, value_assets
from services.sink.formulas.growth import locality_excess
from services.sink.formulas.parcels import planting_density, tolerated_overlap
from services.sink.tables import Asset, AssetImportParcel, Planting
from shared import audit, clock, outbox
from shared.db import tenant
from shared.errors import ConflictError, InvalidError, RefusalError
from shared.events.sink import AssetRegistered
from shared.ids import uuid7
from shared.parameters import InForce

#: Registrations queue up on this, so that two of them cannot claim the same ground at once.
_REGISTER_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sink.register'))"
#: A resident's identity number: region, day of birth, order, check digit. No person is named in the register.
_IDENTITY_NUMBER = re.compile(r"[1-9][0-9]{5}(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]")
#: Up to this year the programme asks for the greater smallest plot.
_OLDER_PROJECTS = 2019


class OverlapError(ConflictError):
    """The ground is taken; whose it is stays unsaid."""

    kind, title = "overlap", "The parcel overlaps another one"


class KnownError(ConflictError):
    """The reference is in the caller's register already; `same` says whether it stands for the same ground."""

    def __init__(self, detail: str, *, same: bool) -> None:
        super().__init__(detail, errors=[_REFERENCE])
        self.same = same


_REFERENCE = {"pointer": "/reference", "detail": "in the register already"}
_GEOMETRY = {"pointer": "/geometry", "detail": "overlaps ground that is in the register already"}


@dataclass(frozen=True)
class AssetFacts:
    """What a registrar says about a forest; area, extent and centre follow from its polygon.

    `owner` is a key into the registrar's own files: personal data stays there.
    """

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
    title_kind: str | None = None
    title_number: str | None = None
    owner: str | None = None
    row_spacing_m: Decimal | None = None
    plant_spacing_m: Decimal | None = None
    site_class: str | None = None
    elevation_m: int | None = None
    slope_degrees: int | None = None


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
    lock_register(session)
    return [
        one if isinstance(one, RefusalError) else _enter(session, facts, one, p)
        for facts, one in zip(many, _judged(session, many, p), strict=True)
    ]


def check_assets(session: Session, many: Sequence[AssetFacts], import_id: UUID) -> list[Parcel | RefusalError]:
    """Judge forests as if they were registered behind what this import was found right before; nothing goes in."""
    judged = _judged(session, many, PARAMETERS.at(clock.today()), import_id)
    for facts, one in zip(many, judged, strict=True):
        if isinstance(one, Parcel):
            west, south, east, north = one.bounds
            session.add(
                AssetImportParcel(
                    id=uuid7(),
                    import_id=import_id,
                    institution=tenant(session),
                    reference=facts.reference,
                    geometry=one.geojson(),
                    min_longitude=west,
                    min_latitude=south,
                    max_longitude=east,
                    max_latitude=north,
                )
            )
    return judged


def _judged(
    session: Session, many: Sequence[AssetFacts], p: InForce, import_id: UUID | None = None
) -> list[Parcel | RefusalError]:
    """The ground of each forest that can go in, and of each other why it cannot."""
    parcels: dict[int, Parcel] = {}
    refusals: dict[int, RefusalError] = {}
    for number, facts in enumerate(many):
        try:
            parcels[number] = _checked(facts, p)
        except RefusalError as error:
            refusals[number] = error
    known = _known_references(session, [facts.reference for facts in many if facts.reference], import_id)
    taken = overlapping_the_register(session, parcels, p, import_id)
    numbers = list(parcels)
    earlier = dict(zip(numbers, geometry.neighbours([parcels[n] for n in numbers]), strict=True))
    accepted: set[int] = set()
    judged: list[Parcel | RefusalError] = []
    for number, facts in enumerate(many):
        refusal = refusals.get(number)
        if refusal is None and facts.reference in known:
            refusal = KnownError(
                f"the reference {facts.reference} is in the register already",
                same=known[facts.reference].covers_the_same(parcels[number]),
            )
        if refusal is None and (number in taken or _overlaps(number, earlier, numbers, accepted, parcels, p)):
            refusal = OverlapError("the polygon overlaps ground that is in the register already", errors=[_GEOMETRY])
        if refusal is not None:
            judged.append(refusal)
            continue
        accepted.add(number)
        if facts.reference:
            known[facts.reference] = parcels[number]
        judged.append(parcels[number])
    return judged


def import_assets(session: Session, many: Sequence[AssetFacts]) -> list[Asset | RefusalError]:
    """Enter forests and value each at once; one that cannot be valued stays registered, without a valuation."""
    # First, so that nothing is asked of the database between an asset and its valuation: each is one row to insert.
    on = basis(session, tenant(session))
    entered = register_assets(session, many)
    value_assets(session, [one for one in entered if isinstance(one, Asset)], "registration", on)
    return entered


def least_plot_m2(planted_year: int, p: InForce) -> int:
    """The smallest continuous plot that the programme takes. [m2]"""
    smallest: dict[str, int] = p["eligibility.smallest_plot"]
    return smallest["started_2019_or_earlier" if planted_year <= _OLDER_PROJECTS else "general"]


def _checked(facts: AssetFacts, p: InForce) -> Parcel:
    """Read the ground and see that the facts can be true."""
    today = clock.today()
    parcel = geometry.parcel(facts.geometry, p)
    least = least_plot_m2(facts.planted_year, p)
    if parcel.smallest_part_m2 < least:
        raise _invalid(
            "/geometry",
            f"a continuous plot has {parcel.smallest_part_m2:.0f} m2; the programme asks for {least} m2 at least",
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
    if facts.owner and _IDENTITY_NUMBER.fullmatch(facts.owner):
        raise _invalid("/owner", "looks like a person's identity number; give a key of your own files")
    if (facts.row_spacing_m is None) != (facts.plant_spacing_m is None):
        raise _invalid("/row_spacing_m", "a planting grid has two spacings; give both or none")
    if facts.title_until <= today:
        raise _invalid("/title_until", "the title has ended")
    if facts.crediting_until <= max(today, facts.crediting_from or today):
        raise _invalid("/crediting_until", "the crediting period has ended or ends before it begins")
    if facts.crediting_from and facts.crediting_from.year < facts.planted_year:
        raise _invalid("/crediting_from", "lies before the planting")
    if facts.project_area_ha is not None and float(facts.project_area_ha) * M2_PER_HA < parcel.area_m2 * 0.999:
        raise _invalid("/project_area_ha", "a project is no smaller than its parcel")
    return parcel


def _known_references(session: Session, references: Sequence[str], import_id: UUID | None) -> dict[str | None, Parcel]:
    """Which of the references are in the caller's register already, or were found right by this dry run."""
    if not references:
        return {}
    mine = [
        select(Asset.reference, Asset.geometry).where(
            Asset.registrar == tenant(session), Asset.reference.in_(references)
        )
    ]
    if import_id is not None:
        checked = AssetImportParcel
        mine.append(
            select(checked.reference, checked.geometry).where(
                checked.import_id == import_id, checked.reference.in_(references)
            )
        )
    return {reference: geometry.stored_parcel(stored) for query in mine for reference, stored in session.execute(query)}


def lock_register(session: Session) -> None:
    """Let nobody else enter ground until this transaction ends."""
    session.connection().exec_driver_sql(_REGISTER_LOCK)


def overlapping_the_register(
    session: Session, parcels: Mapping[int, Parcel], p: InForce, import_id: UUID | None = None
) -> set[int]:
    """Which parcels share more ground with the register, or with plantings, than a common border explains.

    Ground that earns credits gives no allowances, and the other way round: one tonne is counted once.
    """
    if not parcels:
        return set()
    found: set[int] = set()
    queries = [_touching(parcels, Asset), _touching(parcels, Planting)]
    if import_id is not None:
        queries.append(_touching(parcels, AssetImportParcel).where(AssetImportParcel.import_id == import_id))
    for query in queries:
        for number, stored in session.execute(query):
            if number not in found and _too_much(parcels[number], geometry.stored_parcel(stored), p):
                found.add(number)
    return found


def _touching(parcels: Mapping[int, Parcel], table: type[Asset | AssetImportParcel | Planting]) -> Select[Any]:
    """One statement for all: the extents of the newcomers joined with those of a table."""
    extents = values(
        column("number", INTEGER),
        *(column(side, DOUBLE_PRECISION) for side in ("west", "south", "east", "north")),
        name="extents",
    ).data([(number, *parcel.bounds) for number, parcel in parcels.items()])
    return select(extents.c.number, table.geometry).join(
        table,
        and_(
            table.min_longitude < extents.c.east,
            table.max_longitude > extents.c.west,
            table.min_latitude < extents.c.north,
            table.max_latitude > extents.c.south,
        ),
    )


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


def same_ground(one: Parcel, other: Parcel) -> bool:
    """Whether two parcels share more ground than a common border explains."""
    return _too_much(one, other, PARAMETERS.at(clock.today()))


def _too_much(one: Parcel, other: Parcel, p: InForce) -> bool:
    tolerance = p["register.overlap"]
    allowed = tolerated_overlap(one.area_m2, other.area_m2, tolerance["share"], tolerance["area_m2"])
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
        title_kind=facts.title_kind,
        title_number=facts.title_number,
        owner=facts.owner,
        row_spacing_m=facts.row_spacing_m,
        plant_spacing_m=facts.plant_spacing_m,
        site_class=facts.site_class,
        elevation_m=facts.elevation_m,
        slope_degrees=facts.slope_degrees,
        crediting_from=crediting_from,
        crediting_until=facts.crediting_until,
        flags=[*_flags(facts, p), *parcel.repairs],
        live_share=Decimal(1),
        verified_on=crediting_from,
        verified_live_share=Decimal(1),
        valuation_version=0,
        forecast_tonnes=Decimal(0),
        pledged_tonnes=Decimal(0),
        enforced_tonnes=Decimal(0),
        issued_tonnes=Decimal(0),
        retired_tonnes=Decimal(0),
        transferred_tonnes=Decimal(0),
        cancelled_tonnes=Decimal(0),
        buffer_tonnes=Decimal(0),
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
    if facts.row_spacing_m is not None and facts.plant_spacing_m is not None:
        density = planting_density(float(facts.row_spacing_m), float(facts.plant_spacing_m), float(facts.survival))
        if float(density) > p["register.dense_planting"]:
            flags.append("planted_too_densely")
    return flags


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])

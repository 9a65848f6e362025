"""The register: a forest goes in once, with its ground, its trees and its papers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Text, cast, select, text
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.geometry import M2_PER_HA, Parcel
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.valuations import Newcomer, age_of, basis, enter_reckoned, reckoned, species_shares
from services.sink.formulas.growth import locality_excess
from services.sink.formulas.parcels import planting_density, tolerated_overlap
from services.sink.formulas.stand import largest_volume
from services.sink.tables import Asset, AssetImportParcel
from services.sink.tables.base import EXTENT
from shared import audit, bulk, clock, outbox
from shared.db import table_of, tenant
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
    p = PARAMETERS.at(clock.today())
    lock_register(session)
    (ground,) = _judged(session, [facts], p)
    if isinstance(ground, RefusalError):
        raise ground
    asset = Asset(**_row(session, facts, ground, p) | {"geometry": ground.geojson()})
    session.add(asset)
    outbox.put(session, _entered(session, asset))
    session.flush()
    return asset


def import_assets(session: Session, many: Sequence[AssetFacts]) -> list[Newcomer | RefusalError]:
    """Enter forests into the caller's register and value each at once, in a handful of statements however many.

    What cannot go in is refused one by one and leaves no trace; one that cannot be valued stays registered, without a
    valuation.
    """
    p = PARAMETERS.at(clock.today())
    lock_register(session)
    judged = [
        ground if isinstance(ground, RefusalError) else Newcomer(**_row(session, facts, ground, p))
        for facts, ground in zip(many, _judged(session, many, p), strict=True)
    ]
    entered = [one for one in judged if isinstance(one, Newcomer)]
    if entered:
        registered = [_entered(session, one) for one in entered]
        valuations = reckoned(session, entered, "registration", basis(session, tenant(session)))
        bulk.insert_mappings(session, table_of(Asset), [vars(one) for one in entered])
        outbox.put_all(session, [*registered, *enter_reckoned(session, entered, valuations)])
    return judged


def check_assets(session: Session, many: Sequence[AssetFacts], import_id: UUID) -> list[Parcel | RefusalError]:
    """Judge forests as if they were registered behind what this import was found right before; nothing goes in."""
    judged = _judged(session, many, PARAMETERS.at(clock.today()), import_id)
    bulk.insert_mappings(
        session,
        table_of(AssetImportParcel),
        [
            {
                "id": uuid7(),
                "import_id": import_id,
                "institution": tenant(session),
                "reference": facts.reference,
                "geometry": one.text,
                **_extent(one),
            }
            for facts, one in zip(many, judged, strict=True)
            if isinstance(one, Parcel)
        ],
    )
    return judged


def _judged(
    session: Session, many: Sequence[AssetFacts], p: InForce, import_id: UUID | None = None
) -> list[Parcel | RefusalError]:
    """The ground of each forest that can go in, and of each other why it cannot."""
    judged: list[Parcel | RefusalError] = []
    for facts, ground in zip(many, geometry.parcels([facts.geometry for facts in many], p), strict=True):
        judged.append((_fault(facts, ground, p) or ground) if isinstance(ground, Parcel) else ground)
    parcels = {number: one for number, one in enumerate(judged) if isinstance(one, Parcel)}
    known = _known_references(session, [facts.reference for facts in many if facts.reference], import_id)
    taken = overlapping_the_register(session, parcels, p, import_id)
    earlier = _overlapping_each_other(parcels, p)
    accepted: set[int] = set()
    for number, ground in parcels.items():
        reference = many[number].reference
        if reference in known:
            judged[number] = KnownError(
                f"the reference {reference} is in the register already",
                same=known[reference].covers_the_same(ground),
            )
        elif number in taken or not accepted.isdisjoint(earlier[number]):
            judged[number] = OverlapError(
                "the polygon overlaps ground that is in the register already", errors=[_GEOMETRY]
            )
        else:
            accepted.add(number)
            if reference:
                known[reference] = ground
    return judged


def least_plot_m2(planted_year: int, p: InForce) -> int:
    """The smallest continuous plot that the programme takes. [m2]"""
    smallest: dict[str, int] = p["eligibility.smallest_plot"]
    return smallest["started_2019_or_earlier" if planted_year <= _OLDER_PROJECTS else "general"]


def _fault(facts: AssetFacts, parcel: Parcel, p: InForce) -> InvalidError | None:
    """What of the facts cannot be true."""
    today = clock.today()
    least = least_plot_m2(facts.planted_year, p)
    if parcel.smallest_part_m2 < least:
        return _invalid(
            "/geometry",
            f"a continuous plot has {parcel.smallest_part_m2:.0f} m2; the programme asks for {least} m2 at least",
        )
    if parcel.area_m2 > p["register.largest_parcel"] * M2_PER_HA:
        return _invalid(
            "/geometry", f"the parcel is greater than {p['register.largest_parcel']} ha; is the scale right?"
        )
    if facts.kind == "forest" and not facts.species:
        return _invalid("/species", "a forest has at least one species")
    if facts.species and sum(share["share"] for share in facts.species) != 1:
        return _invalid("/species", "the shares of a mix sum to 1")
    if len({share["species"] for share in facts.species}) != len(facts.species):
        return _invalid("/species", "each species stands once in a mix")
    routes = {p[f"species.{share['species']}"]["route"] for share in facts.species}
    if "crown_cover" in routes and facts.crown_cover is None:
        return _invalid("/crown_cover", "shrubs are measured by their crown cover")
    if facts.planted_year > today.year:
        return _invalid("/planted_year", "lies in the future")
    if facts.survival <= 0:
        return _invalid("/survival", "nothing that stands can be registered")
    if (facts.measured_on or today) > today:
        return _invalid("/measured_on", "lies in the future")
    if facts.measured_on and facts.measured_on.year < facts.planted_year:
        return _invalid("/measured_on", "lies before the planting")
    if (wrong := _impossible_volume(facts, p)) is not None:
        return _invalid("/volume_m3_ha", wrong)
    if facts.owner and _IDENTITY_NUMBER.fullmatch(facts.owner):
        return _invalid("/owner", "looks like a person's identity number; give a key of your own files")
    if (facts.row_spacing_m is None) != (facts.plant_spacing_m is None):
        return _invalid("/row_spacing_m", "a planting grid has two spacings; give both or none")
    if facts.title_until <= today:
        return _invalid("/title_until", "the title has ended")
    if facts.crediting_until <= max(today, facts.crediting_from or today):
        return _invalid("/crediting_until", "the crediting period has ended or ends before it begins")
    if facts.crediting_from and facts.crediting_from.year < facts.planted_year:
        return _invalid("/crediting_from", "lies before the planting")
    if facts.project_area_ha is not None and float(facts.project_area_ha) * M2_PER_HA < parcel.area_m2 * 0.999:
        return _invalid("/project_area_ha", "a project is no smaller than its parcel")
    return None


def _impossible_volume(facts: AssetFacts, p: InForce) -> str | None:
    """Why no stand of this age has this growing stock; what is only rare is flagged."""
    if facts.volume_m3_ha is None:
        return None
    age = age_of({"planted_year": facts.planted_year}, facts.measured_on or clock.today())
    most = float(largest_volume(age, p["measurement.largest_increment"]))
    if float(facts.volume_m3_ha) <= most:
        return None
    return f"cannot stand at an age of {age:.1f} years; {most:.0f} m3/ha is the most"


def _known_references(session: Session, references: Sequence[str], import_id: UUID | None) -> dict[str | None, Parcel]:
    """Which of the references are in the caller's register already, or were found right by this dry run."""
    if not references:
        return {}
    mine = [
        select(Asset.reference, cast(Asset.geometry, Text)).where(
            Asset.registrar == tenant(session), Asset.reference.in_(references)
        )
    ]
    if import_id is not None:
        checked = AssetImportParcel
        mine.append(
            select(checked.reference, cast(checked.geometry, Text)).where(
                checked.import_id == import_id, checked.reference.in_(references)
            )
        )
    stored = [row for query in mine for row in session.execute(query)]
    return dict(zip((row[0] for row in stored), geometry.stored_parcels([row[1] for row in stored]), strict=True))


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
    extents = [(number, *parcel.bounds) for number, parcel in parcels.items()]
    asked = dict(
        zip(("numbers", "wests", "souths", "easts", "norths"), map(list, zip(*extents, strict=True)), strict=True)
    )
    if import_id is None:
        near = session.execute(text(_NEAR), asked).all()
    else:
        near = session.execute(text(_NEAR_A_DRY_RUN), asked | {"import_id": import_id}).all()
    stored = geometry.stored_parcels([row.geometry for row in near])
    mine = [parcels[row.number] for row in near]
    return {row.number for row, much in zip(near, _too_much(mine, stored, p), strict=True) if much}


_NEWCOMERS = (
    "unnest(CAST(:numbers AS integer[]), CAST(:wests AS float[]), CAST(:souths AS float[]), CAST(:easts AS float[]),"
    " CAST(:norths AS float[])) AS n (number, west, south, east, north)"
)
#: A border in common is no ground in common: the first line goes by the index, the second is exact.
_MEETS = f"""{EXTENT} && box(point(n.west, n.south), point(n.east, n.north))
   AND min_longitude < n.east AND max_longitude > n.west AND min_latitude < n.north AND max_latitude > n.south"""
_NEAR_IN = "SELECT n.number, geometry::text AS geometry FROM {0}, " + f"{_NEWCOMERS} WHERE {_MEETS}"  # noqa: S608 - no value
_NEAR = f"{_NEAR_IN.format('assets')} UNION ALL {_NEAR_IN.format('plantings')}"
#: Whose rows are private is looked at before any operator that might tell of them, so here no index of boxes serves.
_NEAR_A_DRY_RUN = f"""{_NEAR} UNION ALL
    SELECT n.number, geometry::text FROM asset_import_parcels, {_NEWCOMERS},
           (SELECT max(max_latitude - min_latitude) AS height FROM asset_import_parcels
             WHERE import_id = :import_id) AS tallest
     WHERE import_id = :import_id AND min_latitude < n.north AND min_latitude > n.south - height
       AND max_latitude > n.south AND min_longitude < n.east AND max_longitude > n.west"""  # noqa: S608 - no value in it


def _overlapping_each_other(parcels: Mapping[int, Parcel], p: InForce) -> dict[int, set[int]]:
    """For each parcel those before it that it shares more ground with than a common border explains."""
    numbers, grounds = list(parcels), list(parcels.values())
    earlier: dict[int, set[int]] = {number: set() for number in numbers}
    pairs = geometry.crossings(grounds)
    mine, others = ([grounds[place] for place in side] for side in (pairs[:, 0], pairs[:, 1]))
    for (later, before), much in zip(pairs.tolist(), _too_much(mine, others, p), strict=True):
        if much:
            earlier[numbers[later]].add(numbers[before])
    return earlier


def same_ground(one: Parcel, other: Parcel) -> bool:
    """Whether two parcels share more ground than a common border explains."""
    return _too_much([one], [other], PARAMETERS.at(clock.today()))[0]


def _too_much(ones: Sequence[Parcel], others: Sequence[Parcel], p: InForce) -> list[bool]:
    """Whether each of the ones shares more ground with the other at its place than a common border explains."""
    tolerance = p["register.overlap"]
    shared = geometry.overlaps_m2(ones, others)
    much = [False] * len(ones)
    for place in np.flatnonzero(shared).tolist():
        one, other = ones[place], others[place]
        allowed = tolerated_overlap(one.area_m2, other.area_m2, tolerance["share"], tolerance["area_m2"])
        much[place] = bool(shared[place] > allowed)
    return much


def _row(session: Session, facts: AssetFacts, parcel: Parcel, p: InForce) -> dict[str, Any]:
    """A forest as a row of the table, before it is valued."""
    today = clock.today()
    longitude, latitude = (Decimal(str(round(degrees, 6))) for degrees in parcel.centre)
    crediting_from = facts.crediting_from or today
    return {
        "id": uuid7(),
        "version": 1,
        "registrar": tenant(session),
        "reference": facts.reference,
        "name": facts.name,
        "kind": facts.kind,
        "programme": facts.programme,
        "county": facts.county,
        "geometry": parcel.text,
        **_extent(parcel),
        "longitude": longitude,
        "latitude": latitude,
        "area_ha": Decimal(str(round(parcel.area_m2 / M2_PER_HA, 4))),
        "species": [{"species": share["species"], "share": format(share["share"], "f")} for share in facts.species],
        "planted_year": facts.planted_year,
        "survival": facts.survival,
        "volume_m3_ha": facts.volume_m3_ha,
        "crown_cover": facts.crown_cover,
        "sampling_uncertainty": facts.sampling_uncertainty,
        "measured_on": facts.measured_on or today,
        "project_area_ha": facts.project_area_ha,
        "hazards": {peril: format(score, "f") for peril, score in (facts.hazards or {}).items()},
        "title_until": facts.title_until,
        "title_kind": facts.title_kind,
        "title_number": facts.title_number,
        "owner": facts.owner,
        "row_spacing_m": facts.row_spacing_m,
        "plant_spacing_m": facts.plant_spacing_m,
        "site_class": facts.site_class,
        "elevation_m": facts.elevation_m,
        "slope_degrees": facts.slope_degrees,
        "crediting_from": crediting_from,
        "crediting_until": facts.crediting_until,
        "measured": None,
        "flags": [*_flags(facts, p), *parcel.repairs],
        "live_share": Decimal(1),
        "verified_on": crediting_from,
        "verified_live_share": Decimal(1),
        "credited_tonnes": Decimal(0),
        "rated_share": None,
        "valuation_version": 0,
        "forecast_tonnes": Decimal(0),
        "pledged_tonnes": Decimal(0),
        "enforced_tonnes": Decimal(0),
        "issued_tonnes": Decimal(0),
        "retired_tonnes": Decimal(0),
        "transferred_tonnes": Decimal(0),
        "cancelled_tonnes": Decimal(0),
        "buffer_tonnes": Decimal(0),
        "over_pledged": False,
        "last_rank": 0,
        "registered_at": clock.now(),
    }


def _extent(parcel: Parcel) -> dict[str, float]:
    return dict(zip(("min_longitude", "min_latitude", "max_longitude", "max_latitude"), parcel.bounds, strict=True))


def _entered(session: Session, asset: Asset | Newcomer) -> AssetRegistered:
    """Note that a forest went in; the event that tells of it."""
    audit.record(session, "register_asset", asset.id, area_ha=str(asset.area_ha), county=asset.county)
    return AssetRegistered(
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
    )


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

"""Plantings and their adopters: what trees are forecast to bind becomes an allowance, and never a credit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.assets import OverlapError, lock_register, overlapping_the_register
from services.sink.actions.geometry import M2_PER_HA
from services.sink.actions.kilograms import kilograms
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.refusals import invalid
from services.sink.actions.settlement import own_register
from services.sink.actions.stands import Stand, check_species, stocks
from services.sink.formulas.planting import adopted_allowance, recounted_allowance, yearly_allowance
from services.sink.tables import Adoption, Planting
from shared import audit, clock
from shared.db import locked, tenant
from shared.errors import ConflictError
from shared.ids import uuid7
from shared.parameters import InForce

PURPOSES = ("offset", "adoption", "memorial")


@dataclass(frozen=True)
class PlantingFacts:
    """What a registrar says about a planting; its area follows from its polygon."""

    name: str
    purpose: str
    county: str
    geometry: Mapping[str, Any]
    species: Sequence[Mapping[str, Any]]
    planted_year: int
    survival: Decimal
    trees: int


@dataclass(frozen=True)
class AdoptionFacts:
    """Who adopts how many trees; the holder is the institution whose accounts may use the allowance."""

    adopter: str
    trees: int
    holder: str | None = None
    dedication: str | None = None


def enter_planting(session: Session, facts: PlantingFacts) -> Planting:
    """Enter a planting on ground that is in nobody's register, with the allowance its growth is forecast to bring."""
    p = PARAMETERS.at(clock.today())
    parcel = geometry.parcel(facts.geometry, p)
    check_species(facts.species)
    today = clock.today()
    if facts.planted_year > today.year:
        raise invalid("/planted_year", "lies in the future")
    area_ha = Decimal(str(round(parcel.area_m2 / M2_PER_HA, 4)))
    if area_ha <= 0 or area_ha > p["register.largest_parcel"]:
        raise invalid("/geometry", f"the polygon has {area_ha} ha; is the scale right?")
    if facts.trees > area_ha * p["planting.trees_per_ha"]:
        raise invalid("/trees", f"so many trees do not add up to a planting of {area_ha} ha")
    lock_register(session)
    if overlapping_the_register(session, {0: parcel}, p):
        raise OverlapError("the polygon overlaps ground that is in the register already", errors=[_GEOMETRY])
    first_year = max(facts.planted_year, today.year)
    grown = _forecast(
        Stand(area_ha, facts.species, facts.planted_year, facts.survival, measured_on=today), first_year, p
    )
    if grown[-1] == 0:
        raise invalid("/species", "no growth is known that would add up to an allowance: shrubs, or nothing survives")
    west, south, east, north = parcel.bounds
    planting = Planting(
        id=uuid7(),
        registrar=tenant(session),
        name=facts.name,
        purpose=facts.purpose,
        county=facts.county,
        geometry=parcel.geojson(),
        min_longitude=west,
        min_latitude=south,
        max_longitude=east,
        max_latitude=north,
        area_ha=area_ha,
        species=[{"species": one["species"], "share": format(one["share"], "f")} for one in facts.species],
        planted_year=facts.planted_year,
        survival=facts.survival,
        counted_on=None,
        trees=facts.trees,
        adopted_trees=0,
        first_year=first_year,
        grown_kg=grown,
        parameters_hash=p.digest,
        unverified_parameters=list(p.unverified),
        entered_at=clock.now(),
    )
    session.add(planting)
    audit.record(session, "enter_planting", planting.id, area_ha=str(area_ha), trees=facts.trees)
    session.flush()
    return planting


def count_survivors(session: Session, planting_id: UUID, survival: Decimal, counted_on: date) -> Planting:
    """Enter a count of the survivors: from next year on the allowance follows it, and so do the adopters' parts."""
    planting = locked(session, Planting, planting_id)
    own_register(session, planting.registrar)
    today = clock.today()
    if not max(date(planting.planted_year, 1, 1), planting.counted_on or date.min) <= counted_on <= today:
        raise invalid("/counted_on", "lies outside of the time from the planting, or the count before, to today")
    p = PARAMETERS.at(today)
    stand = Stand(planting.area_ha, planting.species, planting.planted_year, survival, measured_on=today)
    recounted = _forecast(stand, planting.first_year, p, len(planting.grown_kg))
    # A claim is of this year at the latest, so nothing that was claimed is taken away.
    settled = min(len(recounted), max(0, today.year - planting.first_year + 1))
    planting.grown_kg = recounted_allowance(planting.grown_kg, recounted, settled).tolist()
    planting.survival, planting.counted_on = survival, counted_on
    planting.parameters_hash, planting.unverified_parameters = p.digest, list(p.unverified)
    adoptions = select(Adoption).where(Adoption.planting_id == planting.id).order_by(Adoption.id).with_for_update()
    for adoption in session.scalars(adoptions, execution_options={"populate_existing": True}):
        adoption.allowance_tonnes = _whole(planting, adoption.trees)
    audit.record(session, "count_survivors", planting.id, survival=str(survival))
    session.flush()
    return planting


def adopt(session: Session, planting_id: UUID, facts: AdoptionFacts) -> Adoption:
    """Give trees of a planting, and the allowance that goes with them, to an adopter."""
    planting = locked(session, Planting, planting_id)
    own_register(session, planting.registrar)
    left = planting.trees - planting.adopted_trees
    if facts.trees > left:
        raise ConflictError(f"{left} trees are left to adopt")
    planting.adopted_trees += facts.trees
    adoption = Adoption(
        id=uuid7(),
        institution=facts.holder or tenant(session),
        registrar=planting.registrar,
        planting_id=planting.id,
        adopter=facts.adopter,
        dedication=facts.dedication,
        trees=facts.trees,
        allowance_tonnes=_whole(planting, facts.trees),
        claimed_tonnes=Decimal(0),
        adopted_at=clock.now(),
    )
    session.add(adoption)
    audit.record(session, "adopt_trees", adoption.id, planting=str(planting.id), trees=facts.trees)
    session.flush()
    return adoption


def grown_kg(planting: Planting, trees: int) -> Any:
    """What some of the trees have grown by the end of each year, a running total. [kgCO2e]"""
    return adopted_allowance(planting.grown_kg, trees, planting.trees)


def _whole(planting: Planting, trees: int) -> Decimal:
    """Allowance of some of the trees over all years. [tCO2e]"""
    return Decimal(int(grown_kg(planting, trees)[-1])) / 1000


def _forecast(stand: Stand, first_year: int, p: InForce, years: int | None = None) -> list[int]:
    """Running total of the allowance from a year on; growth before the entry is history and allows nothing. [kgCO2e]"""
    days = [date(first_year - 1 + k, 12, 31) for k in range((years or int(p["planting.allowance_years"])) + 1)]
    allowed = np.cumsum(yearly_allowance(stocks(stand, p, days), p["planting.deduction"]))
    return [kilograms(Decimal(repr(float(mass)))) for mass in allowed]


_GEOMETRY = {"pointer": "/geometry", "detail": "overlaps ground that is in the register already"}

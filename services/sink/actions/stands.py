"""Stands outside of the register: the same growth and the same routes, on facts that nobody registered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.sink.actions.refusals import invalid
from services.sink.actions.valuations import stand_stocks
from services.sink.formulas.biomass import CO2_PER_CARBON
from services.sink.tables import Asset
from shared.parameters import InForce


class _Coefficients(Mapping[str, Any]):
    """The coefficients in force as a mapping; each that is read is remembered as used."""

    def __init__(self, p: InForce) -> None:
        self._p = p

    def __getitem__(self, name: str) -> Any:
        if name not in self._p.entries:
            raise KeyError(name)
        return self._p[name]

    def __contains__(self, name: object) -> bool:
        return name in self._p.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._p.entries)

    def __len__(self) -> int:
        return len(self._p.entries)


@dataclass(frozen=True)
class Stand:
    """A stand as its stock is computed from it."""

    area_ha: Decimal
    #: [{"species": …, "share": …}], shares summing to 1.
    species: Sequence[Mapping[str, Any]]
    planted_year: int
    survival: Decimal
    measured_on: date
    volume_m3_ha: Decimal | None = None
    crown_cover: Decimal | None = None
    #: Share alive after reversals.
    live_share: Decimal = Decimal(1)
    #: What plots say beyond volume and cover, as the register keeps it.
    measured: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The facts as JSON data, decimals as text."""
        return {
            "area_ha": str(self.area_ha),
            "species": [{"species": one["species"], "share": str(one["share"])} for one in self.species],
            "planted_year": self.planted_year,
            "survival": str(self.survival),
            "measured_on": self.measured_on.isoformat(),
            "volume_m3_ha": None if self.volume_m3_ha is None else str(self.volume_m3_ha),
            "crown_cover": None if self.crown_cover is None else str(self.crown_cover),
            "live_share": str(self.live_share),
            "measured": self.measured,
        }


def part_of(asset: Asset, area_ha: Decimal) -> Stand:
    """A part of a registered forest, as it stands there."""
    return Stand(
        area_ha=area_ha,
        species=asset.species,
        planted_year=asset.planted_year,
        survival=asset.survival,
        measured_on=asset.measured_on,
        volume_m3_ha=asset.volume_m3_ha,
        crown_cover=asset.crown_cover,
        live_share=asset.live_share,
        measured=asset.measured,
    )


def check_species(species: Sequence[Mapping[str, Any]]) -> None:
    """See that a mix is one."""
    if sum(one["share"] for one in species) != 1:
        raise invalid("/species", "the shares of a mix add up to 1")
    if len({one["species"] for one in species}) != len(species):
        raise invalid("/species", "each species stands once in a mix")


def stocks(stand: Stand, p: InForce, days: list[date]) -> NDArray[np.float64]:
    """Stock of a stand on each day. [tCO2e]"""
    whole = stand_stocks(stand.as_json(), _Coefficients(p), days)
    return np.asarray(float(stand.live_share) * whole)


def growth_t_ha(stand: Stand, p: InForce, day: date) -> float:
    """Living biomass that a hectare grows in the year from a day, roots included. [t d.m./ha/yr]"""
    total = 0.0
    for one in stand.species:
        facts = stand.as_json() | {"species": [{"species": one["species"], "share": "1"}], "area_ha": "1"}
        now, then = stand_stocks(facts, _Coefficients(p), [day, day + timedelta(days=365)])
        carbon = max(0.0, float(then - now)) * float(stand.live_share) / CO2_PER_CARBON
        total += float(one["share"]) * carbon / p[f"carbon_fraction.{one['species']}"]
    return total

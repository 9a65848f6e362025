"""The demo's forest programme: parcels whose totals are published and whose every other number is synthetic.

Three totals come from the project brief of the Shuozhou bureau: forest of 3,267,800 mu, growing stock of 4,302,400 m3
(both aims for 2025) and 250,000 mu to plant in a year. The parcels add up to them exactly, in whole mu and whole m3.
How the totals fall on the six counties and on the parcels, and each parcel's place, shape, species, year, survival,
volume, uncertainty, hazards and dates, is synthetic: made by a seeded generator to look plausible. Nothing here is a
survey, an inventory or a land record, and no date claims that a stand qualifies under any crediting methodology.

The same seed gives the same bytes. `python -m deploy.demo.programme --csv P --geojson P --map P.svg` writes them out.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from deploy.demo import landscape
from deploy.demo.landscape import COUNTIES, Ring

FOREST_MU = 3_267_800
STOCK_M3 = 4_302_400
PLANTED_MU = 250_000
PARCELS = 360
PLANTING_YEAR = 2025  # "the last year"; the totals are aims for this year
AS_OF = date(2026, 1, 1)
MU_PER_HA = 15
SYNTHETIC = "synthetic: only the totals are published; the split over counties and parcels is generated"
PERILS = ("fire", "pest", "drought", "frost_snow", "wind", "flood")
SHRUBS = frozenset({"hippophae", "caragana", "prunus_sibirica"})

# Synthetic: shares of the forest by county, the remotest and sandiest counties having most of it.
_FOREST_SHARES = {
    "shuocheng": 0.15, "pinglu": 0.25, "shanyin": 0.12, "yingxian": 0.12, "youyu": 0.275, "huairen": 0.085,
}  # fmt: skip
# Synthetic: hazard of an average stand, in the order of PERILS; 0.5 is the average site.
_COUNTY_HAZARDS = {
    "shuocheng": (0.50, 0.50, 0.50, 0.40, 0.40, 0.40),
    "pinglu": (0.50, 0.45, 0.62, 0.50, 0.58, 0.20),
    "shanyin": (0.45, 0.50, 0.48, 0.42, 0.45, 0.50),
    "yingxian": (0.50, 0.48, 0.45, 0.40, 0.40, 0.55),
    "youyu": (0.48, 0.52, 0.55, 0.62, 0.65, 0.20),
    "huairen": (0.46, 0.46, 0.50, 0.48, 0.48, 0.38),
}  # fmt: skip
_SURVIVAL = {
    "shuocheng": 0.80, "pinglu": 0.74, "shanyin": 0.79, "yingxian": 0.81, "youyu": 0.77, "huairen": 0.78,
}  # fmt: skip

_USUAL_SURVIVAL = 0.78  # at which the volumes below are meant


@dataclass(frozen=True, kw_only=True)
class Share:
    """One species of a mix and its share of the area, a decimal string; the shares of a mix sum to 1."""

    species: str
    share: str


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A synthetic parcel of forest.

    Area is whole mu and stock whole m3, because those are what sums exactly. `shrub_cover` is the crown cover on the
    shrubs' share of the area, 0 without shrubs; shrubs have no volume. `uncertainty` is the half-width of the 90 %
    interval of the sampled stock, as a share of it.
    """

    code: str
    name: str
    county: str
    kind: str
    area_mu: int
    stock_m3: int
    ring: Ring
    species: tuple[Share, ...]
    planted_year: int
    survival: Decimal
    shrub_cover: Decimal
    uncertainty: Decimal
    hazards: Mapping[str, Decimal]
    title_until: date
    crediting_until: date

    @property
    def area_ha(self) -> Decimal:
        """Area rounded to a square metre. [ha]"""
        return (Decimal(self.area_mu) / MU_PER_HA).quantize(Decimal("0.0001"))

    @property
    def volume_m3_ha(self) -> Decimal:
        """Growing stock over the whole area, shrubs and gaps included. [m3/ha]"""
        return (Decimal(self.stock_m3) * MU_PER_HA / self.area_mu).quantize(Decimal("0.0001"))

    @property
    def geometry(self) -> dict[str, Any]:
        """The outline as a GeoJSON polygon."""
        return {"type": "Polygon", "coordinates": [[list(point) for point in self.ring]]}

    @property
    def leading_species(self) -> str:
        """The species with the largest share."""
        return max(self.species, key=lambda each: Decimal(each.share)).species


@dataclass(frozen=True, kw_only=True)
class Programme:
    """All parcels, ordered by county and compartment number."""

    seed: int
    parcels: list[Parcel]

    @property
    def area_mu(self) -> int:
        """Forest of the programme. [mu]"""
        return sum(parcel.area_mu for parcel in self.parcels)

    @property
    def stock_m3(self) -> int:
        """Growing stock of the programme. [m3]"""
        return sum(parcel.stock_m3 for parcel in self.parcels)

    @property
    def planted_mu(self) -> int:
        """Forest planted in the last year. [mu]"""
        return sum(parcel.area_mu for parcel in self.parcels if parcel.planted_year == PLANTING_YEAR)

    @property
    def metadata(self) -> dict[str, Any]:
        """Say what is published and what is made up; goes into every export."""
        return {
            "title": {"zh": "朔州林业碳汇演示数据", "en": "Demo data of a forest programme in Shuozhou"},
            "synthetic": True,
            "note": {
                "zh": "面积、蓄积和年度造林任务的合计数来自主管部门公布的目标；县区与林班的划分、位置、边界、树种、年份"
                "及其余各项均为程序生成的虚构数据，不是调查成果，也不是权属或边界依据。",
                "en": "The totals of area, growing stock and yearly planting are the bureau's published aims. Their "
                "split over counties and parcels, and every place, outline, species, year and other figure, is "
                "generated. This is no survey, no land record and no boundary.",
            },
            "totals": {"area_mu": self.area_mu, "stock_m3": self.stock_m3, "planted_mu": self.planted_mu},
            "as_of": AS_OF.isoformat(),
            "planting_year": PLANTING_YEAR,
            "seed": self.seed,
        }


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """A kind of stand: species with the range of their weights, and the years in which it was planted."""

    mix: Mapping[str, tuple[float, float]]
    first: int
    last: int
    frequency: Mapping[str, float]


def _frequency(youyu: int, pinglu: int, shuocheng: int, shanyin: int, yingxian: int, huairen: int) -> dict[str, float]:
    return {
        "youyu": youyu, "pinglu": pinglu, "shuocheng": shuocheng,
        "shanyin": shanyin, "yingxian": yingxian, "huairen": huairen,
    }  # fmt: skip


# Synthetic, after what is commonly planted in semi-arid northern Shanxi. A weight range may start at 0: drawn away.
_STANDS = (
    # Old shelter belts of poplar, many of them stunted.
    _Stand(mix={"populus_simonii": (8, 10), "ulmus_pumila": (-1, 1.5), "caragana": (-0.5, 1.5)},
           first=1958, last=1988, frequency=_frequency(26, 9, 14, 15, 15, 18)),
    # Poplar stands renewed with pine.
    _Stand(mix={"populus_simonii": (4, 6), "pinus_sylvestris_mongolica": (3, 5), "hippophae": (0.5, 2)},
           first=1976, last=2006, frequency=_frequency(15, 6, 5, 4, 2, 6)),
    _Stand(mix={"pinus_tabuliformis": (6, 9), "hippophae": (0.5, 2), "prunus_sibirica": (-0.5, 1)},
           first=1978, last=2024, frequency=_frequency(8, 18, 18, 15, 18, 14)),
    _Stand(mix={"pinus_sylvestris_mongolica": (6, 9), "caragana": (0.5, 2.5), "hippophae": (-0.5, 1)},
           first=1988, last=2024, frequency=_frequency(18, 12, 8, 6, 4, 15)),
    # Larch of the mountains.
    _Stand(mix={"larix_principis": (6, 9), "pinus_tabuliformis": (1, 3), "hippophae": (-1, 1)},
           first=1970, last=2018, frequency=_frequency(7, 4, 8, 6, 8, 2)),
    _Stand(mix={"pinus_tabuliformis": (4, 6), "pinus_sylvestris_mongolica": (2, 4), "platycladus": (-1, 2)},
           first=1992, last=2024, frequency=_frequency(6, 8, 14, 12, 14, 13)),
    _Stand(mix={"caragana": (7, 10), "prunus_sibirica": (-1, 2), "hippophae": (-1, 1.5)},
           first=1986, last=2024, frequency=_frequency(8, 24, 13, 17, 6, 13)),
    _Stand(mix={"hippophae": (6, 9), "caragana": (-1, 2), "prunus_sibirica": (-1, 1.5)},
           first=1986, last=2024, frequency=_frequency(12, 14, 5, 8, 8, 4)),
    _Stand(mix={"platycladus": (6, 8), "prunus_sibirica": (1, 3), "ulmus_pumila": (-1, 1)},
           first=1992, last=2024, frequency=_frequency(0, 3, 10, 10, 16, 8)),
    _Stand(mix={"ulmus_pumila": (5, 8), "populus_simonii": (1, 3), "caragana": (0, 2)},
           first=1970, last=2014, frequency=_frequency(2, 2, 7, 9, 7, 7)),
)  # fmt: skip
# Synthetic: volume that a full stand approaches at great age; all stay under the 100 m3/ha that raise a flag. [m3/ha]
_ASYMPTOTES = {
    "larix_principis": 84.0, "pinus_tabuliformis": 72.0, "pinus_sylvestris_mongolica": 78.0, "populus_simonii": 62.0,
    "ulmus_pumila": 38.0, "platycladus": 32.0,
}  # fmt: skip
# Synthetic: what a species adds to the hazards of its county, in the order of PERILS.
_SPECIES_HAZARDS = {
    "larix_principis": (0.08, 0.08, -0.02, 0.06, 0.02, 0.0),
    "pinus_tabuliformis": (0.18, 0.10, -0.04, 0.04, 0.0, 0.0),
    "pinus_sylvestris_mongolica": (0.15, 0.04, -0.02, 0.05, 0.03, 0.0),
    "populus_simonii": (-0.08, 0.20, 0.12, -0.02, 0.06, 0.03),
    "ulmus_pumila": (-0.10, 0.10, -0.02, -0.04, 0.02, 0.0),
    "platycladus": (0.08, -0.10, -0.06, 0.0, -0.04, 0.0),
    "hippophae": (-0.06, 0.02, -0.06, -0.08, -0.12, 0.0),
    "caragana": (-0.10, -0.12, -0.14, -0.10, -0.14, 0.0),
    "prunus_sibirica": (-0.02, 0.05, -0.02, 0.12, -0.05, 0.0),
}


def programme(seed: int = 2026) -> Programme:
    """Generate the programme: published totals, synthetic split. The same seed gives the same parcels."""
    rng = Random(seed)  # noqa: S311 - a demo that anybody can repeat, nothing secret
    forest = _by_county(FOREST_MU)
    planted = _by_county(PLANTED_MU)
    drafts = [
        draft
        for county, number in _by_county(PARCELS).items()
        for draft in _county_drafts(county, number, forest[county], planted[county], rng)
    ]
    # Rounding to whole m3 gives a parcel of the last year, whose weight is 0, none of the remainder.
    stocks = apportion(STOCK_M3, [draft.volume * draft.area_mu for draft in drafts])
    return Programme(
        seed=seed, parcels=[_parcel(draft, stock, rng) for draft, stock in zip(drafts, stocks, strict=True)]
    )


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Split a whole number by weights into whole numbers that sum to it: largest remainder, earlier first on a tie.

    >>> apportion(10, [1, 1, 1])
    [4, 3, 3]
    """
    whole = math.fsum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [math.floor(each) for each in exact]
    order = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A parcel before the growing stock is shared out; `volume` is only a weight."""

    county: str
    number: int
    area_mu: int
    ring: Ring
    species: tuple[Share, ...]
    planted_year: int
    survival: Decimal
    volume: float


def _by_county(total: int) -> dict[str, int]:
    return dict(zip(COUNTIES, apportion(total, [_FOREST_SHARES[code] for code in COUNTIES]), strict=True))


def _county_drafts(county: str, number: int, forest_mu: int, planted_mu: int, rng: Random) -> list[_Draft]:
    new = max(1, round(number * planted_mu / forest_mu))
    sizes = [min(max(rng.lognormvariate(0, 0.45), 0.35), 1.75) for _ in range(number)]
    areas = apportion(planted_mu, sizes[:new]) + apportion(forest_mu - planted_mu, sizes[new:])
    years: list[int | None] = [PLANTING_YEAR] * new + [None] * (number - new)
    stands = list(zip(areas, years, strict=True))
    rng.shuffle(stands)
    places = landscape.cells(COUNTIES[county], number, rng)
    return [
        _draft(county, index, area_mu, year, cell, rng)
        for index, ((area_mu, year), cell) in enumerate(zip(stands, places, strict=True), start=1)
    ]


def _draft(
    county: str, number: int, area_mu: int, year: int | None, cell: tuple[landscape.Point, landscape.Point], rng: Random
) -> _Draft:
    # What is planted today is what was still being planted in the year before.
    kinds = [stand for stand in _STANDS if year is None or stand.last == PLANTING_YEAR - 1]
    [stand] = rng.choices(kinds, [each.frequency[county] for each in kinds])
    planted_year = year or rng.randint(stand.first, stand.last)
    species = _mix(stand, rng)
    age = PLANTING_YEAR - planted_year
    survival = _survival(county, age, rng)
    site = rng.uniform(0.72, 1.28)
    volume = (
        site
        * float(survival)
        / _USUAL_SURVIVAL
        * sum(float(each.share) * _full_volume(each.species, age) for each in species)
    )
    return _Draft(
        county=county,
        number=number,
        area_mu=area_mu,
        ring=landscape.quadrilateral(cell, area_mu, rng),
        species=species,
        planted_year=planted_year,
        survival=survival,
        volume=volume,
    )


def _mix(stand: _Stand, rng: Random) -> tuple[Share, ...]:
    weights = {species: rng.uniform(low, high) for species, (low, high) in stand.mix.items()}
    present = {species: weight for species, weight in weights.items() if weight > 0.4}
    hundredths = apportion(100, list(present.values()))
    shares = [
        Share(species=species, share=str(Decimal(part).scaleb(-2)))
        for species, part in zip(present, hundredths, strict=True)
    ]
    return tuple(sorted(shares, key=lambda each: (-Decimal(each.share), each.species)))


def _full_volume(species: str, age: int) -> float:
    """Volume of a stand of the usual survival, (S22); shrubs have none. [m3/ha]"""
    return _ASYMPTOTES.get(species, 0.0) * math.pow(-math.expm1(-0.05275 * age), 2.41)


def _survival(county: str, age: int, rng: Random) -> Decimal:
    # Young plantings are still complete; later ones have lost some and been filled up.
    young = 0.10 * max(0.0, 1 - age / 5)
    return _decimal(_SURVIVAL[county] + young + rng.uniform(-0.10, 0.10), 0.55, 0.97, 2)


def _parcel(draft: _Draft, stock_m3: int, rng: Random) -> Parcel:
    age = PLANTING_YEAR - draft.planted_year
    shrubs = sum(float(each.share) for each in draft.species if each.species in SHRUBS)
    title_until = _title_until(draft.planted_year, rng)
    county = COUNTIES[draft.county]
    return Parcel(
        code=f"{county.code}-{draft.number:03d}",
        name=f"{county.zh}第{draft.number:03d}林班",
        county=county.code,
        kind="forest",
        area_mu=draft.area_mu,
        stock_m3=stock_m3,
        ring=draft.ring,
        species=draft.species,
        planted_year=draft.planted_year,
        survival=draft.survival,
        shrub_cover=_shrub_cover(age, rng) if shrubs else Decimal("0.00"),
        # Young and shrubby stands are harder to sample.
        uncertainty=_decimal(
            0.07 + 0.06 * shrubs + (0.06 if age < 5 else 0.0) + rng.uniform(-0.02, 0.09), 0.05, 0.28, 3
        ),
        hazards=_hazards(draft, rng),
        title_until=title_until,
        crediting_until=_crediting_until(draft.planted_year, title_until, rng),
    )


def _shrub_cover(age: int, rng: Random) -> Decimal:
    return _decimal(0.08 + 0.55 * min(1.0, age / 12) + rng.uniform(-0.05, 0.12), 0.03, 0.80, 2)


def _hazards(draft: _Draft, rng: Random) -> dict[str, Decimal]:
    return {
        peril: _decimal(
            _COUNTY_HAZARDS[draft.county][index]
            + sum(float(each.share) * _SPECIES_HAZARDS[each.species][index] for each in draft.species)
            + rng.uniform(-0.08, 0.08),
            0.02,
            0.98,
            2,
        )
        for index, peril in enumerate(PERILS)
    }


def _title_until(planted_year: int, rng: Random) -> date:
    # Use rights of 30, 50 or 70 years, most of them from the years in which collective forest was given out. A few end
    # soon: they limit the term of a loan.
    start = max(planted_year, rng.randint(2000, 2012))
    year = start + rng.choices((30, 50, 70), (25, 45, 30))[0]
    return date(year, *rng.choice(((6, 30), (9, 30), (12, 31))))


def _crediting_until(planted_year: int, title_until: date, rng: Random) -> date:
    # Units cannot outlive the right to the land. Old stands join the demo's programme at a late date.
    start = max(planted_year, rng.randint(2020, 2024))
    return min(date(start + rng.choice((20, 20, 25, 30, 40)), 12, 31), title_until)


def _decimal(value: float, lowest: float, highest: float, places: int) -> Decimal:
    return Decimal(f"{min(max(value, lowest), highest):.{places}f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the programme to the files asked for."""
    from deploy.demo import export  # it draws what this module makes

    parser = argparse.ArgumentParser(prog="python -m deploy.demo.programme", description="Write the demo's programme.")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--csv", type=Path, help="table of parcels")
    parser.add_argument("--geojson", type=Path, help="parcels as a feature collection")
    parser.add_argument("--map", type=Path, help="map of the parcels (SVG)")
    asked = parser.parse_args(arguments)
    made = programme(asked.seed)
    for path, writer in ((asked.csv, export.as_csv), (asked.geojson, export.as_geojson), (asked.map, export.as_svg)):
        if path is not None:
            path.write_text(writer(made), encoding="utf-8", newline="")


if __name__ == "__main__":
    main()

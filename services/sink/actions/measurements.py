"""Measurements: plots in, stratified stock with its uncertainty, change, growth and model risk out, derivable again.

`derive` is the whole measurement as a function of JSON data, as in `valuations`. The youngest measurement of an asset
takes the place of what its registrar said: volume, crown cover, sampling error, and in `Asset.measured` what a
valuation needs beyond them. Volume and cover are those at which the valuation's own method has the measured stock on
the day of the measurement, so that the two never disagree.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import geometry
from services.sink.actions.ground import ground_parameters, ground_stock, soil_density
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.valuations import DAYS_PER_YEAR, age_of, inputs_of, own_asset, verified_level
from services.sink.actions.valuations import basis as valuation_basis
from services.sink.formulas.biomass import (
    CO2_PER_CARBON,
    biomass_from_bcef,
    biomass_from_regression,
    biomass_from_volume,
    carbon_dioxide,
    carbon_from_biomass,
    root_ratio,
    route_spread,
    shrub_stock,
    stepped_bcef,
    stepped_root_ratio,
    tree_biomass,
)
from services.sink.formulas.growth import carbon_at_age, locality_excess, mean_volume
from services.sink.formulas.measurement import (
    allometric_biomass,
    chained_stock,
    combined_half_width,
    equivalent_volume,
    plot_biomass,
    slenderness,
    stem_volume,
    stratified_half_width,
)
from services.sink.formulas.pools import default_pool
from services.sink.formulas.stand import fit_sigma, fitted_richards, largest_volume
from services.sink.formulas.uncertainty import (
    annual_change,
    discount_share,
    discounted_stock,
    stock_change,
    stratified_mean,
    stratum_variance,
)
from services.sink.tables import Asset, Measurement, Reversal
from shared import audit, clock
from shared.errors import ConflictError, InvalidError
from shared.events.parts import Reason
from shared.ids import uuid7
from shared.parameters import InForce
from shared.strict_json import canonical

#: Rises when the same inputs would give other outputs.
ENGINE_VERSION = f"1/numpy-{np.__version__}"
ROUTES = ("trees", "volumes", "biomasses")
CURVES = ("richards", "table")
SOILS = tuple(name.removeprefix("soil.reference.") for name in PARAMETERS.entries if name.startswith("soil.reference."))
SOIL_STATES = ("undisturbed", "moderately_degraded", "long_cultivated", "severely_degraded")
_DIGITS = 6
_CHAIN = ("wood_density", "expansion_factor", "root_ratio", "carbon_fraction")
_SHRUB = ("shrub.forest_biomass", "shrub.biomass_ratio", "shrub.root_ratio", "shrub.cover_floor")
_COMMON = (
    "artool14.root_ratio",
    "dead_wood.factor",
    "growth.fit",
    "litter.factor",
    "locality.mu_per_ha",
    "locality.plausible_volume",
    "locality.target",
    "soil.state",
    "soil.transition",
    "uncertainty.confidence",
    "uncertainty.discount",
    "valuation.horizon",
)
_OF_TREES = ("allometry", "allometry_log", "regression", "regression_floor", "ipcc.class", "growth.carbon_line")


class MeasuredTwiceError(ConflictError):
    """A day's measurement stands."""

    kind, title = "measured-before", "The asset was measured on this day already"


@dataclass(frozen=True)
class Survey:
    """What a surveyor hands in."""

    measured_on: date
    strata: Sequence[Mapping[str, Any]] = ()
    soil: Mapping[str, Any] | None = None
    rainfall_mm: Decimal | None = None
    curve: str = "richards"
    thinnings: Sequence[Mapping[str, Any]] = ()


# -- what can be true -------------------------------------------------------------------------------------------------


def _checked(session: Session, asset: Asset, survey: Survey, p: InForce) -> None:
    """See that the survey can be of this asset."""
    if survey.measured_on > clock.today():
        raise _invalid("/measured_on", "lies in the future")
    if survey.measured_on.year < asset.planted_year:
        raise _invalid("/measured_on", "lies before the planting")
    standing = select(Measurement.id).where(
        Measurement.asset_id == asset.id, Measurement.measured_on == survey.measured_on
    )
    if session.scalar(standing.limit(1)):
        raise MeasuredTwiceError(f"there is a measurement of {survey.measured_on}; it stands as it was entered")
    if survey.soil and (survey.soil["since"] or survey.measured_on) > survey.measured_on:
        raise _invalid("/soil/since", "lies after the measurement")
    _check_growth(asset, survey, p)
    if asset.kind != "forest":
        if survey.strata:
            raise _invalid("/strata", f"a {asset.kind} has no plots of trees; its soil says what it holds")
        if survey.soil is None:
            raise _invalid("/soil", f"a {asset.kind} goes by the default factors of its soil")
        if (survey.soil["reference"] == "wetland") != (asset.kind == "wetland"):
            raise _invalid("/soil/reference", f"is not a soil of a {asset.kind}")
        return
    if not survey.strata:
        raise _invalid("/strata", "a forest is measured in one stratum at least")
    _check_strata(asset, survey, p)


def _check_growth(asset: Asset, survey: Survey, p: InForce) -> None:
    low, high = p["measurement.domain"]["rainfall_mm"]
    if survey.rainfall_mm is not None and not low <= survey.rainfall_mm <= high:
        raise _invalid("/rainfall_mm", f"a yearly rainfall lies between {low} and {high} mm")
    if survey.curve == "table" and not any(
        f"growth.increments.{share['species']}" in p.entries for share in asset.species
    ):
        raise _invalid("/curve", "no species of this asset has a table of increments")
    ages = [thinning["age"] for thinning in survey.thinnings]
    if ages != sorted(set(ages)):
        raise _invalid("/thinnings", "thinnings follow each other by age")


def _check_strata(asset: Asset, survey: Survey, p: InForce) -> None:
    area = sum((stratum["area_ha"] for stratum in survey.strata), Decimal(0))
    tolerance = p["measurement.area_tolerance"]
    if abs(float(area / asset.area_ha) - 1) > tolerance:
        raise _invalid("/strata", f"the strata have {area} ha together, the parcel {asset.area_ha} ha")
    _check_names("/strata", survey.strata)
    ground = geometry.stored_parcel(asset.geometry)
    mix = {share["species"] for share in asset.species}
    for at, stratum in enumerate(survey.strata):
        if stratum["area_ha"] <= 0:
            raise _invalid(f"/strata/{at}/area_ha", "a stratum has some area")
        if len(stratum["plots"]) < 2:
            raise _invalid(f"/strata/{at}/plots", "a stratum needs two plots to have a variance")
        _check_names(f"/strata/{at}/plots", stratum["plots"])
        for number, plot in enumerate(stratum["plots"]):
            _check_plot(f"/strata/{at}/plots/{number}", plot, ground, mix, p)


def _check_names(pointer: str, named: Sequence[Mapping[str, Any]]) -> None:
    names = [one["name"] for one in named]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise _invalid(f"{pointer}/{number}/name", f"{name} stands twice")


def _check_plot(pointer: str, plot: Mapping[str, Any], ground: geometry.Parcel, mix: set[str], p: InForce) -> None:
    domain = p["measurement.domain"]
    routes = [route for route in ROUTES if plot[route] is not None]
    if len(routes) > 1:
        raise _invalid(f"{pointer}/{routes[1]}", f"the trees of this plot are told by its {routes[0]} already")
    if not routes and plot["shrubs"] is None:
        raise _invalid(pointer, "a plot tells of trees, volumes, biomasses or shrubs, be it that there are none")
    if plot["position"] is not None:
        away = geometry.distance_m(ground, *plot["position"])
        if not away <= p["measurement.position_tolerance"]:
            raise _invalid(f"{pointer}/position", f"lies {away:.0f} m outside of the parcel")
    low, high = domain["plot_m2"]
    if plot["trees"] is not None and not (plot["area_m2"] is not None and low <= plot["area_m2"] <= high):
        raise _invalid(f"{pointer}/area_m2", f"a plot of single trees has an area from {low} to {high} m2")
    for where, one in _cohorts(pointer, plot):
        species = one["species"]
        tree = p[f"species.{species}"]["form"] == "tree"
        if species not in mix:
            raise _invalid(f"{where}/species", f"{species} is not in the mix of this asset's register entry")
        if tree == ("crown_cover" in one):
            raise _invalid(f"{where}/species", f"{species} is a {'tree' if tree else 'shrub'}, told another way")
        if "diameter_cm" in one:
            _check_tree(where, one, domain, p)
    for name, most, unit in (("volume_m3_ha", "plot_volume", "m3/ha"), ("above_ground_t_ha", "plot_biomass", "t/ha")):
        told = [float(one[name]) for _, one in _cohorts(pointer, plot) if name in one]
        if sum(told) > domain[most]:
            raise _invalid(f"{pointer}/{routes[0]}", f"{sum(told):.0f} {unit} on a plot; {domain[most]} is the most")
    if sum((shrub["crown_cover"] for shrub in plot["shrubs"] or ()), Decimal(0)) > 1:
        raise _invalid(f"{pointer}/shrubs", "crowns cover no more than the whole plot")


def _check_tree(where: str, tree: Mapping[str, Any], domain: Mapping[str, Any], p: InForce) -> None:
    species = tree["species"]
    if f"allometry.{species}" not in p.entries and f"allometry_log.{species}" not in p.entries:
        raise _invalid(f"{where}/species", f"there is no allometric equation of {species}; tell its volume")
    for name, unit in (("diameter_cm", "cm"), ("height_m", "m")):
        if not 0 < tree[name] <= domain[name]:
            raise _invalid(f"{where}/{name}", f"a tree has more than 0 and at most {domain[name]} {unit}")
    if float(slenderness(float(tree["diameter_cm"]), float(tree["height_m"]))) > domain["slenderness"]:
        raise _invalid(f"{where}/height_m", "no tree stands that is so tall for its diameter; are the units right?")


def _cohorts(pointer: str, plot: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Whatever a plot tells of, with its pointer."""
    for kind in (*ROUTES, "shrubs"):
        for number, one in enumerate(plot[kind] or ()):
            yield f"{pointer}/{kind}/{number}", one


def _check_result(survey: Survey, outputs: Mapping[str, Any], p: InForce) -> None:
    """Refuse a stock that no such stand can have."""
    stock = outputs["stock"]
    if stock["half_width"] > 1:
        raise _invalid("/strata", "the 90 % interval of the stock reaches below nothing; more plots are needed")
    if outputs["carbon_tc_ha"] > p["measurement.largest_carbon"]:
        most = p["measurement.largest_carbon"]
        raise _invalid("/strata", f"{outputs['carbon_tc_ha']:.1f} tC/ha; no stand of the region holds over {most}")
    volume, age = outputs["volume_m3_ha"], outputs["age"]
    if volume is not None and volume > largest_volume(age, p["measurement.largest_increment"]):
        raise _invalid("/strata", f"{volume:.0f} m3/ha cannot stand at an age of {age:.1f} years")
    if outputs["crown_cover"] is not None and outputs["crown_cover"] > 1:
        raise _invalid("/strata", "the shrubs measured cover more than their share of the register's mix")


# -- derivation -------------------------------------------------------------------------------------------------------


@dataclass
class _Plot:
    """A plot, per hectare."""

    #: Living biomass of trees with roots [t d.m./ha] and its carbon [tC/ha].
    biomass: float = 0.0
    carbon: float = 0.0
    #: Growing stock by species [m3/ha]; none where biomass was told without it.
    volumes: dict[str, float] | None = field(default_factory=dict)
    covers: dict[str, float] = field(default_factory=dict)


def derive(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Measure an asset: a pure function of JSON data, all that a reproduction needs."""
    facts, p = inputs["asset"], inputs["parameters"]
    measured_on = date.fromisoformat(inputs["measured_on"])
    area = float(facts["area_ha"])
    if facts["kind"] != "forest":
        return _derive_ground(inputs, area, measured_on)
    areas = [float(stratum["area_ha"]) for stratum in inputs["strata"]]
    strata = [[_plot(plot, p) for plot in stratum["plots"]] for stratum in inputs["strata"]]
    for stratum in strata:
        if np.mean([sum(plot.covers.values()) for plot in stratum]) < p.get("shrub.cover_floor", 0.0):
            for plot in stratum:
                plot.covers.clear()
    trees = [[float(carbon_dioxide(carbon)) for carbon in (plot.carbon for plot in stratum)] for stratum in strata]
    shrubs = [[_shrub_density(plot, p) for plot in stratum] for stratum in strata]
    sums = [[t + s for t, s in zip(*both, strict=True)] for both in zip(trees, shrubs, strict=True)]
    stock = area * stratified_mean(areas, sums)
    half_width = area * stratified_half_width(areas, sums, p["uncertainty.confidence"])
    tree_stock = area * stratified_mean(areas, trees)
    age = age_of(facts, measured_on)
    volume = _equivalent_volume(facts, p, area, tree_stock)
    routes = _routes(facts, p, areas, strata, _told(inputs["strata"]))
    outputs: dict[str, Any] = {
        "age": _round(age),
        "stock": _figure(stock, half_width, p),
        "stock_tco2e_ha": _round(stock / area),
        "carbon_tc_ha": _round(stratified_mean(areas, sums) / CO2_PER_CARBON),
        "biomass_t_ha": _round(stratified_mean(areas, [[plot.biomass for plot in stratum] for stratum in strata])),
        "tree_stock": _round(tree_stock),
        "volume_m3_ha": volume,
        "crown_cover": _equivalent_cover(facts, p, area, stock - tree_stock),
        "plots": sum(map(len, strata)),
        "strata": [
            {
                "name": stratum["name"],
                "area_ha": stratum["area_ha"],
                "mean": _round(float(np.mean(values))),
                "variance": _round(stratum_variance(values)),
                "plots": {plot["name"]: _round(value) for plot, value in zip(stratum["plots"], values, strict=True)},
            }
            for stratum, values in zip(inputs["strata"], sums, strict=True)
        ],
        "routes": routes,
        "model_sigma": _round(route_spread(list(routes.values()))) if len(routes) > 1 else None,
        "pools": _pools(inputs, p, area, tree_stock, measured_on),
        "locality": _locality(facts, p, volume, carbon=tree_stock / area / CO2_PER_CARBON, age=age),
    }
    outputs["change"] = _change(outputs, inputs["previous"], area, measured_on, p)
    outputs["growth"] = _growth(inputs, p, volume, age)
    return outputs


def _plot(plot: Mapping[str, Any], p: Mapping[str, Any]) -> _Plot:
    read = _Plot(covers={shrub["species"]: float(shrub["crown_cover"]) for shrub in plot["shrubs"] or ()})
    for species in sorted({tree["species"] for tree in plot["trees"] or ()}):
        one = [tree for tree in plot["trees"] if tree["species"] == species]
        _add_trees(read, species, one, float(plot["area_m2"]), p)
    for told in plot["volumes"] or ():
        species, volume = told["species"], float(told["volume_m3_ha"])
        chain = (p[f"{name}.{species}"] for name in _CHAIN[:3])
        _add(read, species, float(biomass_from_volume(volume, *chain)), p, volume)
    for told in plot["biomasses"] or ():
        shoots = float(told["above_ground_t_ha"])
        roots = root_ratio(shoots, **p["artool14.root_ratio"]) if shoots else 0.0
        _add(read, told["species"], float(shoots * (1 + roots)), p, None if shoots else 0.0)
    return read


def _add_trees(
    read: _Plot, species: str, trees: Sequence[Mapping[str, Any]], area_m2: float, p: Mapping[str, Any]
) -> None:
    diameters = np.array([float(tree["diameter_cm"]) for tree in trees])
    heights = np.array([float(tree["height_m"]) for tree in trees])
    if f"allometry.{species}" in p:
        equations = p[f"allometry.{species}"]
        organs = {organ: tree_biomass(diameters, heights, *numbers) for organ, numbers in equations.items()}
    else:
        equations = p[f"allometry_log.{species}"]
        organs = {organ: allometric_biomass(diameters, heights, *numbers) for organ, numbers in equations.items()}
    per_ha = {organ: plot_biomass(np.asarray(kilograms), area_m2) for organ, kilograms in organs.items()}
    biomass = sum(per_ha.values())
    if "root" not in per_ha:
        biomass *= 1 + float(root_ratio(biomass, **p["artool14.root_ratio"]))
    _add(read, species, biomass, p, stem_volume(per_ha["stem"], p[f"wood_density.{species}"]))


def _add(read: _Plot, species: str, biomass: float, p: Mapping[str, Any], volume: Any) -> None:
    read.biomass += biomass
    read.carbon += carbon_from_biomass(biomass, p[f"carbon_fraction.{species}"])  # type: ignore[assignment]
    if volume is None or read.volumes is None:
        read.volumes = None
    else:
        read.volumes[species] = read.volumes.get(species, 0.0) + float(volume)


def _shrub_density(plot: _Plot, p: Mapping[str, Any]) -> float:
    """Stock of a plot's shrubs. [tCO2e/ha]"""
    return sum(_shrub_unit(species, p) * cover for species, cover in sorted(plot.covers.items()))


def _shrub_unit(species: str, p: Mapping[str, Any]) -> float:
    """Stock of a hectare that a shrub covers whole. [tCO2e/ha]"""
    numbers = (p["shrub.forest_biomass"], p["shrub.biomass_ratio"], p["shrub.root_ratio"])
    return float(shrub_stock([1.0], [1.0], *numbers, p[f"carbon_fraction.{species}"], 0.0)[0])


def _shares(facts: Mapping[str, Any], p: Mapping[str, Any], form: str) -> dict[str, float]:
    """Share of the area by species of a life form."""
    shares = {one["species"]: float(one["share"]) for one in facts["species"]}
    return {species: share for species, share in shares.items() if p[f"species.{species}"]["form"] == form}


def _equivalent_volume(facts: Mapping[str, Any], p: Mapping[str, Any], area: float, stock: float) -> float | None:
    shares = _shares(facts, p, "tree")
    if not shares:
        return None
    chain = ([p[f"{name}.{species}"] for species in shares] for name in _CHAIN)
    return round(float(equivalent_volume(stock, [area * share for share in shares.values()], *chain)), 3)


def _equivalent_cover(facts: Mapping[str, Any], p: Mapping[str, Any], area: float, stock: float) -> float | None:
    shares = _shares(facts, p, "shrub")
    if not shares:
        return None
    return round(stock / sum(area * share * _shrub_unit(species, p) for species, share in shares.items()), 4)


def _told(strata: Sequence[Mapping[str, Any]]) -> str:
    """The route that the trees were measured by."""
    told = {route for stratum in strata for plot in stratum["plots"] for route in ROUTES if plot[route]}
    names = {"trees": "allometry", "volumes": "expansion", "biomasses": "biomass"}
    return names[told.pop()] if len(told) == 1 else "mixed"


def _routes(
    facts: Mapping[str, Any],
    p: Mapping[str, Any],
    areas: Sequence[float],
    strata: Sequence[Sequence[_Plot]],
    measured_by: str,
) -> dict[str, float]:
    """Living biomass with roots by each route that says something of this stand, per hectare of trees. [t d.m./ha]"""
    part = sum(_shares(facts, p, "tree").values())
    biomass = stratified_mean(areas, [[plot.biomass for plot in stratum] for stratum in strata])
    if biomass <= 0:
        return {}
    found = {measured_by: biomass / part}
    if any(plot.volumes is None for stratum in strata for plot in stratum):
        return {name: _round(value) for name, value in found.items()}
    volumes = {
        species: stratified_mean(areas, [[(plot.volumes or {}).get(species, 0.0) for plot in s] for s in strata]) / part
        for species in sorted(_shares(facts, p, "tree"))
    }
    total = sum(volumes.values())
    mix = {species: volume / total for species, volume in volumes.items() if volume > 0}
    chain = {species: [p[f"{name}.{species}"] for name in _CHAIN[:3]] for species in mix}
    found["expansion"] = sum(share * float(biomass_from_volume(total, *chain[s])) for s, share in mix.items())
    if all(f"regression.{species}" in p and total >= p[f"regression_floor.{species}"] for species in mix):
        lines = {species: p[f"regression.{species}"] for species in mix}
        floors = {species: p[f"regression_floor.{species}"] for species in mix}
        found["regression"] = sum(
            share * float(biomass_from_regression(total, **lines[s], volume_floor=floors[s]))
            for s, share in mix.items()
        )
    found["ipcc"] = sum(share * _by_ipcc(species, total, p) for species, share in mix.items())
    return {name: _round(value) for name, value in found.items()}


def _by_ipcc(species: str, volume: float, p: Mapping[str, Any]) -> float:
    classes = p[f"ipcc.class.{species}"]
    bcef = float(stepped_bcef(volume, **p["ipcc.bcef." + classes["bcef"]]))
    roots = stepped_root_ratio(
        float(biomass_from_bcef(volume, bcef, 0.0)), **p["ipcc.root_ratio." + classes["root_ratio"]]
    )
    return float(biomass_from_bcef(volume, bcef, float(roots)))


def _figure(value: float, half_width: float, p: Mapping[str, Any]) -> dict[str, float]:
    """A stock with its half-width over it, the share of the half-width given up, and what is left."""
    relative = half_width / value if value > 0 else 0.0
    share = float(discount_share(relative, **p["uncertainty.discount"]))
    return {
        "tonnes": _round(value),
        "half_width": _round(relative),
        "half_width_tonnes": _round(half_width),
        "discount_share": share,
        "discounted": _round(max(0.0, float(discounted_stock(value, half_width, share)))),
    }


def _change(
    now: Mapping[str, Any], before: Mapping[str, Any] | None, area: float, measured_on: date, p: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Change since the measurement before: by plot differences where the plots are the same, else of two samples."""
    if before is None:
        return None
    earlier, earlier_width = before["stock"]["tonnes"], before["stock"]["half_width_tonnes"]
    later, later_width = now["stock"]["tonnes"], now["stock"]["half_width_tonnes"]
    years = (measured_on - date.fromisoformat(before["measured_on"])).days / DAYS_PER_YEAR
    differences = _differences(now["strata"], before["strata"])
    if differences:
        areas = [float(stratum["area_ha"]) for stratum in now["strata"]]
        change = area * stratified_mean(areas, differences)
        width = area * stratified_half_width(areas, differences, p["uncertainty.confidence"])
    else:
        change = float(stock_change(earlier, later))
        width = float(combined_half_width(earlier_width, later_width))
    # A change of nothing has no relative half-width: the whole of its half-width counts.
    relative = width / abs(change) if change else None
    share = float(discount_share(relative, **p["uncertainty.discount"])) if relative is not None else 1.0
    chained = float(chained_stock(earlier, change))
    return {
        "since": before["measured_on"],
        "years": _round(years),
        "remeasured_plots": sum(map(len, differences)),
        "tonnes": _round(change),
        "half_width": None if relative is None else _round(relative),
        "half_width_tonnes": _round(width),
        "discount_share": share,
        "discounted": _round(float(discounted_stock(change, width, share))),
        "per_year": _round(float(annual_change(earlier, earlier + change, years))),
        # The chain is another estimate of the same stock only where the change comes from plot differences.
        "chained": _figure(max(0.0, chained), float(combined_half_width(earlier_width, width)), p)
        if differences
        else None,
    }


def _differences(now: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Later less earlier on the plots measured both times; nothing unless each stratum has two of them."""
    earlier = {stratum["name"]: stratum for stratum in before}
    if [(s["name"], s["area_ha"]) for s in now] != [(s["name"], s["area_ha"]) for s in before]:
        return []
    found = [
        [
            value - earlier[s["name"]]["plots"][plot]
            for plot, value in s["plots"].items()
            if plot in earlier[s["name"]]["plots"]
        ]
        for s in now
    ]
    return found if all(len(differences) >= 2 for differences in found) else []


def _growth(inputs: Mapping[str, Any], p: Mapping[str, Any], volume: float | None, age: float) -> dict[str, Any]:
    """A curve of the stand's own, if its measurements give one."""
    rule = p["growth.fit"]
    series = [*inputs["history"], [_round(age), volume]]
    told: dict[str, Any] = {"measurements": len(series), "needed": rule["measurements"], "curve": None, "sigma": None}
    try:
        if volume is None:
            raise _NoCurveError(_NO_TREES)
        if inputs["disturbed"]:
            raise _NoCurveError(_DISTURBED)
        if len(series) < rule["measurements"]:
            raise _NoCurveError(_too_few(len(series), rule["measurements"]))
        ages, volumes = zip(*series, strict=True)
        fit = fitted_richards(ages, volumes, rule["lower"], rule["upper"])
        sigma = fit_sigma(fit, age, age + p["valuation.horizon"])
        if sigma > rule["largest_sigma"]:
            raise _NoCurveError(_UNSURE)
    except _NoCurveError as no:
        return told | {"reason": _reason(no.reason)}
    except ValueError:
        return told | {"reason": _reason(_NOT_TOLD)}
    curve = {name: round(value, 9) for name, value in asdict(fit).items() if name in ("asymptote", "rate", "shape")}
    covariance = [[float(f"{value:.9g}") for value in row] for row in fit.covariance]
    found = {"curve": curve, "covariance": covariance, "residual": _round(fit.residual), "sigma": _round(sigma)}
    return told | found | {"reason": None}


class _NoCurveError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.en)
        self.reason = reason


_NO_TREES = Reason(
    code="no_trees", zh="登记树种中没有乔木，不拟合生长曲线", en="the mix holds no trees; shrubs are claimed no growth"
)
_DISTURBED = Reason(
    code="disturbed",
    zh="历次测量之间有损失或采伐，测量值不代表一条生长曲线；沿用默认曲线",
    en="a loss lies between the measurements, so they are not of one curve; the default curve stands",
)
_UNSURE = Reason(
    code="unsure",
    zh="拟合曲线的生长误差过大，沿用默认曲线",
    en="the growth of the fitted curve is too unsure; the default curve stands",
)
_NOT_TOLD = Reason(
    code="not_told",
    zh="测量值不足以确定曲线，沿用默认曲线",
    en="the measurements do not tell a curve; the default curve stands",
)


def _too_few(count: int, needed: int) -> Reason:
    return Reason(
        code="too_few_measurements",
        zh=f"只有{count}次测量，拟合自有生长曲线至少需要{needed}次；沿用默认曲线",
        en=f"{count} measurements; a curve of the stand's own needs {needed}; the default curve stands",
    )


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "zh": reason.zh, "en": reason.en}


def _pools(
    inputs: Mapping[str, Any], p: Mapping[str, Any], area: float, tree_stock: float, measured_on: date
) -> dict[str, float | None]:
    """Stocks beside the living trees by default factors, none of them checked. [tCO2e]"""
    soil = soil_density(inputs["soil"], p, measured_on, grows=True) if inputs["soil"] else None
    return {
        "dead_wood": _round(float(default_pool(tree_stock, p["dead_wood.factor"]))),
        "litter": _round(float(default_pool(tree_stock, p["litter.factor"]))),
        "soil": None if soil is None else _round(float(carbon_dioxide(area * soil))),
    }


def _locality(
    facts: Mapping[str, Any], p: Mapping[str, Any], volume: float | None, carbon: float, age: float
) -> dict[str, Any]:
    """How the stand compares with what is known of the region."""
    city = mean_volume(**p["locality.target"], mu_per_ha=p["locality.mu_per_ha"])
    line = None
    if len(facts["species"]) == 1 and f"growth.carbon_line.{facts['species'][0]['species']}" in p:
        numbers = p[f"growth.carbon_line.{facts['species'][0]['species']}"]
        if numbers["youngest_age"] <= age <= numbers["oldest_age"]:
            line = _round(float(carbon_at_age(age, **numbers)))
    return {
        "city_mean_m3_ha": _round(city),
        "excess_m3_ha": None
        if volume is None
        else _round(float(locality_excess(volume, p["locality.plausible_volume"]))),
        "carbon_tc_ha": _round(carbon),
        "carbon_line_tc_ha": line,
    }


def _derive_ground(inputs: Mapping[str, Any], area: float, measured_on: date) -> dict[str, Any]:
    """Stock of a grassland or a wetland: default factors alone, so nothing is known of its error."""
    p, facts = inputs["parameters"], inputs["asset"]
    stock = ground_stock({"kind": facts["kind"], "soil": inputs["soil"]}, p, area, measured_on)
    return {
        "age": _round(age_of(facts, measured_on)),
        "stock": _figure(stock, 0.0, p),
        "stock_tco2e_ha": _round(stock / area),
        "carbon_tc_ha": _round(stock / area / CO2_PER_CARBON),
        "biomass_t_ha": None,
        "tree_stock": 0.0,
        "volume_m3_ha": None,
        "crown_cover": None,
        "plots": 0,
        "strata": [],
        "routes": {},
        "model_sigma": None,
        "pools": {
            "dead_wood": None,
            "litter": None,
            "soil": _round(
                float(
                    carbon_dioxide(
                        area * soil_density(inputs["soil"], p, measured_on, grows=facts["kind"] == "grassland")
                    )
                )
            ),
        },
        "locality": None,
        "change": None,
        "growth": {"measurements": 0, "needed": 0, "curve": None, "sigma": None, "reason": _reason(_NO_TREES)},
    }


# -- use cases --------------------------------------------------------------------------------------------------------


def take_measurement(session: Session, asset_id: UUID, survey: Survey) -> Measurement:
    """Enter a measurement of an asset of the caller's register; the youngest one is what the next valuation uses."""
    asset = own_asset(session, asset_id)
    p = PARAMETERS.at(clock.today())
    _checked(session, asset, survey, p)
    earlier = list(
        session.scalars(select(Measurement).where(Measurement.asset_id == asset.id).order_by(Measurement.measured_on))
    )
    reversals = list(session.scalars(select(Reversal).where(Reversal.asset_id == asset.id)))
    given = _inputs(asset, survey, [row for row in earlier if row.measured_on < survey.measured_on], reversals, p)
    try:
        outputs = derive(given)
    except ValueError as error:
        # The checks know the usual slips by their place; what a formula refuses beyond them is told in its words.
        raise InvalidError(f"the survey cannot be reckoned: {error}") from None
    _check_result(survey, outputs, p)
    inputs_text, outputs_text = canonical(given), canonical(outputs)
    row = Measurement(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        measured_on=survey.measured_on,
        inputs=inputs_text.decode(),
        inputs_hash=hashlib.sha256(inputs_text).hexdigest(),
        parameters_hash=p.digest,
        engine_version=ENGINE_VERSION,
        outputs=outputs_text.decode(),
        outputs_hash=hashlib.sha256(outputs_text).hexdigest(),
        stock_tonnes=_decimal(outputs["stock"]["tonnes"], 3),
        half_width=_decimal(outputs["stock"]["half_width"], 8),
        discounted_tonnes=_decimal(outputs["stock"]["discounted"], 3),
        volume_m3_ha=_decimal(outputs["volume_m3_ha"], 3),
        crown_cover=_decimal(outputs["crown_cover"], 4),
        in_force=all(other.measured_on < survey.measured_on for other in earlier),
        unverified_parameters=sorted(name for name in given["parameters"] if p.entries[name].verified == "no"),
        entered_at=clock.now(),
    )
    session.add(row)
    if row.in_force:
        _put_in_force(session, asset, row, given, outputs, reversals)
    audit.record(
        session,
        "take_measurement",
        asset.id,
        measurement=str(row.id),
        measured_on=row.measured_on.isoformat(),
        stock=str(row.stock_tonnes),
        inputs_hash=row.inputs_hash,
    )
    session.flush()
    return row


@dataclass(frozen=True)
class Reproduction:
    """Whether a measurement comes out again, byte for byte."""

    measurement_id: UUID
    reproduced: bool
    outputs_hash: str
    outputs_hash_now: str
    engine_version: str
    engine_version_now: str


def reproduce(row: Measurement) -> Reproduction:
    """Derive a measurement again from its stored inputs and compare the bytes."""
    now = hashlib.sha256(canonical(derive(json.loads(row.inputs)))).hexdigest()
    return Reproduction(row.id, now == row.outputs_hash, row.outputs_hash, now, row.engine_version, ENGINE_VERSION)


def _inputs(
    asset: Asset, survey: Survey, earlier: Sequence[Measurement], reversals: Sequence[Reversal], p: InForce
) -> dict[str, Any]:
    """Everything a measurement follows from, as JSON data."""
    soil = None
    if survey.soil:
        since = survey.soil["since"] or date(asset.planted_year, 7, 1)
        soil = {**survey.soil, "since": since.isoformat()}
    first = earlier[0].measured_on if earlier else survey.measured_on
    given = {
        "asset": {
            "area_ha": format(asset.area_ha.normalize(), "f"),
            "kind": asset.kind,
            "planted_year": asset.planted_year,
            "species": [dict(share) for share in asset.species],
        },
        "measured_on": survey.measured_on.isoformat(),
        "strata": _json(survey.strata),
        "soil": soil,
        "history": [[row.results["age"], float(row.volume_m3_ha)] for row in earlier if row.volume_m3_ha is not None],
        "disturbed": any(first <= reversal.occurred_on <= survey.measured_on for reversal in reversals)
        or any(json.loads(row.inputs)["thinnings"] for row in earlier),
        "thinnings": _json(survey.thinnings),
        "rainfall_mm": _json(survey.rainfall_mm),
        "curve": survey.curve,
        "previous": {
            "measured_on": earlier[-1].measured_on.isoformat(),
            **{name: earlier[-1].results[name] for name in ("stock", "strata")},
        }
        if earlier
        else None,
    }
    return given | {"parameters": {name: p[name] for name in _parameter_names(given, p)}}


def _parameter_names(given: Mapping[str, Any], p: InForce) -> list[str]:
    names = set(_COMMON)
    kind, soil = given["asset"]["kind"], given["soil"]
    if kind != "forest":
        return sorted({"uncertainty.discount"} | ground_parameters({"kind": kind, "soil": soil}))
    if soil is None:
        names -= {"soil.state", "soil.transition"}
    else:
        names.add("soil.reference." + soil["reference"])
    for share in given["asset"]["species"]:
        species = share["species"]
        names |= {f"species.{species}", f"carbon_fraction.{species}"}
        if p.entries[f"species.{species}"].value["form"] == "tree":
            names |= {f"{name}.{species}" for name in _CHAIN}
            names |= {f"{name}.{species}" for name in _OF_TREES if f"{name}.{species}" in p.entries}
            classes = p.entries[f"ipcc.class.{species}"].value
            names |= {"ipcc.bcef." + classes["bcef"], "ipcc.root_ratio." + classes["root_ratio"]}
        else:
            names |= set(_SHRUB)
    return sorted(names)


def _put_in_force(
    session: Session,
    asset: Asset,
    row: Measurement,
    given: Mapping[str, Any],
    outputs: Mapping[str, Any],
    reversals: Sequence[Reversal],
) -> None:
    """Let a measurement take the place of what was known of an asset."""
    verified = _verified(session, asset)
    growth = outputs["growth"]
    land = {"kind": asset.kind, "soil": given["soil"]} if asset.kind != "forest" else None
    # A spread of two routes says less than the one that the species has from its literature.
    spread = outputs["model_sigma"] if len(outputs["routes"]) > 2 else None
    survey = given["thinnings"], given["rainfall_mm"], given["curve"]
    asset.measured = {
        "measurement": str(row.id),
        "curve": survey[2] if growth["curve"] is None else growth["curve"],
        "growth_sigma": growth["sigma"],
        "land": land,
        "model_sigma": spread,
        "rainfall_mm": survey[1],
        "thinnings": survey[0],
        "verified": verified,
    }
    asset.measured_on = row.measured_on
    if asset.kind != "forest":
        return
    asset.volume_m3_ha, asset.crown_cover = row.volume_m3_ha, row.crown_cover
    asset.sampling_uncertainty = row.half_width.quantize(Decimal("0.0001"))
    # What was lost before the day is no longer there to be measured; what was lost since is yet to be taken off.
    live = Decimal(1)
    for reversal in reversals:
        if reversal.occurred_on >= row.measured_on:
            live *= 1 - reversal.severity * reversal.damaged_ha / asset.area_ha
    asset.live_share = max(Decimal(0), live.quantize(Decimal("1e-8")))
    above = (outputs["locality"]["excess_m3_ha"] or 0) > 0
    flags = [flag for flag in asset.flags if flag != "volume_above_plausible"]
    asset.flags = [*flags, "volume_above_plausible"] if above else flags


def _verified(session: Session, asset: Asset) -> dict[str, str] | None:
    """The level that issued credits stand on, if there are any: a new measurement does not move what was issued."""
    if not asset.issued_tonnes:
        return None
    level = verified_level(inputs_of(asset, valuation_basis(session, asset.registrar)))
    return {"on": asset.verified_on.isoformat(), "stock": format(level, ".3f")}


def _json(value: Any) -> Any:
    """Decimals as text, for the record."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return value


def _round(value: float) -> float:
    return round(float(value), _DIGITS)


def _decimal(value: float | None, places: int) -> Any:
    return None if value is None else Decimal(str(value)).quantize(Decimal(1).scaleb(-places))


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])

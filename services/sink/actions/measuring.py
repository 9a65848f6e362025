"""What plots say: stratified stock, its error, change, growth and model risk, as a function of JSON data alone.

Volume and crown cover come out as those at which the valuation's own method has the measured stock on the day of the
measurement, so that the two never disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import scipy

from services.sink.actions.ground import ground_stock, soil_density
from services.sink.actions.surveys import COMPARED_ROUTES, ROUTES
from services.sink.actions.valuations import DAYS_PER_YEAR, age_of
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
    stem_volume,
)
from services.sink.formulas.pools import default_pool
from services.sink.formulas.stand import fit_sigma, fitted_richards
from services.sink.formulas.uncertainty import (
    annual_change,
    discount_share,
    discounted_stock,
    stock_change,
    stratified_half_width,
    stratified_mean,
    stratum_variance,
)
from shared.events.parts import Reason

#: Rises when the same inputs would give other outputs.
ENGINE_VERSION = f"1/numpy-{np.__version__}/scipy-{scipy.__version__}"
_DIGITS = 6
CHAIN = ("wood_density", "expansion_factor", "root_ratio", "carbon_fraction")


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
    route = inputs["volume_route"]
    strata = [[_plot(plot, p, route) for plot in stratum["plots"]] for stratum in inputs["strata"]]
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
    routes = _routes(facts, p, areas, strata, _told(inputs["strata"], route))
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


def _plot(plot: Mapping[str, Any], p: Mapping[str, Any], volume_route: str) -> _Plot:
    read = _Plot(covers=_sums(plot["shrubs"], "crown_cover"))
    for species in sorted({tree["species"] for tree in plot["trees"] or ()}):
        one = [tree for tree in plot["trees"] if tree["species"] == species]
        _add_trees(read, species, one, float(plot["area_m2"]), p)
    volumes = _sums(plot["volumes"], "volume_m3_ha")
    for species, biomass in _biomass_of(volumes, volume_route, p).items():
        _add(read, species, biomass, p, volumes[species])
    # The ratio belongs to the biomass of the whole plot, not to that of one species in it.
    shoots = _sums(plot["biomasses"], "above_ground_t_ha")
    total = sum(shoots.values())
    roots = float(root_ratio(total, **p["artool14.root_ratio"])) if total else 0.0
    for species, biomass in shoots.items():
        _add(read, species, biomass * (1 + roots), p, None if biomass else 0.0)
    return read


def _sums(told: Sequence[Mapping[str, Any]] | None, name: str) -> dict[str, float]:
    """What a plot tells by species."""
    sums: dict[str, float] = {}
    for one in told or ():
        sums[one["species"]] = sums.get(one["species"], 0.0) + float(one[name])
    return dict(sorted(sums.items()))


def _biomass_of(volumes: Mapping[str, float], route: str, p: Mapping[str, Any]) -> dict[str, float]:
    """Living biomass with roots by species; a mix takes each species' figure at the volume of all. [t d.m./ha]"""
    total = sum(volumes.values())
    if not total:
        return dict.fromkeys(volumes, 0.0)
    return {species: volume / total * _by(route, species, total, p) for species, volume in volumes.items()}


def _by(route: str, species: str, volume: float, p: Mapping[str, Any]) -> float:
    """Living biomass with roots of a pure stand by a route from its volume. [t d.m./ha]"""
    if route == "expansion":
        return float(biomass_from_volume(volume, *(p[f"{name}.{species}"] for name in CHAIN[:3])))
    if route == "regression":
        line, floor = p[f"regression.{species}"], p[f"regression_floor.{species}"]
        return float(biomass_from_regression(volume, **line, volume_floor=floor))
    if route == "artool14":
        shoots = volume * p[f"wood_density.{species}"] * p["artool14.expansion_factor"]
        return float(shoots * (1 + root_ratio(shoots, **p["artool14.root_ratio"])))
    classes = p[f"ipcc.class.{species}"]
    bcef = float(stepped_bcef(volume, **p["ipcc.bcef." + classes["bcef"]]))
    shoots = float(biomass_from_bcef(volume, bcef, 0.0))
    roots = stepped_root_ratio(shoots, **p["ipcc.root_ratio." + classes["root_ratio"]])
    return float(biomass_from_bcef(volume, bcef, float(roots)))


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
    chain = ([p[f"{name}.{species}"] for species in shares] for name in CHAIN)
    return round(float(equivalent_volume(stock, [area * share for share in shares.values()], *chain)), 3)


def _equivalent_cover(facts: Mapping[str, Any], p: Mapping[str, Any], area: float, stock: float) -> float | None:
    shares = _shares(facts, p, "shrub")
    if not shares:
        return None
    return round(stock / sum(area * share * _shrub_unit(species, p) for species, share in shares.items()), 4)


def _told(strata: Sequence[Mapping[str, Any]], volume_route: str) -> str:
    """The route that the trees were measured by."""
    told = {route for stratum in strata for plot in stratum["plots"] for route in ROUTES if plot[route]}
    names = {"trees": "allometry", "volumes": volume_route, "biomasses": "biomass"}
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
    volumes = {species: volume for species, volume in volumes.items() if volume > 0}
    total = sum(volumes.values())
    for route in COMPARED_ROUTES:
        if route != "regression" or all(total >= p.get(f"regression_floor.{one}", np.inf) for one in volumes):
            found.setdefault(route, sum(_biomass_of(volumes, route, p).values()))
    return {name: _round(value) for name, value in found.items()}


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
    # Six digits: a search ends a little elsewhere on another machine.
    curve = {name: _digits(getattr(fit, name)) for name in ("asymptote", "rate", "shape")}
    covariance = [[_digits(value) for value in row] for row in fit.covariance]
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


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _round(value: float) -> float:
    return round(float(value), _DIGITS)

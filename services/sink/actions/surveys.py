"""Surveys: what a surveyor hands in, and what of it cannot be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from services.sink.actions import geometry
from services.sink.actions.parameters import PARAMETERS
from services.sink.formulas.measurement import slenderness
from services.sink.formulas.stand import largest_volume
from services.sink.tables import Asset
from shared import clock
from shared.errors import InvalidError
from shared.parameters import InForce

ROUTES = ("trees", "volumes", "biomasses")
#: From volume to biomass: by the national factors, the national regression, the IPCC's defaults.
COMPARED_ROUTES = ("expansion", "regression", "ipcc")
#: The CDM tool's one factor for all species may be chosen; how far the routes are apart is told by the three alone.
VOLUME_ROUTES = (*COMPARED_ROUTES, "artool14")
CURVES = ("richards", "table")
SOILS = tuple(name.removeprefix("soil.reference.") for name in PARAMETERS.entries if name.startswith("soil.reference."))
SOIL_STATES = ("undisturbed", "moderately_degraded", "long_cultivated", "severely_degraded")


@dataclass(frozen=True)
class Survey:
    """What a surveyor hands in; each tells all there is to tell, whatever the one before said.

    Only the trees of before the project stay as they were told until another survey tells of them.
    """

    measured_on: date
    strata: Sequence[Mapping[str, Any]] = ()
    soil: Mapping[str, Any] | None = None
    rainfall_mm: Decimal | None = None
    volume_route: str = "expansion"
    curve: str = "richards"
    thinnings: Sequence[Mapping[str, Any]] = ()
    #: Share of the ground under the crowns of trees that stood there before the project.
    baseline_cover: Decimal | None = None


def check_survey(asset: Asset, survey: Survey, p: InForce) -> None:
    """See that the survey can be of this asset."""
    if survey.measured_on > clock.today():
        raise _invalid("/measured_on", "lies in the future")
    if survey.measured_on.year < asset.planted_year:
        raise _invalid("/measured_on", "lies before the planting")
    if survey.soil and (survey.soil["since"] or survey.measured_on) > survey.measured_on:
        raise _invalid("/soil/since", "lies after the measurement")
    _check_growth(asset, survey, p)
    if asset.kind != "forest":
        if survey.baseline_cover is not None:
            raise _invalid("/baseline_cover", f"a {asset.kind} has no trees from before a planting")
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
            if survey.volume_route == "regression":
                _check_regression(f"/strata/{at}/plots/{number}/volumes", plot["volumes"] or (), p)


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


def _check_regression(pointer: str, volumes: Sequence[Mapping[str, Any]], p: InForce) -> None:
    total = sum(float(one["volume_m3_ha"]) for one in volumes)
    for number, one in enumerate(volumes):
        floor = p.entries.get(f"regression_floor.{one['species']}")
        if floor is None:
            raise _invalid(f"{pointer}/{number}/species", f"there is no regression for {one['species']}")
        if 0 < total < floor.value:
            raise _invalid(f"{pointer}/{number}", f"the regression says nothing of a stand below {floor.value} m3/ha")


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


def check_result(outputs: Mapping[str, Any], p: InForce) -> None:
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


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])

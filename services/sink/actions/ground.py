"""Ground that holds carbon without trees: soil by default factors, and the grass on it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from services.sink.formulas.biomass import carbon_dioxide
from services.sink.formulas.pools import grass_stock, soil_carbon, soil_gain

DAYS_PER_YEAR = 365.25


def soil_density(soil: Mapping[str, Any], p: Mapping[str, Any], day: date, *, grows: bool) -> float:
    """Soil carbon on a day: that of the state before, and what was gained since. [tC/ha]"""
    reference = p["soil.reference." + soil["reference"]]
    before = float(soil_carbon(reference, 1.0, p["soil.state"][soil["state_before"]], 1.0, 1.0))
    if not grows:
        return before
    years = max(0.0, (day - date.fromisoformat(soil["since"])).days / DAYS_PER_YEAR)
    transition = p["soil.transition"]
    return before + float(soil_gain(years, before, reference, transition["years"], transition["largest_rate"]))


def ground_stock(land: Mapping[str, Any], p: Mapping[str, Any], area_ha: float, day: date) -> float:
    """Stock of a grassland or a wetland on a day. [tCO2e]

    A wetland is claimed no growth: what its soil gains, its methane may take back, and nothing here measures methane.
    """
    soil = soil_density(land["soil"], p, day, grows=land["kind"] == "grassland")
    if land["kind"] == "wetland":
        return float(carbon_dioxide(area_ha * soil))
    grass = p["grassland.biomass"]
    return float(grass_stock(area_ha, **grass, soil=soil))


def ground_parameters(land: Mapping[str, Any]) -> set[str]:
    """Names of the coefficients that the stock of a ground rests on."""
    names = {"soil.reference." + land["soil"]["reference"], "soil.state", "soil.transition"}
    return names | ({"grassland.biomass"} if land["kind"] == "grassland" else set())

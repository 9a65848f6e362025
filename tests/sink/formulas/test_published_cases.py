"""The published and derived reference cases, by id, at the tolerance stated in each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.sink.formulas import biomass, buffer, ecosystem, growth, price, uncertainty, valuation

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases" / "carbon.json").read_text(encoding="utf-8"))
LADDER = ((0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1))
NPRT_LOSSES, NPRT_PERIODS = (0.05, 0.25, 0.50, 0.70), (10, 25, 50, 100)
NPRT_SCORES = [[4, 3, 2, 1, 1], [5, 4, 3, 2, 1], [20, 5, 4, 3, 2], [30, 20, 5, 4, 3], [np.inf, 30, 20, 5, 4]]
LARCH_ORGANS = {"leaf": (0.0441, 0.5844), "branch": (0.0386, 0.7492), "stem": (0.0462, 0.8647), "root": (0.0142, 0.889)}
WEICHANG = {"asymptote": 286.44, "rate": 0.05275, "shape": 2.410}
Inputs = dict[str, Any]


def discount(inputs: Inputs) -> dict[str, Any]:
    mean, half_width = inputs["mean"], inputs["half_width"]
    width = uncertainty.relative_half_width(mean, half_width)
    share = float(uncertainty.discount_share(width, *LADDER))
    return {
        "U": width,
        "share": share,
        "project": uncertainty.discounted_stock(mean, half_width, share),
        "baseline": uncertainty.discounted_baseline(mean, half_width, share),
    }


def sequestration(inputs: Inputs) -> Any:
    rates = (inputs["price_per_tC"], inputs["discount_rate"], inputs["price_change_rate"], inputs["years"])
    if "delta_tC" in inputs:
        return ecosystem.sequestration_value(inputs["delta_tC"], *rates)
    return ecosystem.sequestration_price(*rates)


def societal_value(inputs: Inputs) -> dict[str, Any]:
    area, net_growth = inputs["S_ha"], inputs["B_t_ha_yr"]
    carbon = ecosystem.ecosystem_carbon_value(area, net_growth, 1200, 1.63, 0.2727, 0.02 / 0.49)
    return {
        "carbon_1e8": carbon / 1e8,
        "oxygen_1e8": ecosystem.ecosystem_oxygen_value(area, net_growth, 1000, 1.19) / 1e8,
    }


def red_pine(inputs: Inputs, expected: list[dict[str, float]]) -> list[dict[str, float]]:
    """Volume, the sum of the shoot pools and the roots; the dead matter is the library's alone."""
    rows = []
    for row in expected:
        shoots = float(biomass.pool_total([row["merch"], row["foliage"], row["other"]]))
        volume = float(growth.volume_at_age(row["t"], 150, 0.06, 2))
        roots = float(biomass.softwood_root_carbon(shoots, 0.222))
        parts = float(biomass.pool_total([row["coarse_roots"], row["fine_roots"]]))
        assert parts == pytest.approx(roots, abs=1e-5)
        rows.append(row | {"V": volume, "AGB": shoots, "BGB": roots})
    return rows


def nprt(inputs: Inputs) -> dict[str, Any]:
    score = float(
        buffer.loss_score(inputs["loss_per_event"], inputs["return_period_y"], NPRT_LOSSES, NPRT_PERIODS, NPRT_SCORES)
    )
    natural = buffer.natural_risk_score(score, inputs["M"])
    total = buffer.total_risk_score(inputs["internal"], inputs["external"], natural)
    fails = buffer.rating_failure(inputs["internal"], inputs["external"], float(natural), (35, 20, 35), 60)
    rating = float(buffer.risk_rating(total, 12))
    return {"LS": score, "natural": natural, "raw_total": total, "rating_pct": rating, "fails": fails}


def pine(inputs: Inputs) -> dict[str, Any]:
    shoots = biomass.biomass_from_bcef(inputs["V"], inputs["BCEF_S"], 0)
    carbon = biomass.carbon_from_biomass(
        biomass.biomass_from_bcef(inputs["V"], inputs["BCEF_S"], inputs["R"]), inputs["CF"]
    )
    return {"AGB_t": shoots, "tC": carbon, "tCO2": biomass.carbon_dioxide(carbon)}


def per_stand(formula: Callable[..., Any], *names: str) -> Callable[[Inputs], dict[str, Any]]:
    return lambda inputs: {stand: formula(*(inputs[name][stand] for name in names)) for stand in inputs["V"]}


def larch_gap(inputs: Inputs) -> float:
    measured = next(case["expected"] for case in CASES if case["id"] == "larch-cumulative")
    return float(np.max(np.abs(growth.volume_at_age(np.array(inputs["ages"], dtype=float), **WEICHANG) - measured)))


FORMULAS: dict[str, Callable[[Inputs], Any]] = {
    "artool14-discount-60-9": discount,
    "invest-price-constant": sequestration,
    "invest-zero-rates": sequestration,
    "invest-pool-sums": lambda i: biomass.pool_total(i["pools"]).tolist(),
    "shandong-densiflora": societal_value,
    "shandong-density": lambda i: biomass.carbon_density(i["stock_Tg"] * 1e6, i["area_ha"]),
    "libcbm-softwood-roots": lambda i: biomass.softwood_root_carbon(i["AGB"], 0.222),
    "artool14-discount-steps": lambda i: uncertainty.discount_share(np.array(i["U"]), *LADDER).tolist(),
    "artool14-root-ratio": lambda i: biomass.root_ratio(np.array(i["b"], dtype=float), -1.085, 0.9256).tolist(),
    "nprt-rating": nprt,
    "libcbm-hardwood-roots": lambda i: biomass.hardwood_root_carbon(i["AGB"], 1.576, 0.615, 0.5),
    "ipcc-pine-v100": pine,
    "larch-allometry": lambda i: {
        organ: biomass.tree_biomass(i["D_cm"], i["H_m"], *numbers) for organ, numbers in LARCH_ORGANS.items()
    },
    "route-zhang": per_stand(lambda v, a, b: biomass.biomass_from_regression(v, a, b, b / a), "V", "a", "b"),
    "route-ipcc": per_stand(biomass.biomass_from_bcef, "V", "BCEF_S", "R"),
    "route-cn-chain": per_stand(biomass.biomass_from_volume, "V", "D", "BEF", "R"),
    "cf-bias": lambda i: {
        species: biomass.carbon_fraction_bias(i["default"], value) for species, value in i["measured"].items()
    },
    "larch-cumulative": lambda i: growth.cumulative_volume(i["ages"], i["increment"]).tolist(),
    "larch-richards": larch_gap,
    "duolun-linear": lambda i: {
        "populus": growth.carbon_at_age(i["populus_age"], 2.17, -14.9, 9, 49),
        "ulmus": growth.carbon_at_age(i["ulmus_age"], 0.43, -4.78, 15, 90),
    },
    "locality-mean": lambda i: growth.mean_volume(i["stock_m3"], i["area_mu"], 15),
    "cea-2021-mean": lambda i: price.mean_price(i["turnover"], i["t"]),
    "cea-2025-change": lambda i: price.price_change(i["mean_2024"], i["mean_2025"]),
    "ccer-2020-mean": lambda i: price.mean_price(i["turnover"], i["t"]),
    "pledge-per-tonne": lambda i: valuation.loan_per_tonne(i["loan"], i["t"]),
    "ccer-liquidity": lambda i: 100 * price.turnover_share(i["block_t"], i["turnover_t"]),
    "price-sigma": lambda i: price.volatility(i["log_returns"]),
    "stress-log": lambda i: 100 * float(price.simple_return(i["log_return"])),
}


def numbers(value: Any) -> list[float]:
    """Every number of a nested answer, in the order of its keys."""
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in numbers(value[key])]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [float(value)]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_published_case_is_met_at_its_tolerance(case: dict[str, Any]) -> None:
    if case["id"] == "libcbm-red-pine":
        answer: Any = red_pine(case["inputs"], case["expected"])
    else:
        answer = FORMULAS[case["id"]](case["inputs"])
    assert numbers(answer) == pytest.approx(numbers(case["expected"]), rel=0, abs=case["tolerance"])


def test_every_case_names_its_source_and_flag() -> None:
    assert {case["id"] for case in CASES} == set(FORMULAS) | {"libcbm-red-pine"}
    assert all(case["source"] and case["verified"] in ("read", "secondary", "no") for case in CASES)

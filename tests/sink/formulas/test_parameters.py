"""The coefficients are dated, sourced and flagged, and the formulas accept them."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from services.sink.formulas import biomass, buffer, growth, price, uncertainty

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[3] / "services" / "sink" / "parameters.yaml").read_text(encoding="utf-8")
)
PARAMETERS: dict[str, list[dict[str, Any]]] = DOCUMENT["parameters"]
SPECIES = [name.removeprefix("species.") for name in PARAMETERS if name.startswith("species.")]
TREES = [species for species in SPECIES if PARAMETERS[f"species.{species}"][0]["value"]["form"] == "tree"]


def latest(name: str) -> Any:
    return PARAMETERS[name][-1]["value"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_entry_is_dated_sourced_and_flagged(name: str) -> None:
    entries = PARAMETERS[name]
    dates = [entry["from"] for entry in entries]
    assert dates == sorted(set(dates))
    for entry in entries:
        assert {"value", "unit", "from", "source", "verified"} <= set(entry) <= {
            "value", "unit", "from", "source", "verified", "note",
        }  # fmt: skip
        assert isinstance(entry["from"], datetime.date)
        assert entry["verified"] in ("read", "secondary", "no")
        assert isinstance(entry["unit"], str)
        assert isinstance(entry["source"], str)


def test_the_species_of_the_region_are_all_there() -> None:
    assert SPECIES == [
        "larix_principis", "pinus_tabuliformis", "pinus_sylvestris_mongolica", "populus_simonii", "ulmus_pumila",
        "platycladus", "hippophae", "caragana", "prunus_sibirica",
    ]  # fmt: skip


@pytest.mark.parametrize("species", TREES)
def test_a_planted_stand_stays_under_its_locality_ceiling(species: str) -> None:
    chain = [latest(f"{name}.{species}") for name in ("wood_density", "expansion_factor", "root_ratio")]
    fraction = latest(f"carbon_fraction.{species}")
    ceiling_tc = latest(f"growth.carbon_ceiling.{species}")
    ceiling = biomass.volume_from_carbon(ceiling_tc, *chain, fraction)
    ages = np.arange(0.0, 121.0)
    curve, age = latest(f"growth.richards.{species}"), latest("growth.reference_age")
    stock = growth.projected_stock(ages, 1, **curve, volume_ceiling=ceiling, reference_age=age, survival=1,
                                   density=chain[0], expansion_factor=chain[1], root_ratio=chain[2],
                                   carbon_fraction=fraction)  # fmt: skip
    assert stock[0] == 0
    assert np.all(np.diff(stock) >= 0)
    assert stock[int(age)] == pytest.approx(44 / 12 * ceiling_tc)
    assert np.all(stock <= 44 / 12 * ceiling_tc * (1 + 1e-12))


@pytest.mark.parametrize("species", TREES)
def test_the_regression_floor_keeps_the_intercept_below_half(species: str) -> None:
    line = latest(f"regression.{species}")
    floor = latest(f"regression_floor.{species}")
    stand = biomass.biomass_from_regression(floor, **line, volume_floor=floor)
    assert line["intercept"] <= stand / 2
    with pytest.raises(ValueError, match="floor"):
        biomass.biomass_from_regression(0.0, **line, volume_floor=floor)


def test_the_tables_have_one_more_value_than_bounds() -> None:
    for name in PARAMETERS:
        value = latest(name)
        if name.startswith("ipcc.bcef."):
            assert len(value["factors"]) == len(value["upper_bounds"]) + 1
        elif name.startswith("ipcc.root_ratio."):
            assert len(value["ratios"]) == len(value["bounds"]) + 1
    table = np.array(latest("nprt.loss_scores"))
    assert table.shape == (len(latest("nprt.loss_bounds")) + 1, len(latest("nprt.period_bounds")) + 1)
    score = buffer.loss_score(0.9, 5, latest("nprt.loss_bounds"), latest("nprt.period_bounds"), table)
    mildest = min(latest("nprt.mitigation").values())
    assert buffer.rating_failure(0, 0, float(score) * mildest, latest("nprt.category_caps"), 60)
    ladder = latest("uncertainty.discount")
    assert float(uncertainty.effective_deduction(0.15, **ladder)) == 0.0375


def test_the_ipcc_tables_give_the_factors_of_the_three_routes() -> None:
    assert float(biomass.stepped_bcef(165, **latest("ipcc.bcef.boreal_larch"))) == 0.77
    assert float(biomass.stepped_bcef(60, **latest("ipcc.bcef.temperate_pines"))) == 0.75
    assert float(biomass.stepped_bcef(80, **latest("ipcc.bcef.temperate_hardwoods"))) == 1.4
    assert float(biomass.stepped_root_ratio(45, **latest("ipcc.root_ratio.temperate_conifer"))) == 0.40
    assert float(biomass.stepped_root_ratio(112, **latest("ipcc.root_ratio.temperate_broadleaf"))) == 0.23


def test_a_tenth_of_a_years_trade_loses_the_largest_discount_seen() -> None:
    names = ("haircut.reference_discount", "haircut.reference_share", "haircut.exponent", "haircut.cap")
    assert float(price.liquidity_haircut(0.10, *(latest(name) for name in names))) == pytest.approx(0.16)

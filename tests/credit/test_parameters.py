"""The coefficients of the credit service are dated, sourced and consistent with each other."""

import datetime
from pathlib import Path

import pytest

from services.credit.scorecard_file import load_scorecard
from shared.parameters import InForce, Parameters

PARAMETERS = Parameters(Path(__file__).parents[2] / "services" / "credit" / "parameters.yaml")


@pytest.fixture
def in_force() -> InForce:
    return PARAMETERS.at(datetime.date(2025, 11, 1))


def test_every_parameter_is_in_force(in_force: InForce) -> None:
    assert set(in_force.entries) == set(PARAMETERS.entries)


def test_no_entry_claims_to_be_read_without_a_source_outside_the_project() -> None:
    for entries in PARAMETERS.entries.values():
        for entry in entries:
            assert entry.verified == "no" or not entry.source.startswith("this project")


def test_levels_stand_in_the_order_a_loan_meets_them(in_force: InForce) -> None:
    acceptance = in_force["maximum_loan_to_value"][in_force["margin_quantile"]]
    assert acceptance <= in_force["cure_loan_to_value"] < in_force["margin_call_loan_to_value"] < 1
    assert in_force["approve_below_default_probability"] < in_force["decline_from_default_probability"]
    assert in_force["stage_days"]["significant"] < in_force["stage_days"]["default"]
    assert in_force["five_class_days"] == sorted(in_force["five_class_days"])


def test_the_scale_is_the_card_s_own(in_force: InForce) -> None:
    assert in_force["score_scale"] == load_scorecard().document["scale"]


def test_every_forest_industry_is_known_to_the_card(in_force: InForce) -> None:
    industry = load_scorecard().document["features"][0]
    known = {value for attribute in industry["attributes"] for value in attribute["values"]}
    assert set(in_force["scorecard_industries"].values()) <= known

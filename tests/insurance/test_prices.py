"""The what-if price: the path of a quote, taken apart so that every fen has a step."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.insurance.actions import PARAMETERS, pricing
from services.insurance.tables import Cover
from shared import clock
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, Client, body, client, deliver
from tests.insurance.examples import HAZARDS, quoted, row, rows, valued

MONEY = {"amount": "500000.00", "currency": "CNY"}


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def asked(**forest: Any) -> dict[str, Any]:
    told = {"county": "youyu", "value": money("1000000.00"), "hazards": {k: str(v) for k, v in HAZARDS.items()}}
    return {"forests": [told | forest], "term_months": 24}


def price(insurer: Client, request: dict[str, Any], **terms: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(insurer.post("/v1/price", request | ({"terms": terms} if terms else {})))
    return found


def amounts(found: dict[str, Any]) -> dict[str, Decimal]:
    return {one["step"]: Decimal(one["amount"]) for one in found["pricing"]["waterfall"]}


def test_a_what_if_is_the_quote_to_the_fen_and_keeps_nothing(insurer: Client, insurance_db: Database) -> None:
    asset, loan = uuid7(), uuid7()
    quoted(insurance_db, asset, loan)
    cover = row(insurance_db, Cover)
    found = price(insurer, {"forests": [{"asset_id": str(asset), "sum_insured": MONEY}], "term_months": 24})
    assert found["outcome"] == "quote"
    assert found["annual_premium"] == money(str(cover.annual_premium))
    assert found["pricing"] == cover.pricing
    assert found["quantile"] == "p50"
    assert len(rows(insurance_db, Cover)) == 1
    shown = body(insurer.get(f"/v1/covers/{cover.id}"))
    assert shown["pricing"] == found["pricing"]


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"deductible": money("20000.00"), "deductible_share": "0"},
        {"franchise": money("50000.00"), "event_limit": money("300000.00"), "insurer_share": "0.8"},
        {"annual_cap": money("400000.00"), "years": 3, "no_claims_years": 2, "prevention": ["patrol", "water_point"]},
        {"subsidy": "gansu_policy", "deductible": money("499999.99")},
    ],
)
def test_the_steps_sum_to_the_premium_and_the_parts_to_the_premium(insurer: Client, terms: dict[str, Any]) -> None:
    found = price(insurer, asked(), **terms)
    premium = Decimal(found["annual_premium"]["amount"])
    assert sum(amounts(found).values()) == premium
    assert sum(map(Decimal, found["pricing"]["split"].values())) == premium
    assert found["pricing"]["split"]["owner"] == found["owner_premium"]["amount"]
    assert all(one["equation"] for one in found["pricing"]["waterfall"])


def test_each_term_takes_something_off(insurer: Client) -> None:
    request = asked(sum_insured=money("900000.00"))
    terms = {
        "deductible": money("9000.00"), "franchise": money("90000.00"), "event_limit": money("600000.00"),
        "insurer_share": "0.9", "annual_cap": money("700000.00"), "years": 2, "no_claims_years": 1,
        "prevention": ["patrol"],
    }  # fmt: skip
    found = amounts(price(insurer, request, **terms))
    taken = ("deductible_share", "deductible", "franchise", "limit", "insurer_share", "annual_cap", "multi_year",
             "no_claims", "prevention_patrol")  # fmt: skip
    assert {name: found[name] < 0 for name in taken} == dict.fromkeys(taken, True)
    assert all(found[name] > 0 for name in ("loss_fire", "risk_margin", "expense", "commission", "tax", "profit"))


def test_technical_and_filed_rate_stand_side_by_side(insurer: Client) -> None:
    found = price(insurer, asked())["pricing"]
    technical, filed = Decimal(found["technical_rate"]), Decimal(found["filed_rate"])
    assert filed == Decimal(str(PARAMETERS.at(clock.today())["filed_rate"]))
    assert abs(technical / filed - 1 - Decimal(found["deviation"])) < Decimal("0.00001")


@pytest.mark.parametrize("peril", list(HAZARDS))
def test_a_price_never_falls_with_a_hazard(peril: str) -> None:
    p = PARAMETERS.at(clock.today())
    terms = pricing.Terms(0.1, deductible=2_000_000, franchise=3_000_000, event_limit=60_000_000, annual_cap=70_000_000)
    paid = []
    for tenth in range(10):
        hazards = HAZARDS | {peril: Decimal(tenth) / 10}
        one = pricing.Insured("a", "youyu", Decimal("900000.00"), hazards)
        paid.append(pricing.price([one], p, pricing.Steps(), terms).annual_premium)
    assert paid == sorted(paid)
    assert paid[0] < paid[-1]


def test_rating_factors_move_the_rate_of_their_peril_and_are_named(insurer: Client) -> None:
    plain = price(insurer, asked())
    site = {"slope_deg": "30", "fuel": "high", "aspect": "south", "fire_break": "no", "access_km": "7",
            "age_years": "8", "fire_weather": "22", "species": {"larix_principis": "1"}}  # fmt: skip
    steep = price(insurer, asked(**site))
    fire = {name: next(f for f in found["pricing"]["factors"] if f["peril"] == "fire")
            for name, found in (("plain", plain), ("steep", steep))}  # fmt: skip
    assert set(fire["plain"]["factors"]) == {"base_rate", "hazard"}
    assert {"slope_deg", "fuel", "aspect", "species"} <= set(fire["steep"]["factors"])
    product = Decimal(1)
    for factor in fire["steep"]["factors"].values():
        product *= Decimal(factor)
    assert product == pytest.approx(Decimal(fire["steep"]["rate"]), abs=Decimal("1e-6"))
    assert amounts(steep)["loss_fire"] > amounts(plain)["loss_fire"]
    assert "rating_factor.fuel" in steep["unverified_parameters"]
    assert "rating_factor.fuel" not in plain["unverified_parameters"]


def test_each_basis_says_what_is_insured(insurer: Client, insurance_db: Database) -> None:
    asset = uuid7()
    deliver("insurance", insurance_db, valued(asset))
    forest: dict[str, Any] = {"asset_id": str(asset)}
    carbon = price(insurer, {"forests": [forest], "term_months": 12, "quantile": "p10"})
    assert carbon["forests"][0] | {"value": 0} == carbon["forests"][0] | {"value": 0, "limit": money("630000.00")}
    assert carbon["quantile"] == "p10"
    planted = price(insurer, {"forests": [forest], "term_months": 12, "basis": "replanting", "forest_class": "public"})
    assert planted["sum_insured"] == money("750000.00")  # 1,500 mu at 500 yuan
    units = forest | {"tonnes": "1000", "unit_price": money("50.00")}
    found = price(insurer, {"forests": [units], "term_months": 12, "basis": "carbon_units"})
    assert found["sum_insured"] == money("50000.00")
    dear = forest | {"tonnes": "1000000", "unit_price": money("5000.00")}
    found = price(insurer, {"forests": [dear], "term_months": 12, "basis": "carbon_units"})
    assert found["sum_insured"] == money("800000.00")  # 10,000 t that there are, at a spot price of 80


def codes(found: dict[str, Any]) -> list[str]:
    return [one["code"] for one in found["reasons"]]


def test_more_than_the_value_and_longer_than_the_title_are_refused(insurer: Client) -> None:
    assert codes(price(insurer, asked(sum_insured=money("900000.01")))) == ["above_value"]
    assert codes(price(insurer, asked(title_until=(clock.today() + timedelta(days=400)).isoformat()))) == [
        "beyond_tenure"
    ]
    assert codes(price(insurer, asked(hazards={"fire": "0.95"}))) == ["hazard_too_high"]


@pytest.mark.parametrize(
    ("forest", "terms"),
    [
        ({}, {"deductible": money("-1.00")}),
        ({}, {"deductible_share": "-0.1"}),
        ({}, {"franchise": money("500.00"), "event_limit": money("400.00")}),
        ({}, {"event_limit": money("500.00"), "annual_cap": money("400.00")}),
        ({}, {"insurer_share": "0"}),
        ({}, {"insurer_share": "1.1"}),
        ({}, {"prevention": ["prayer"]}),
        ({"hazards": {"fire": "1.5"}}, {}),
        ({"hazards": {"fire": "NaN"}}, {}),
        ({"hazards": {"harvest": "0.5"}}, {}),
        ({"value": money("0.00")}, {}),
        ({"value": None}, {}),
        ({"county": None}, {}),
        ({"asset_id": str(UUID(int=1))}, {}),
        ({"slope_deg": "91"}, {}),
        ({"species": {"larix_principis": "-1"}}, {}),
    ],
)
def test_what_cannot_be_is_refused_in_words(insurer: Client, forest: dict[str, Any], terms: dict[str, Any]) -> None:
    answer = insurer.post("/v1/price", asked(**forest) | {"terms": terms})
    assert answer.status_code == 422
    assert answer.get_json()["detail"]

"""Index covers before they are sold: what is insured, what it costs, how badly it misses."""

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Database
from tests.harness import INSURER, Client, body, client
from tests.insurance.examples import HAZARDS


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


COVERS: dict[str, dict[str, Any]] = {
    "area_index": {"value": money("1000000.00"), "hazards": {k: str(v) for k, v in HAZARDS.items()}},
    "remote_sensing": {"value": money("1000000.00"), "target_t": "13626", "unit_price": money("35.00")},
    "price_floor": {"tonnes": "1000", "floor": money("80.00"), "spot_price": money("85.00")},
}


def price(insurer: Client, kind: str, **more: Any) -> dict[str, Any]:
    asked = {"kind": kind, "limit": money("400000.00")} | COVERS[kind] | more
    found: dict[str, Any] = body(insurer.post("/v1/index-price", asked))
    return found


@pytest.mark.parametrize("kind", list(COVERS))
def test_a_cover_shows_what_is_insured_and_its_basis_risk_and_says_the_same_again(insurer: Client, kind: str) -> None:
    found = price(insurer, kind)
    assert found == price(insurer, kind)
    assert found["quantity_zh"]
    assert found["quantity_en"]
    risk = found["basis_risk"]
    assert all(0 <= Decimal(risk[name]) <= 1 for name in risk)
    assert Decimal(risk["uncovered_share"]) > 0
    assert Decimal(found["annual_premium"]["amount"]) > Decimal(found["expected_payout"]["amount"]) > 0
    rate = Decimal(found["annual_premium"]["amount"]) / Decimal("400000.00")
    assert Decimal(found["rate_on_line"]) == pytest.approx(rate, abs=Decimal("1e-8"))
    assert "index_simulation" in found["unverified_parameters"]


def test_the_wording_tells_carbon_lost_from_carbon_emitted(insurer: Client) -> None:
    for kind in ("area_index", "remote_sensing"):
        found = price(insurer, kind)
        assert "emitted" in found["quantity_en"]
        assert "排放" in found["quantity_zh"]


def test_an_index_costs_no_less_where_the_hazard_is_higher(insurer: Client) -> None:
    paid = [
        Decimal(price(insurer, "area_index", hazards={"fire": score})["expected_payout"]["amount"])
        for score in ("0.1", "0.5", "0.9")
    ]
    assert paid == sorted(paid)
    assert paid[0] < paid[-1]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("area_index", {"value": None}),
        ("remote_sensing", {"target_t": None}),
        ("price_floor", {"floor": None}),
        ("price_floor", {"tonnes": "-1"}),
        ("area_index", {"limit": money("0.00")}),
        ("area_index", {"hazards": {"fire": "2"}}),
    ],
)
def test_what_cannot_be_priced_is_refused_by_name(insurer: Client, kind: str, more: dict[str, Any]) -> None:
    answer = insurer.post("/v1/index-price", {"kind": kind, "limit": money("400000.00")} | COVERS[kind] | more)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"].startswith("/")

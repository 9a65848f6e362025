"""Peril models that price: signed, registered, approved by others, and said so in each price."""

from typing import Any

import pytest

from services.insurance.actions import models
from services.insurance.peril_model import served_model
from shared.artefacts import written
from tests.conftest import Database
from tests.harness import INSURER, Client, body, client
from tests.insurance.peril_models import document, promoted, signed


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    # What a process remembers of the register is of another test's database.
    models._remembered.clear()
    return client("insurance", insurance_db, "insurer", INSURER)


def refused(database: Database, content: bytes) -> str:
    """Why a model is not registered."""
    answer = client("insurance", database, "modeller", INSURER, "ann").send("/v1/models?kind=peril-fire", content)
    assert answer.status_code == 422
    detail: str = answer.get_json()["detail"]
    return detail


def fire(insurer: Client, **covariates: str) -> dict[str, Any]:
    money = {"amount": "1000000.00", "currency": "CNY"}
    forest = {"county": "youyu", "value": money, "hazards": {"fire": "0.4"}, "covariates": covariates}
    found = body(insurer.post("/v1/price", {"forests": [forest], "term_months": 12}))
    one: dict[str, Any] = next(f for f in found["pricing"]["factors"] if f["peril"] == "fire")
    return one


def test_a_promoted_model_prices_its_peril_with_interval_band_and_burning_cost(
    insurer: Client, insurance_db: Database
) -> None:
    assert fire(insurer, x="3")["source"] == "dated rates: no model of this peril is served"
    shown = promoted(insurance_db, signed(document()))
    assert shown["state"] == "champion"
    found = fire(insurer, x="3")
    model = served_model(document(), "", "fire")
    rate = float(model.rates({"x": [3.0]})[0])
    assert float(found["rate"]) == pytest.approx(rate, abs=1e-10)
    told = found["model"]
    low, high = map(float, told["parameter_interval_90"])
    assert low < rate < high
    assert float(told["year_band_90"][0]) <= rate <= float(told["year_band_90"][1])
    assert float(told["burning_cost_rate"]) == pytest.approx(document()["annual"]["burning_cost"] / 10_000, abs=1e-9)
    assert told["sha256"] == shown["sha256"]
    assert fire(insurer)["source"] == "dated rates: the model needs x"


def test_a_model_of_another_region_prices_nothing(insurer: Client, insurance_db: Database) -> None:
    promoted(insurance_db, signed(document(region="ES-CM")))
    assert fire(insurer, x="3")["source"] == "dated rates: the model is of ES-CM, not of CN-SX"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ({"peril": "pest"}, "a model of pest"),
        ({"unit_size": 0}, "no unit_size"),
        ({"parity": []}, "parity rows"),
        ({"severity": {}}, "no peril model"),
    ],
)
def test_a_model_that_cannot_price_is_not_registered(
    insurer: Client, insurance_db: Database, harm: dict[str, Any], told: str
) -> None:
    assert told in refused(insurance_db, signed(document(**harm)))


def test_one_altered_byte_is_found(insurer: Client, insurance_db: Database) -> None:
    content = signed(document())
    altered = content.replace(b'"unit_size": 10000', b'"unit_size": 10001')
    assert altered != content != written({})
    assert "unit_size" in refused(insurance_db, altered)

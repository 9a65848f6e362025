"""Peril models that price: signed, registered, approved by others, and said so in each price."""

from typing import Any

import pytest

from services.insurance.actions import models
from services.insurance.peril_model import served_model
from shared.artefacts import written
from tests.conftest import Database
from tests.harness import INSURER, Client, body, client
from tests.insurance.peril_models import document, signed


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    # What a process remembers of the register is of another test's database.
    models._remembered.clear()
    return client("insurance", insurance_db, "insurer", INSURER)


def promoted(database: Database, content: bytes, status: int = 201) -> Any:
    """Bring a model to where it decides: entered by one person, validated and approved by two others."""
    modeller = client("insurance", database, "modeller", INSURER, "ann")
    entered = modeller.send("/v1/models?kind=peril-fire", content)
    if status != 201:
        assert entered.status_code == status
        return entered.get_json()["detail"]
    path = f"/v1/models/{body(entered, 201)['id']}"
    risk, board = (client("insurance", database, "model-risk", INSURER, name) for name in ("bob", "eve"))
    version = modeller.get(path).headers["ETag"]
    shown = risk.post(f"{path}/validation", {"fit": True, "comment": "seen"}, If_Match=version)
    assert shown.status_code == 200, shown.get_json()
    seen = body(shown)
    word = {"payload_hash": seen.get("payload_hash") or _hash(database), "approve": True, "comment": "agreed"}
    answer = board.post(f"{path}/approval", word, If_Match=shown.headers["ETag"])
    assert answer.status_code == 200, answer.get_json()
    answer = board.post(f"{path}/promotion", {"role": "champion", "comment": "go"}, If_Match=answer.headers["ETag"])
    assert answer.status_code == 200, answer.get_json()
    models._remembered.clear()
    return body(answer)


def _hash(database: Database) -> str:
    from shared import db
    from shared.approvals import Approval

    with database.sessions() as session:
        db.act_for(session, INSURER)
        return str(session.query(Approval).one().payload_hash)


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
    assert told in promoted(insurance_db, signed(document(**harm)), 422)


def test_one_altered_byte_is_found(insurer: Client, insurance_db: Database) -> None:
    content = signed(document())
    altered = content.replace(b'"unit_size": 10000', b'"unit_size": 10001')
    assert altered != content != written({})
    assert "unit_size" in promoted(insurance_db, altered, 422)

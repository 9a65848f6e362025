"""Bad input to pricing and policies over HTTP: refused in words, and nothing whatever is left behind by it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from shared.ids import uuid7
from tests.conftest import Database
from tests.credit.test_bad_input import rows
from tests.harness import INSURER, client
from tests.insurance.examples import bound

FOREST = {"county": "youyu", "value": {"amount": "1000000.00", "currency": "CNY"}}
INDEX = {"kind": "area_index", "limit": FOREST["value"], "value": FOREST["value"]}


def forest(**more: Any) -> dict[str, Any]:
    return {"forests": [FOREST | more], "term_months": 12}


def terms(**more: Any) -> dict[str, Any]:
    return forest() | {"terms": more}


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        pytest.param("/v1/price", '{"forests": [NaN]}', 400, id="a NaN"),
        pytest.param("/v1/price", '{"forests": [], "forests": []}', 400, id="a key twice"),
        pytest.param("/v1/price", {"forests": [], "term_months": 12}, 422, id="no forest"),
        pytest.param("/v1/price", forest() | {"term_months": 0}, 422, id="no term"),
        pytest.param("/v1/price", forest(value=money("-1.00")), 422, id="a value below nothing"),
        pytest.param("/v1/price", forest(area_ha="Infinity"), 422, id="an endless area"),
        pytest.param("/v1/price", forest(hazards={"fire": "1.01"}), 422, id="a hazard above all"),
        pytest.param("/v1/price", forest(title_until="2031-02-30"), 422, id="a day that is not"),
        pytest.param("/v1/price", forest(covariates={"x": "1e400"}), 422, id="a covariate that is no number"),
        pytest.param("/v1/price", terms(deductible=money("-1.00")), 422, id="a negative deductible"),
        pytest.param("/v1/price", terms(deductible_share="1"), 422, id="a deductible of all"),
        pytest.param(
            "/v1/price",
            terms(franchise=money("500.00"), event_limit=money("400.00")),
            422,
            id="a franchise above limit",
        ),
        pytest.param("/v1/price", terms(annual_cap=money("0.00")), 422, id="a cap of nothing"),
        pytest.param("/v1/index-price", INDEX | {"kind": "wish"}, 422, id="an unknown kind"),
        pytest.param("/v1/index-price", INDEX | {"limit": money("0.00")}, 422, id="an index without a limit"),
        pytest.param("/v1/repricings", {"on": "2013-06-01"}, 422, id="a day before the tariff"),
        pytest.param("/v1/policies/{policy}/endorsements", {"assets": []}, 422, id="no sum"),
        pytest.param(
            "/v1/policies/{policy}/endorsements",
            {"assets": [{"asset_id": "{asset}", "sum_insured": money("900000.01")}]},
            409,
            id="a sum above value",
        ),
        pytest.param(
            "/v1/policies/{policy}/endorsements",
            {"assets": [{"asset_id": "{asset}", "sum_insured": money("1.00")}] * 2},
            422,
            id="a forest twice",
        ),
        pytest.param("/v1/policies/{policy}/renewal", {"months": -1}, 422, id="a renewal backwards"),
        pytest.param("/v1/policies/{policy}/renewal", {"months": 120 * 5}, 422, id="a renewal of a lifetime"),
        pytest.param("/v1/policies/{policy}/instalments", {"count": 1}, 422, id="one instalment"),
        pytest.param("/v1/policies/{policy}/instalments", {"count": 2.5}, 422, id="half an instalment"),
        pytest.param("/v1/policies/{policy}/premium-payments", {"number": 1}, 404, id="no plan to pay"),
        pytest.param("/v1/policies/{policy}/breach", {"reason": ""}, 422, id="a breach without a word"),
    ],
)
def test_what_cannot_be_right_is_refused_and_leaves_nothing(
    insurance_db: Database, path: str, sent: Any, status: int
) -> None:
    asset = uuid7()
    policy = bound(insurance_db, asset, uuid7())
    insurer = client("insurance", insurance_db, "insurer", INSURER)
    version = insurer.get(f"/v1/policies/{policy}").headers["ETag"]
    content = sent if isinstance(sent, str) else json.dumps(sent).replace("{asset}", str(asset))
    before = rows(insurance_db)
    answer = insurer.http.post(
        path.replace("{policy}", str(policy)),
        data=content,
        content_type="application/json",
        headers={
            "Authorization": f"Bearer {insurer.bearer}", "Idempotency-Key": str(uuid4()), "If-Match": version,
        },
    )  # fmt: skip
    assert answer.status_code == status, answer.get_json()
    assert answer.get_json()["detail"]
    assert rows(insurance_db) == before

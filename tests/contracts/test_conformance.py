"""The judge of answers that every test's client asks: it finds what is planted."""

import copy
from typing import Any

import pytest

from tests.conftest import Database
from tests.contracts.conformance import Contract, conforming
from tests.harness import BUREAU, Client, app, client
from tests.sink.examples import asset_request


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    made = client("sink", sink_db, "bureau", BUREAU)
    made.post("/v1/assets", asset_request(0))
    return made


@pytest.fixture
def contract(sink_db: Database) -> Contract:
    """A contract of its own, to be changed by a test."""
    made = Contract(app("sink", sink_db))
    made.document = copy.deepcopy(made.document)
    return made


def schema(contract: Contract, name: str) -> dict[str, Any]:
    found: dict[str, Any] = contract.document["components"]["schemas"][name]
    return found


def test_an_answer_as_documented_is_no_breach(contract: Contract, bureau: Client) -> None:
    assert contract.breach(bureau.get("/v1/assets")) is None
    assert contract.breach(bureau.get("/v1/assets/00000000-0000-0000-0000-000000000000")) is None
    assert contract.breach(bureau.http.get("/livez")) is None
    assert contract.breach(bureau.http.get("/no/such/page")) is None


def test_a_status_that_is_not_named_is_a_breach(contract: Contract, bureau: Client) -> None:
    del contract.document["paths"]["/v1/assets"]["get"]["responses"]["422"]
    answer = bureau.get("/v1/assets", colour="green")
    assert "422, which is not documented" in str(contract.breach(answer))


def test_another_content_type_is_a_breach(contract: Contract, bureau: Client) -> None:
    answer = bureau.get("/v1/assets")
    answer.mimetype = "text/html"
    assert "as text/html" in str(contract.breach(answer))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda properties, required: properties.pop("county"), "county"),
        (lambda properties, required: required.append("keeper"), "keeper"),
        (lambda properties, required: properties["county"].update(type="integer"), "/items/0/county"),
        (lambda properties, required: properties["survival"].update(pattern="^x$"), "/items/0/survival"),
        (lambda properties, required: properties["name"].update(format="uuid"), "/items/0/name"),
    ],
    ids=["a field too many", "a field missing", "a type", "a pattern", "a format"],
)
def test_a_body_that_is_not_as_documented_is_a_breach(
    contract: Contract, bureau: Client, change: Any, where: str
) -> None:
    asset = schema(contract, "AssetResponse")
    change(asset["properties"], asset["required"])
    assert where in str(contract.breach(bureau.get("/v1/assets")))


def test_the_tests_client_judges_by_itself(bureau: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contract, "breach", lambda self, response: "planted")
    with pytest.raises(AssertionError, match="planted"):
        bureau.get("/v1/assets")
    with pytest.raises(AssertionError, match="planted"):
        conforming(bureau.http.application, bureau.http.get("/livez"))

"""The challenger is data, computes what scikit-learn computed, scores in the shadow and decides nothing."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from services.credit import challenger_file
from services.credit.challenger_file import challenger_of
from services.credit.tables import ShadowScore
from services.credit.training import challenger as training
from services.credit.training.loan_file import Loans, loans_of, read_mapping, read_rows
from shared.artefacts import Artefact, ArtefactError, written
from tests.conftest import Database
from tests.credit.cards import card, signed
from tests.credit.office import WHY, Office
from tests.credit.story import Story, application
from tests.harness import BANK, body

LOANS = Path(__file__).parents[2] / "data" / "loans"
MAPPING = read_mapping(LOANS / "sba_served.json")


@pytest.fixture(scope="module")
def loans() -> Loans:
    return loans_of(read_rows(LOANS / "sba_forestry_loans.csv"), MAPPING)[0]


@pytest.fixture(scope="module")
def document(loans: Loans) -> dict[str, Any]:
    """A small challenger, trained in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_TREES", 8)
        patch.setattr(training, "_BOOSTED", training._BOOSTED | {"max_iter": 12})
        made: dict[str, Any] = json.loads(written(training.challenger_document(loans, MAPPING, "0" * 64)))
    return made


def ready(document: dict[str, Any]) -> challenger_file.Challenger:
    return challenger_of(Artefact(document, "0" * 64, ()), "challenger")


def test_our_evaluator_computes_what_scikit_learn_computes(loans: Loans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_TREES", 8)
    monkeypatch.setattr(training, "_BOOSTED", training._BOOSTED | {"max_iter": 12})
    for weight in (0.0, 0.5):
        monkeypatch.setattr(training, "WEIGHTS", (weight,))
        found = training.fitted_challenger(loans)
        assert np.abs(found.probabilities(loans) - found.reference(loans)).max() <= 1e-12


def test_it_is_served_from_its_data_alone_and_replays_its_rows(document: dict[str, Any]) -> None:
    challenger = ready(document)
    assert len(document["parity"]) == 200
    assert any(None in row["features"].values() for row in document["parity"])
    for row in document["parity"][::20]:
        assert challenger.probability(row["features"]) == pytest.approx(row["probability"], abs=1e-12)
    assert len({row["probability"] for row in document["parity"]}) > 50


def test_the_risk_moves_one_way_only_where_the_card_s_does(document: dict[str, Any]) -> None:
    challenger = ready(document)
    for row in document["parity"][:40]:
        stated = [challenger.probability({**row["features"], "amount": amount}) for amount in (1e4, 1e5, 3e5, 1e6, 5e6)]
        assert stated == sorted(stated)
        shares = [challenger.probability({**row["features"], "guaranteed_share": one}) for one in (0.3, 0.6, 0.8, 0.95)]
        assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["parts"][-1]["trees"][0]["value"].__setitem__(-1, 0.9), "parity row"),
        (lambda d: d["parts"][-1]["trees"][0]["left"].__setitem__(0, 0), "leads nowhere"),
        (lambda d: d["parts"][-1]["trees"][0]["right"].__setitem__(0, 10**6), "leads nowhere"),
        (lambda d: d["parts"][-1]["trees"][0]["feature"].__setitem__(0, 10**6), "leads nowhere"),
        (lambda d: d["parts"][-1]["trees"][0]["value"].pop(), "as many"),
        (lambda d: d["parts"][-1].update(weight=0.9), "add up to 1"),
        (lambda d: d["parts"][-1].update(link="probit"), "linked by"),
        (lambda d: d["parity"].pop(), "at least 200"),
        (lambda d: d.pop("columns"), "no challenger"),
    ],
)
def test_what_does_not_compute_what_was_trained_is_refused(
    document: dict[str, Any], change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    other = deepcopy(document)
    change(other)
    with pytest.raises(ArtefactError, match=said):
        ready(other)


@pytest.fixture
def office(credit_db: Database, document: dict[str, Any]) -> Office:
    """A bank whose challenger is the small one."""
    made = Office(credit_db)
    model = body(made.ann.send("/v1/models?kind=trees", signed(document)), 201)
    body(made.bob.post(f"/v1/models/{model['id']}/validation", {"fit": True, **WHY}))
    body(made.approve(model))
    refused = made.step(model, "promotion", role="champion")
    assert refused.status_code == 409
    assert "may not decide" in refused.json["detail"]
    body(made.step(model, "promotion", role="challenger"))
    return made


def test_it_scores_each_application_and_decides_none(office: Office, credit_db: Database, sealed: Any) -> None:
    office.story.value()
    alone = body(office.story.officer.post("/v1/score", _question()))
    loan = office.story.apply()
    assert loan["decision"]["model"]["name"] == "forest-loan-scorecard"
    assert loan["decision"]["default_probability"] == alone["default_probability"]
    with sealed(credit_db.sessions, BANK) as session:
        row = session.scalars(select(ShadowScore)).one()
        assert str(row.loan_id) == loan["id"]
        assert row.failure == ""
        assert row.challenger_probability is not None
        assert 0 < row.challenger_probability < 1
        assert row.challenger_probability != row.champion_probability
    report = body(office.bob.get("/v1/models/reports/agreement"))
    assert (report["applications"], report["challenger"]["name"]) == (1, "forest-loan-trees")
    assert sum(pair["applications"] for pair in report["bands"]) == 1
    assert report["furthest"][0]["loan_id"] == loan["id"]
    assert body(office.story.officer.get(f"/v1/loans/{loan['id']}/replay"))["same"] is True


def test_one_that_fails_is_written_down_and_stops_nothing(
    office: Office, sealed: Any, credit_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> float:
        raise ValueError("no such feature")

    monkeypatch.setattr(challenger_file.Challenger, "probability", broken)
    office.story.value()
    loan = office.story.apply()
    assert loan["decision"]["outcome"] == "approve"
    report = body(office.bob.get("/v1/models/reports/agreement"))
    assert report["failures"] == [{"failure": "ValueError: no such feature", "applications": 1}]
    assert report["same_band"] is None


def test_a_card_may_be_the_challenger_too_and_agrees_with_itself(credit_db: Database) -> None:
    office = Office(credit_db)
    model = office.approved(card(8))
    body(office.step(model, "promotion", role="challenger"))
    office.story.value()
    office.story.apply()
    report = body(office.bob.get("/v1/models/reports/agreement"))
    assert (report["same_band"], report["largest_difference"]) == (1, 0)


def test_without_a_challenger_nothing_is_written(credit_db: Database, sealed: Any) -> None:
    story = Story(credit_db)
    story.value()
    story.apply()
    with sealed(credit_db.sessions, BANK) as session:
        assert session.scalars(select(ShadowScore)).all() == []
    assert body(story.officer.get("/v1/models/reports/agreement", days=30))["challenger"] is None


def _question() -> dict[str, Any]:
    asked = application()
    kept = ("borrower_kind", "industry", "employees", "new_business", "revolving", "low_doc", "amount", "term_months")
    return {name: asked[name] for name in kept} | {"assets": asked["assets"]}

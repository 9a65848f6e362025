"""The register of models: each step by who may, the champion decides, what another decided stays as it is."""

import hashlib
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.credit.actions.models import shipped_card
from shared import audit, clock
from shared.artefacts import DEVELOPMENT_KEY, sign
from shared.models import Model, bundle
from tests.conftest import Database
from tests.credit.cards import card, riskier, signed
from tests.credit.office import WHY, Office
from tests.harness import BANK, OTHER_BANK, body


@pytest.fixture
def office(credit_db: Database) -> Office:
    return Office(credit_db)


def test_a_model_goes_from_training_to_deciding_and_back(office: Office) -> None:
    shipped = shipped_card().number
    assert office.serving() == ("shipped", shipped)
    first, second = office.approved(card(7)), office.approved(card(8))
    assert office.serving() == ("shipped", shipped), "approved is not promoted"
    body(office.step(first, "promotion", role="champion"))
    assert office.serving() == ("register", 7)
    body(office.step(second, "promotion", role="champion"))
    assert office.serving() == ("register", 8)
    assert body(office.step(second, "rollback"))["state"] == "rolled_back"
    assert office.serving() == ("register", 7)
    body(office.step(first, "rollback"))
    assert office.serving() == ("shipped", shipped)
    shown = body(office.bob.get(f"/v1/models/{first['id']}"))
    went = ["trained", "validated", "approved", "champion", "approved", "champion", "rolled_back"]
    assert [step["to_state"] for step in shown["items"]] == went
    assert (shown["trained_by"], shown["validated_by"], shown["approved_by"]) == ("ann", "bob", "bob")


def test_every_step_is_audited_with_the_hash_of_the_artefact(office: Office, sealed: Any) -> None:
    model = office.approved(card())
    body(office.step(model, "promotion", role="champion"))
    with sealed(office.story.database.sessions, BANK) as session:
        deeds = session.scalars(select(audit.AuditEntry).where(audit.AuditEntry.subject == model["id"])).all()
        told = {one.action: (one.actor, one.detail.get("sha256") or one.detail.get("payload_hash")) for one in deeds}
        assert audit.verify(session, BANK) is None
    assert {"model_trained", "model_validated", "model_approved", "model_champion"} <= set(told)
    assert told["model_trained"] == ("ann", model["sha256"])
    assert told["model_champion"] == ("bob", model["sha256"])


def test_a_decision_names_its_card_and_is_made_again_by_it_after_another_took_its_place(office: Office) -> None:
    office.story.value()
    before = office.story.apply()
    assert (before["decision"]["model"]["origin"], before["decision"]["model"]["version"]) == (
        "shipped",
        shipped_card().number,
    )
    model = office.approved(riskier(9))
    body(office.step(model, "promotion", role="champion"))
    what_if = body(office.story.officer.post("/v1/score", question()))
    assert what_if["model"]["version"] == 9
    assert what_if["score"] < before["decision"]["score"]
    again = body(office.story.officer.get(f"/v1/loans/{before['id']}/replay"))
    assert again["same"] is True
    assert again["same_artefact"] is False


def question() -> dict[str, Any]:
    return {
        "borrower_kind": "cooperative",
        "industry": "022",
        "employees": 8,
        "new_business": False,
        "amount": {"amount": "1000000.00", "currency": "CNY"},
        "term_months": 36,
    }


def test_who_trained_a_model_neither_validates_nor_approves_it(office: Office) -> None:
    both = office.story.person("model-risk", "ann")
    model = office.enter(card())
    assert both.post(f"/v1/models/{model['id']}/validation", {"fit": True, **WHY}).status_code == 403
    body(office.bob.post(f"/v1/models/{model['id']}/validation", {"fit": True, **WHY}))
    refusal = office.approve(model, both)
    assert refusal.status_code == 403
    assert "ask a colleague" in refusal.json["detail"]
    stale = {"payload_hash": "0" * 64, "approve": True, **WHY}
    assert office.bob.post(f"/v1/models/{model['id']}/approval", stale).status_code == 409


def test_the_scopes_keep_training_and_governing_apart(office: Office) -> None:
    assert office.bob.send("/v1/models?kind=scorecard", signed(card())).status_code == 403
    model = office.enter(card())
    for person in (office.ann, office.story.officer, office.story.colleague):
        assert person.post(f"/v1/models/{model['id']}/validation", {"fit": True, **WHY}).status_code == 403


def test_steps_out_of_order_are_refused(office: Office) -> None:
    model = office.enter(card())
    for what in ("promotion", "rollback"):
        more = {"role": "champion"} if what == "promotion" else {}
        assert office.step(model, what, **more).status_code == 409
    body(office.bob.post(f"/v1/models/{model['id']}/validation", {"fit": False, **WHY}))
    assert body(office.bob.get(f"/v1/models/{model['id']}"))["state"] == "retired"
    again = office.ann.send("/v1/models?kind=scorecard", signed(card()))
    assert again.status_code == 409
    champion = office.approved(card(8))
    body(office.step(champion, "promotion", role="champion"))
    assert office.step(champion, "retirement").status_code == 409
    without = office.bob.post(f"/v1/models/{champion['id']}/rollback", WHY)
    assert without.status_code == 428


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no json", "no signed model"),
        (b"[]", "no signed model"),
        (bundle({"name": "x"}, []), "no signature"),
        (signed({"name": "x", "version": 1, "note": "n"}), "no scorecard"),
        (bundle(card(), [sign(card(8), DEVELOPMENT_KEY, "ann", clock.now())]), "changed in version"),
        (signed(card(intercept=1.0)), "parity row"),
    ],
    ids=["text", "list", "unsigned", "another kind", "changed after signing", "computes otherwise"],
)
def test_what_is_no_signed_model_is_refused_and_nothing_is_kept(office: Office, content: bytes, said: str) -> None:
    told = body(office.ann.send("/v1/models?kind=scorecard", content), 422)
    assert said in told["detail"]
    assert body(office.ann.get("/v1/models"))["items"] == []


def test_a_bank_sees_and_is_served_by_its_own_models_only(office: Office, credit_db: Database) -> None:
    model = office.approved(card())
    body(office.step(model, "promotion", role="champion"))
    other = Office(credit_db, OTHER_BANK)
    assert other.bob.get(f"/v1/models/{model['id']}").status_code == 404
    assert other.serving()[0] == "shipped"
    assert body(other.story.officer.post("/v1/score", question()))["model"]["origin"] == "shipped"
    assert other.bob.get(f"/v1/models/{uuid4()}").status_code == 404


def test_the_artefact_comes_back_byte_for_byte(office: Office, sealed: Any) -> None:
    model = office.enter(card())
    content = office.bob.http.get(
        f"/v1/models/{model['id']}/artefact", headers={"Authorization": f"Bearer {office.bob.bearer}"}
    ).data
    assert hashlib.sha256(content).hexdigest() == model["sha256"]
    with sealed(office.story.database.sessions, BANK) as session:
        assert session.scalars(select(Model.sha256)).one() == model["sha256"]

"""The methodology's rules held against a forest, and the evidence recorded for it."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.sink.actions.parameters import PARAMETERS, RULES
from services.sink.tables import Evidence
from shared import clock
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client
from tests.sink.examples import asset_request

PLANTED = 2021
TITLED = {"title_kind": "certificate", "title_number": "T-1", "planted_year": PLANTED}


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


def registered(clerk: Client, **changes: Any) -> str:
    """The address of a forest with a title that is named."""
    return "/v1/assets/" + str(body(clerk.post("/v1/assets", asset_request(**{**TITLED, **changes})), 201)["id"])


def evidence(rule: str, kind: str, **changes: Any) -> dict[str, Any]:
    given = {"rule": rule, "kind": kind, "reference": f"archive/{uuid4()}", "dated_on": "2021-06-01"}
    return given | {"finding": "supports"} | changes


def confirmed(database: Database, clerk: Client, asset: str, recorded: dict[str, Any]) -> dict[str, Any]:
    """Record evidence and have a second person confirm it."""
    made = body(clerk.post(f"{asset}/evidence", recorded), 201)
    approver = client("sink", database, "bureau-approver", BUREAU)
    seen = {"payload_hash": made["payload_hash"], "approve": True}
    return dict(body(approver.post(f"/v1/evidence/{made['id']}/approval", seen)))


def statuses(clerk: Client, asset: str) -> dict[str, str]:
    return {rule["rule"]: rule["status"] for rule in body(clerk.get(f"{asset}/eligibility"))["rules"]}


def judged(clerk: Client, asset: str, rule: str) -> tuple[str, str]:
    (found,) = [one for one in body(clerk.get(f"{asset}/eligibility"))["rules"] if one["rule"] == rule]
    assert found["reason"]["zh"]
    assert found["reason"]["en"]
    return found["status"], found["reason"]["code"]


FULL = [
    evidence("SCOPE-IN", "planting_design"),
    evidence("SCOPE-OUT", "land_use_class"),
    evidence("E-a", "imagery", dated_on="2017-08-01"),
    evidence("E-a", "imagery", dated_on="2020-08-01"),
    evidence("E-b", "title_document", sha256="0" * 64),
    evidence("E-d", "wetland_layer"),
    evidence("E-e", "clearing_record", share="0.1"),
]


def test_without_evidence_only_what_the_map_shows_is_met(sink_db: Database, bureau: Client) -> None:
    asset = registered(bureau)
    shown = body(bureau.get(f"{asset}/eligibility"))
    assert shown["answer"] == "evidence_missing"
    expected = dict.fromkeys(RULES, "no_evidence") | {"E-c": "met", "E-f": "manual_review"}
    assert statuses(bureau, asset) == expected
    assert "eligibility_rule.E-f" in shown["unverified_parameters"]


def test_with_all_evidence_it_is_a_persons_turn_and_nothing_says_that_it_conforms(
    sink_db: Database, bureau: Client
) -> None:
    asset = registered(bureau)
    for one in FULL:
        confirmed(sink_db, bureau, asset, one)
    answer = bureau.get(f"{asset}/eligibility")
    shown = body(answer)
    assert shown["answer"] == "for_review"
    found = statuses(bureau, asset)
    assert {rule for rule, status in found.items() if status == "met"} == {*RULES} - {"E-f", "E-a-old"}
    assert found["E-f"] == "manual_review"
    text = answer.get_data(as_text=True).lower()
    assert "conformant" not in text
    assert "eligible" not in text.replace("eligibility", "")
    (rule,) = [one for one in shown["rules"] if one["rule"] == "E-b"]
    assert [(one["kind"], one["sha256"]) for one in rule["evidence"]] == [("title_document", "0" * 64)]
    assert (rule["verified"], rule["evidence_kinds"]) == ("read", ["title_document"])


@pytest.mark.parametrize(
    ("recorded", "rule", "expected"),
    [
        ([evidence("E-d", "wetland_layer", finding="contradicts")], "E-d", ("not_met", "evidence_contradicts")),
        ([evidence("E-d", "wetland_layer", finding="unclear")], "E-d", ("manual_review", "evidence_mixed")),
        (
            [evidence("E-d", "wetland_layer"), evidence("E-d", "land_survey", finding="contradicts")],
            "E-d",
            ("manual_review", "evidence_mixed"),
        ),
        ([evidence("E-e", "clearing_record", share="0.2")], "E-e", ("met", "evidence_supports")),
        ([evidence("E-e", "clearing_record", share="0.2001")], "E-e", ("not_met", "cleared_too_much")),
        ([evidence("E-e", "clearing_record")], "E-e", ("manual_review", "share_not_said")),
        ([evidence("E-a", "imagery", dated_on="2017-08-01")], "E-a", ("manual_review", "dates_do_not_cover")),
        ([evidence("E-a", "imagery", dated_on="2020-08-01")], "E-a", ("manual_review", "dates_do_not_cover")),
        ([evidence("E-a", "imagery", dated_on="2022-08-01")], "E-a", ("manual_review", "dates_do_not_cover")),
        (
            [evidence("E-a", "imagery", dated_on=day) for day in ("2018-01-01", "2018-01-02")],
            "E-a",
            ("met", "evidence_supports"),
        ),
        (
            [
                evidence("E-a", "imagery", dated_on="2017-08-01"),
                evidence("E-a", "imagery", dated_on="2019-08-01", finding="contradicts"),
            ],
            "E-a",
            ("manual_review", "evidence_mixed"),
        ),
        (
            [evidence("E-a-old", "imagery", dated_on=day) for day in ("2005-02-16", "2019-08-01")],
            "E-a-old",
            ("met", "evidence_supports"),
        ),
        ([evidence("E-c", "land_survey", finding="contradicts")], "E-c", ("manual_review", "survey_differs")),
        ([evidence("E-f", "site_inspection")], "E-f", ("manual_review", "text_incomplete")),
    ],
)
def test_evidence_decides_only_what_it_can(
    sink_db: Database, bureau: Client, recorded: list[dict[str, Any]], rule: str, expected: tuple[str, str]
) -> None:
    asset = registered(bureau)
    for one in recorded:
        confirmed(sink_db, bureau, asset, {**one, "reference": str(uuid4())})
    assert judged(bureau, asset, rule) == expected


@pytest.mark.parametrize(
    ("changes", "rule", "expected"),
    [
        ({"kind": "wetland", "species": []}, "E-d", ("not_met", "wetland")),
        ({"kind": "grassland", "species": []}, "SCOPE-IN", ("not_met", "no_planting")),
        (
            {"species": [{"species": "hippophae", "share": "1"}], "crown_cover": "0.6"},
            "SCOPE-OUT",
            ("manual_review", "possibly_economic_forest"),
        ),
        ({"title_number": None}, "E-b", ("manual_review", "title_not_named")),
        ({"title_kind": None}, "E-b", ("manual_review", "title_not_named")),
    ],
)
def test_facts_of_the_register_weigh_more_than_a_paper_that_supports(
    sink_db: Database, bureau: Client, changes: dict[str, Any], rule: str, expected: tuple[str, str]
) -> None:
    asset = registered(bureau, **changes)
    for one in FULL:
        confirmed(sink_db, bureau, asset, {**one, "reference": str(uuid4())})
    assert judged(bureau, asset, rule) == expected
    answer = body(bureau.get(f"{asset}/eligibility"))["answer"]
    assert answer == ("obstacle" if expected[0] == "not_met" else "for_review")


def test_a_title_that_has_ended_is_an_obstacle(
    sink_db: Database, bureau: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = registered(bureau, title_until=(clock.today() + timedelta(days=1)).isoformat())
    later = clock.today() + timedelta(days=2)
    monkeypatch.setattr(clock, "today", lambda: later)
    assert judged(bureau, asset, "E-b") == ("not_met", "title_ended")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"rule": "E-z"}, "/rule"),
        ({"kind": "hearsay"}, "/kind"),
        ({"kind": "wetland_layer"}, "/kind"),
        ({"finding": "certainly"}, "/finding"),
        ({"reference": ""}, "/reference"),
        ({"sha256": "zz"}, "/sha256"),
        ({"dated_on": (date.today() + timedelta(days=2)).isoformat()}, "/dated_on"),
        ({"share": "1.1"}, "/share"),
        ({"registrar": BANK}, "/registrar"),
    ],
)
def test_evidence_that_cannot_be_is_refused(
    sink_db: Database, bureau: Client, changes: dict[str, Any], pointer: str
) -> None:
    asset = registered(bureau)
    problem = body(bureau.post(f"{asset}/evidence", evidence("E-a", "imagery") | changes), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert body(bureau.get(f"{asset}/evidence"))["items"] == []


def test_evidence_is_recorded_once_by_the_registrar_and_read_by_everybody(sink_db: Database, bureau: Client) -> None:
    asset = registered(bureau)
    one = evidence("E-a", "imagery")
    made = body(bureau.post(f"{asset}/evidence", one), 201)
    assert bureau.post(f"{asset}/evidence", one).status_code == 409
    stranger = client("sink", sink_db, "bureau", "bureau-elsewhere")
    assert stranger.post(f"{asset}/evidence", evidence("E-a", "imagery")).status_code == 403
    officer = client("sink", sink_db, "officer", BANK)
    assert officer.post(f"{asset}/evidence", evidence("E-a", "imagery")).status_code == 403
    assert body(officer.get(f"{asset}/evidence"))["items"] == [made]
    assert officer.get(f"/v1/assets/{uuid4()}/eligibility").status_code == 404
    assert bureau.post(f"/v1/assets/{uuid4()}/evidence", one).status_code == 404


def test_what_speaks_for_a_forest_waits_for_a_second_person_and_what_speaks_against_it_does_not(
    sink_db: Database, bureau: Client
) -> None:
    asset = registered(bureau)
    made = body(bureau.post(f"{asset}/evidence", evidence("E-d", "wetland_layer")), 201)
    assert (made["state"], judged(bureau, asset, "E-d")) == ("recorded", ("unconfirmed", "evidence_unconfirmed"))
    path, seen = f"/v1/evidence/{made['id']}/approval", {"payload_hash": made["payload_hash"], "approve": True}
    assert bureau.post(path, seen).status_code == 403
    approver = client("sink", sink_db, "bureau-approver", BUREAU)
    assert approver.post(path, seen | {"payload_hash": "0" * 64}).status_code == 409
    assert client("sink", sink_db, "bureau-approver", "bureau-elsewhere").post(path, seen).status_code == 403
    assert body(approver.post(path, seen))["state"] == "confirmed"
    assert judged(bureau, asset, "E-d") == ("met", "evidence_supports")
    assert approver.post(path, seen).status_code == 409
    against = body(bureau.post(f"{asset}/evidence", evidence("E-d", "land_survey", finding="contradicts")), 201)
    assert judged(bureau, asset, "E-d") == ("manual_review", "evidence_mixed")
    no = {"payload_hash": against["payload_hash"], "approve": False}
    assert body(approver.post(f"/v1/evidence/{against['id']}/approval", no))["state"] == "rejected"
    assert judged(bureau, asset, "E-d") == ("met", "evidence_supports")


def test_the_recorder_confirms_nothing_even_with_both_roles(sink_db: Database, bureau: Client) -> None:
    asset = registered(bureau)
    made = body(bureau.post(f"{asset}/evidence", evidence("E-d", "wetland_layer")), 201)
    with sink_db.sessions() as session:
        recorder = session.scalars(select(Evidence.recorded_by)).one()
    both = client("sink", sink_db, "bureau-approver", BUREAU, subject=recorder)
    seen = {"payload_hash": made["payload_hash"], "approve": True}
    assert "cannot approve it" in body(both.post(f"/v1/evidence/{made['id']}/approval", seen), 403)["detail"]


def test_of_another_programme_no_rule_is_in_place(sink_db: Database, bureau: Client) -> None:
    shown = body(bureau.get(f"{registered(bureau, programme='verra')}/eligibility"))
    assert (shown["answer"], shown["rules"]) == ("no_rules", [])


def test_every_rule_says_in_two_languages_what_it_asks_and_how_far_it_was_checked() -> None:
    p = PARAMETERS.at(clock.today())
    for rule in RULES:
        text = p[f"eligibility_rule.{rule}"]
        assert text["zh"]
        assert text["en"]
        assert text["evidence"]
    assert p.entries["eligibility_rule.E-f"].verified == "no"
    assert p.entries["eligibility_rule.E-a-old"].verified == "secondary"

"""How models do is measured on what the bank's own loans became, and what cannot be said is said."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.credit.actions import monitoring
from services.credit.actions.models import shipped_card
from services.credit.actions.policy import JUDGEMENT, policy
from services.credit.actions.scoring import _few
from services.credit.formulas.backtest import binomial_p_value, jeffreys_p_value
from services.credit.formulas.scorecard import Card, score
from services.credit.training.loan_file import loans_of, read_mapping, read_rows
from services.credit.training.train import train
from shared import audit, clock
from tests.conftest import Database
from tests.credit.office import Office
from tests.credit.story import Story
from tests.harness import BANK, OTHER_BANK, body

LOANS = Path(__file__).parents[2] / "data" / "loans"
REPORTS = "/v1/models/reports"


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    """What the card saw in some of its training loans, as a server would see it."""
    loans, _ = loans_of(read_rows(LOANS / "sba_agri_forestry_loans.csv"), read_mapping(LOANS / "sba_served.json"))
    used = [feature["name"] for feature in shipped_card().model.document["features"]]
    columns = {name: loans.values[name][::3].tolist() for name in used}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]


def test_the_training_loans_have_not_moved_and_others_have(seen: list[dict[str, Any]]) -> None:
    card = shipped_card().model
    reference = card.document["reference"]
    psi, csi = monitoring._indices(card, reference, seen)
    assert psi is not None
    assert psi < 0.05
    assert set(csi) == {feature["name"] for feature in card.document["features"]}
    assert max(csi.values()) < 0.05
    moved, by_feature = monitoring._indices(card, reference, [{**one, "amount": one["amount"] * 10} for one in seen])
    assert moved is not None
    assert moved > 0.25
    assert by_feature["amount"] > 0.25
    assert by_feature["employees"] == csi["employees"]


def test_the_reference_counts_every_training_loan() -> None:
    document = shipped_card().model.document
    rows = document["training"]["rows"]
    assert sum(document["reference"]["log_odds"]["rows"]) == rows
    assert {sum(counts) for counts in document["reference"]["features"].values()} == {rows}


def test_too_few_applications_say_nothing_and_it_is_measured_again_by_itself(credit_db: Database) -> None:
    office = Office(credit_db)
    office.story.value()
    office.story.apply()
    made = body(office.bob.post(f"{REPORTS}/stability"), 201)
    assert (made["band"], made["psi"], made["applications"]) == ("unknown", None, 1)
    with clock.travelled(timedelta(days=31)):
        office.story.timers()
    assert len(body(office.bob.get(f"{REPORTS}/stability"))["items"]) == 2
    assert office.ann.post(f"{REPORTS}/stability").status_code == 403


def test_a_population_that_moved_raises_an_alarm_that_is_audited_and_stands_by_the_model(
    credit_db: Database, monkeypatch: pytest.MonkeyPatch, sealed: Any
) -> None:
    office = Office(credit_db)
    office.story.value()
    office.story.apply()
    honest = policy(clock.today(), monitoring.MONITORING)
    few = {**honest.values, "model_monitoring": {**honest["model_monitoring"], "least_applications": 1}}
    monkeypatch.setattr(
        monitoring,
        "policy",
        lambda on, names: policy(on, names) if names == JUDGEMENT else replace(honest, values=few),
    )
    made = body(office.bob.post(f"{REPORTS}/stability"), 201)
    assert made["band"] == "alarm"
    assert made["psi"] > 0.25
    serving = body(office.bob.get("/v1/models/serving"))["items"]
    assert [one["warnings"] for one in serving if one["role"] == "champion"] == [["drift_alarm"]]
    with sealed(credit_db.sessions, BANK) as session:
        deeds = session.scalars(select(audit.AuditEntry.action)).all()
    assert "model_drift_alarm" in deeds
    other = Office(credit_db, OTHER_BANK)
    assert body(other.bob.get(f"{REPORTS}/stability"))["items"] == []
    assert body(other.bob.get("/v1/models/serving"))["items"][0]["warnings"] == []


def test_defaults_are_set_against_what_was_stated_once_a_year_has_ended(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("performing")
    told = body(story.colleague.get(f"{REPORTS}/backtest"))
    assert (told["all"]["loan_years"], told["years_not_ended"]) == (0, 1)
    assert told["all"]["verdict"] == "no_data"
    with clock.travelled(timedelta(days=2 * 366 + 1)):
        later = body(story.colleague.get(f"{REPORTS}/backtest"))
    assert (later["all"]["loan_years"], later["all"]["defaults"]) == (2, 0)
    assert later["all"]["verdict"] == "not_rejected"
    assert sum(band["loan_years"] for band in later["bands"]) == 2
    story.post("default", {"ground": "overdue", "comment": "90 days"})
    with clock.travelled(timedelta(days=3 * 366)):
        after = body(story.colleague.get(f"{REPORTS}/backtest"))["all"]
    assert (after["loan_years"], after["defaults"]) == (1, 1), "after a default nothing more is watched"
    assert after["binomial_p_value"] == pytest.approx(after["stated"])
    assert after["jeffreys_p_value"] < 0.05
    assert after["verdict"] == "too_low"


def test_the_tests_of_level_fall_as_defaults_rise() -> None:
    binomial = [binomial_p_value(defaults, 100, 0.02) for defaults in range(12)]
    jeffreys = [jeffreys_p_value(defaults, 100, 0.02) for defaults in range(12)]
    assert binomial == sorted(binomial, reverse=True)
    assert jeffreys == sorted(jeffreys, reverse=True)
    assert binomial[0] == 1
    assert binomial[-1] < 1e-4


def test_groups_are_shown_with_what_cannot_be_said(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("performing")
    refused = Story(credit_db)
    refused.apply(borrower_reference="FILE-2026-0009", borrower_kind="enterprise", amount=_amount(900_000_000))
    told = body(story.officer.get(f"{REPORTS}/fairness"))
    kinds = {one["group"]: one for one in told["dimensions"][0]["groups"]}
    assert told["applications"] == 2
    assert kinds["cooperative"]["grant_rate"] == 1
    assert kinds["cooperative"]["default_rate"] == 0
    assert kinds["enterprise"]["grant_rate"] == 0
    assert {one["adverse_impact_ratio"] for one in kinds.values()} == {None}, "groups of one are not judged"
    assert any("sealed" in limit for limit in told["limits"])


def test_ratios_are_of_the_best_faring_group_that_is_large_enough() -> None:
    class One:
        disbursed_on = defaulted_on = None

        def __init__(self, group: str, granted: bool) -> None:
            self.group, self.legs_by, self.state = group, clock.now() if granted else None, "declined"

    loans = [One("a", True)] * 40 + [One("b", True)] * 28 + [One("b", False)] * 12 + [One("c", True)]
    rules = {"least_group": 30, "least_ratio": 0.8}
    told = {one["group"]: one for one in monitoring._groups(loans, lambda one: one.group, rules)}
    assert told["a"]["adverse_impact_ratio"] == 1
    assert (told["b"]["adverse_impact_ratio"], told["b"]["below_limit"]) == (0.7, True)
    assert (told["c"]["grant_rate"], told["c"]["adverse_impact_ratio"]) == (1, None)


def test_a_person_s_decision_against_the_score_is_an_override_with_its_reason(credit_db: Database) -> None:
    story = Story(credit_db)
    story.value()
    loan = story.apply(borrower_kind="natural_person", term_months=240)
    assert loan["state"] == "referred"
    said = {"decision": "decline", "comment": "the title is disputed", "reason_code": "integrity"}
    body(story.colleague.post(f"/v1/loans/{loan['id']}/referral", said))
    told = body(story.officer.get(f"{REPORTS}/overrides"))
    assert told["decisions"] == 1
    (one,) = told["totals"]
    assert (one["reason_code"], one["decisions"], one["paid_out"], one["defaults"]) == ("integrity", 1, 0, 0)
    assert one["direction"] in ("with", "strict")
    assert told["override_rate"] == float(one["direction"] != "with")
    assert body(Story(credit_db, bank=OTHER_BANK).officer.get(f"{REPORTS}/overrides"))["decisions"] == 0


def test_a_card_of_few_defaults_says_so_and_has_wider_intervals() -> None:
    rows = read_rows(LOANS / "sba_agri_forestry_loans.csv")
    few = train(rows[::5], read_mapping(LOANS / "sba_served.json"), "0" * 64)
    many = shipped_card().model.document
    assert few["low_data"] is True
    assert many["low_data"] is False
    asked = {
        "industry": "1133",
        "employees": 3,
        "amount": 100_000.0,
        "guaranteed_share": 0.75,
        "new_business": False,
        "revolving": False,
    }
    narrow, wide = (score(Card.from_document(document), asked).log_odds_sd for document in (many, few))
    assert wide > 1.8 * narrow
    assert _few(replace(shipped_card().model, document=few)) == ("few_defaults",)
    assert _few(shipped_card().model) == ()


def _amount(value: int) -> dict[str, str]:
    return {"amount": f"{value}.00", "currency": "CNY"}

"""What credit does with a loan: every step the table allows, none that it forbids, and the money to the fen."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.credit.actions import states
from services.credit.actions.applications import obligor_of
from services.credit.tables import STATES, Loan
from shared import clock
from shared.errors import StateError
from shared.events import credit
from tests.conftest import Database
from tests.credit.story import ASSET, OTHER_ASSET, Story, amount, application, money, valued
from tests.harness import BANK, OTHER_BANK, body


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


# -- the table of states ----------------------------------------------------------------------------------------------


def test_the_table_names_every_state_and_nothing_else() -> None:
    assert set(states.TRANSITIONS) == {"", *STATES}
    assert set().union(*states.TRANSITIONS.values()) == set(STATES)


def test_whatever_the_table_does_not_have_is_refused() -> None:
    for before in STATES:
        for following in STATES:
            if not states.may_follow(before, following):
                with pytest.raises(StateError):
                    states.move(None, Loan(state=before), following, "why")  # type: ignore[arg-type]


def test_nothing_follows_an_end() -> None:
    assert all(not states.TRANSITIONS[state] for state in states.ENDED)


#: Each step that a person takes, and the states in which it may be taken.
STEPS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "referral": ({"decision": "decline", "comment": "no"}, ("referred",)),
    "approval": ({"payload_hash": "0" * 64, "approve": True}, ("proposed",)),
    "acceptance": (None, ("offered",)),
    "withdrawal": ({"reason": "no need"}, states.BEFORE_MONEY),
    "disbursement": (None, ("ready",)),
    "repayments": ({"amount": amount(1)}, states.LIVE),
    "default": ({"ground": "overdue", "comment": "late"}, states.LIVE),
    "enforcement": (None, ("defaulted",)),
    "recoveries": ({"amount": amount(1), "costs": amount(0), "source": "carbon"}, states.IN_DEFAULT),
    "closing": (None, states.IN_DEFAULT),
}
#: How a loan comes to each state.
REACHED: dict[str, Callable[[Story], Any]] = {
    "referred": lambda story: story.apply(),
    **{
        state: lambda story, state=state: story.to(state)
        for state in ("structuring", "proposed", "offered", "binding", "ready", "performing", "defaulted", "enforcing")
    },
    "margin_called": lambda story: (story.to("performing"), story.value(2, 1_000_000)),
    "declined": lambda story: (story.to("structuring"), story.tell(story.cover_refused())),
    "withdrawn": lambda story: (story.to("structuring"), story.post("withdrawal", {"reason": "no need"})),
    "expired": lambda story: (story.to("structuring"), after(story, timedelta(hours=73))),
    "closed": lambda story: (
        story.to("performing"),
        story.post("repayments", {"amount": amount(1_000_000)}, status=201),
    ),
}


def after(story: Story, time: timedelta) -> None:
    with clock.travelled(time):
        story.timers()


@pytest.mark.parametrize("state", REACHED)
def test_a_step_is_refused_in_every_state_but_its_own(story: Story, state: str) -> None:
    REACHED[state](story)
    assert story.state() == state
    for step, (content, allowed) in STEPS.items():
        if state not in allowed:
            problem = story.post(step, content, story.colleague if step == "approval" else None, 409)
            assert problem["status"] == 409
    assert story.state() == state


def test_the_straight_way_is_written_down_step_by_step(story: Story) -> None:
    story.to("performing")
    story.post("repayments", {"amount": amount(1_000_000)}, status=201)
    trail = body(story.officer.get(f"/v1/loans/{story.loan_id}/history"))["items"]
    way = ["applied", "scored", "structuring", "proposed", "offered", "binding", "ready", "performing", "closed"]
    assert [line["to_state"] for line in trail] == way
    assert [line["from_state"] for line in trail] == [None, *way[:-1]]
    assert [line["number"] for line in trail] == list(range(1, len(way) + 1))
    assert trail[0]["actor"] == "officer"
    assert trail[3]["actor"].startswith("event:")
    assert trail[4]["actor"] == "approver"
    assert all(line["reason"] and line["at"] for line in trail)
    assert [type(event).__name__ for event in story.told()] == [
        "LoanApplied",
        "LoanScored",
        "LegsRequested",
        "LoanOffered",
        "LoanAccepted",
        "LoanDisbursed",
        "LoanRepaid",
        "LoanClosed",
    ]


# -- the decision -----------------------------------------------------------------------------------------------------


def test_an_application_is_scored_at_once_and_the_legs_are_asked(story: Story) -> None:
    story.value()
    loan = story.apply()
    assert loan["state"] == "structuring"
    assert loan["cover"]["state"] == loan["guarantee"]["state"] == "asked"
    decision = loan["decision"]
    assert decision["outcome"] == "approve"
    assert decision["loan_to_value"] == {"p10": "0.41666667", "p50": "0.31250000"}
    assert decision["value"] == amount(2_400_000)
    assert decision["maximum_amount"] == amount(1_680_000)
    assert 1 <= len(decision["reasons"]) <= 4
    assert all(reason["zh"] and reason["en"] for reason in decision["reasons"])
    low, middle, high = (
        Decimal(decision[name])
        for name in ("default_probability_low", "default_probability", "default_probability_high")
    )
    assert 0 < low < middle < high < 1
    (asked,) = story.told(credit.LegsRequested)
    assert asked.obligor == loan["obligor"] == obligor_of("93140600MA0000001R")
    assert len(asked.obligor) == 32
    assert asked.pledges[0].value == money(2_400_000)
    assert asked.pledges[0].valuation_version == 1


def test_the_borrower_is_a_pseudonym_to_everybody_else(story: Story) -> None:
    story.to("ready")
    assert "93140600MA0000001R" not in repr(story.told())


def test_a_loan_on_a_forest_without_valuation_is_a_breach_and_never_a_zero(story: Story) -> None:
    loan = story.apply()
    assert loan["state"] == "referred"
    assert loan["decision"]["loan_to_value"] is None
    assert loan["decision"]["value"] is None
    assert loan["decision"]["annual_rate"] is None
    assert loan["reasons"][0]["code"] == "valuation_missing"
    (scored,) = story.told(credit.LoanScored)
    assert scored.loan_to_value is None
    assert scored.outcome == "refer"


def test_a_loan_on_a_stale_valuation_is_referred(story: Story) -> None:
    story.value(as_of=clock.today() - timedelta(days=181))
    assert story.apply()["reasons"][0]["code"] == "valuation_stale"
    story.value(2, valid_until=clock.today() - timedelta(days=1))
    assert story.apply()["reasons"][0]["code"] == "valuation_stale"


def test_every_pledged_forest_counts_and_one_without_value_spoils_all(story: Story) -> None:
    story.value()
    both = [{"asset_id": str(asset), "tonnes": "20000"} for asset in (ASSET, OTHER_ASSET)]
    loan = story.apply(assets=both)
    assert [reason["code"] for reason in loan["reasons"]] == ["valuation_missing"]
    assert str(OTHER_ASSET) in loan["reasons"][0]["en"]
    story.tell(valued(OTHER_ASSET, county="youyu"))
    loan = story.apply(assets=both)
    assert loan["decision"]["value"] == amount(2_400_000)
    assert [asset["value"] for asset in loan["assets"]] == [amount(1_200_000)] * 2


def test_pledges_that_exceed_the_forecast_share_it(story: Story) -> None:
    removals = valued().removals[:2]
    units = valued().units
    story.value(removals=removals, units=type(units)(free=Decimal(0), pledged=Decimal(40_000), retired=Decimal(0)))
    loan = story.apply(assets=[{"asset_id": str(ASSET), "tonnes": "20000"}])
    assert loan["decision"]["value"] == amount(1_200_000)


def test_a_loan_above_the_cap_is_declined_with_the_amount_that_would_do(story: Story) -> None:
    story.value()
    loan = story.apply(amount=amount(1_700_000))
    assert loan["state"] == "declined"
    assert loan["blocked_by"] == "credit"
    assert loan["reasons"][0]["code"] == "loan_to_value_high"
    assert "1,680,000.00" in loan["reasons"][0]["en"]
    assert len(loan["reasons"]) <= 4
    (declined,) = story.told(credit.LoanDeclined)
    assert declined.blocked_by == "credit"
    assert story.apply(amount=amount(1_680_000))["state"] == "structuring"


def test_more_tonnes_than_are_forecast_are_refused(story: Story) -> None:
    story.value()
    loan = story.apply(assets=[{"asset_id": str(ASSET), "tonnes": "40000.001"}])
    assert loan["reasons"][0]["code"] == "pledge_exceeds_forecast"


def test_a_term_beyond_title_crediting_or_policy_is_refused(story: Story) -> None:
    story.value(title_until=clock.today() + timedelta(days=365), crediting_until=clock.today() + timedelta(days=400))
    codes = {reason["code"] for reason in story.apply(term_months=61)["reasons"]}
    assert codes == {"term_too_long", "term_beyond_insurance", "term_beyond_title", "term_beyond_crediting"}
    codes = {reason["code"] for reason in story.apply(term_months=37, revolving=True)["reasons"]}
    assert "term_too_long" in codes


def test_a_machine_never_declines_a_natural_person(story: Story) -> None:
    story.value()
    loan = story.apply(amount=amount(1_700_000), borrower_kind="natural_person")
    assert loan["state"] == "referred"
    assert "human_review" in loan["decision"]["flags"]
    assert 1 <= len(loan["reasons"]) <= 4
    refused = story.post("referral", {"decision": "proceed", "comment": "please"}, story.colleague, 409)
    assert "loan to value" in refused["detail"]
    assert (
        story.post("referral", {"decision": "decline", "comment": "too much"}, story.colleague)["state"] == "declined"
    )


def test_a_natural_person_whose_forest_fell_meanwhile_reaches_a_human_too(story: Story) -> None:
    story.to("structuring", borrower_kind="natural_person")
    story.value(2, 1_000_000)
    story.tell(story.quoted(), story.reserved())
    assert story.state() == "referred"
    story.post("referral", {"decision": "proceed", "comment": "now?"}, story.colleague, 409)
    story.value(3)
    loan = story.post("referral", {"decision": "proceed", "comment": "valued anew"}, story.colleague)
    assert loan["state"] == "proposed"
    assert len(story.told(credit.LegsRequested)) == 1


def test_a_referral_left_alone_with_its_legs_expires_with_them(story: Story) -> None:
    story.to("structuring", borrower_kind="natural_person")
    story.value(2, 1_000_000)
    story.tell(story.quoted(), story.reserved())
    after(story, timedelta(days=11))
    assert story.state() == "expired"


def test_a_risky_borrower_is_declined_and_told_which_attributes_cost(story: Story) -> None:
    story.value(p10=30_000_000)
    loan = story.apply(amount=amount(5_000_000), industry="041", employees=None)
    assert loan["state"] == "declined"
    assert Decimal(loan["decision"]["default_probability"]) >= Decimal("0.08")
    assert all(reason["code"].startswith("score_") for reason in loan["reasons"])
    assert "employees: missing" in loan["decision"]["flags"]


def test_a_doubtful_borrower_is_referred_and_another_person_decides(story: Story) -> None:
    story.value(p10=30_000_000)
    loan = story.apply(amount=amount(5_000_000))
    assert loan["state"] == "referred"
    content = {"decision": "proceed", "comment": "long known to us"}
    self_decided = story.post("referral", content, story.person("credit-approver", "officer"), 403)
    assert "colleague" in self_decided["detail"]
    loan = story.post("referral", content, story.colleague)
    assert loan["state"] == "structuring"
    assert loan["decision"]["kind"] == "referral"
    assert len(story.told(credit.LoanScored)) == 2


def test_a_referral_cannot_go_on_before_the_valuation_has_come(story: Story) -> None:
    story.apply()
    content = {"decision": "proceed", "comment": "valuation is on its way"}
    assert "no valuation" in story.post("referral", content, story.colleague, 409)["detail"]
    story.value()
    assert story.post("referral", content, story.colleague)["state"] == "structuring"


def test_too_much_in_one_county_is_a_question_for_a_person(story: Story) -> None:
    story.value(p10=100_000_000)
    loan = story.apply(amount=amount(12_600_000), employees=2, industry="052", guaranteed_share="0.9")
    assert loan["state"] == "referred"
    assert loan["reasons"][0]["code"] == "county_concentrated"


def test_a_stored_decision_is_made_again_to_the_byte(story: Story) -> None:
    story.to("proposed")
    again = body(story.officer.get(f"/v1/loans/{story.loan_id}/replay"))
    assert again["same"] is again["same_inputs"] is again["same_artefact"] is again["same_parameters"] is True
    decision = story.loan()["decision"]
    assert decision["result_hash"] == again["replayed_hash"]
    assert decision["inputs"]["assets"][0]["version"] == 1
    assert decision["unverified_parameters"]


def test_expected_losses_of_all_legs_sum_to_the_whole(story: Story) -> None:
    loan = story.to("proposed")
    decision = loan["decision"]
    parts = [Decimal(part["amount"]) for part in decision["expected_losses"].values()]
    whole = Decimal(decision["default_probability"]) * 1_000_000
    assert abs(sum(parts) - whole) <= Decimal("0.02")
    assert set(decision["expected_losses"]) == {"carbon", "insurer", "primary", "province", "pool", "bank"}
    assert set(decision["worth_bp"]) == {"carbon", "insurer", "guarantor", "reguarantor"}


# -- offer, approval, acceptance --------------------------------------------------------------------------------------


def test_the_offer_stands_no_longer_than_quote_and_reservation(story: Story) -> None:
    story.value()
    story.apply()
    soon = clock.now() + timedelta(days=3)
    story.tell(story.quoted(expires_at=soon), story.reserved())
    loan = story.loan()
    assert loan["offer"]["expires_at"] == soon.isoformat(timespec="microseconds").replace("+00:00", "Z")
    story.approve()
    (offered,) = story.told(credit.LoanOffered)
    assert offered.expires_at == soon
    assert offered.terms_hash == loan["offer"]["payload_hash"]
    after(story, timedelta(days=2, hours=23))
    assert story.state() == "offered"
    after(story, timedelta(days=3, hours=1))
    assert story.state() == "expired"
    (expired,) = story.told(credit.LoanExpired)
    assert expired.deadline == "offer"


def test_an_offer_is_not_accepted_after_its_time_even_if_no_timer_has_run(story: Story) -> None:
    story.to("offered")
    with clock.travelled(timedelta(days=11)):
        story.post("acceptance", status=409)


def test_the_maker_cannot_approve_and_a_wrong_hash_is_refused(story: Story) -> None:
    loan = story.to("proposed")
    seen = loan["offer"]["payload_hash"]
    maker = story.person("credit-approver", "officer")
    story.post("approval", {"payload_hash": seen, "approve": True}, maker, 403)
    story.post("approval", {"payload_hash": "0" * 64, "approve": True}, story.colleague, 409)
    assert story.state() == "proposed"
    assert story.post("approval", {"payload_hash": seen, "approve": True}, story.colleague)["state"] == "offered"
    story.post("approval", {"payload_hash": seen, "approve": True}, story.colleague, 409)


def test_a_rejected_offer_is_declined_by_the_approver(story: Story) -> None:
    loan = story.to("proposed")
    seen = {"payload_hash": loan["offer"]["payload_hash"], "approve": False, "comment": "too thin"}
    loan = story.post("approval", seen, story.colleague)
    assert (loan["state"], loan["blocked_by"]) == ("declined", "approver")
    assert story.told(credit.LoanDeclined)[0].blocked_by == "approver"


def test_nothing_waits_for_approval_once_the_loan_has_ended(story: Story) -> None:
    story.to("proposed")
    assert len(body(story.officer.get("/v1/approvals"))["items"]) == 1
    story.post("withdrawal", {"reason": "found another bank"})
    assert body(story.officer.get("/v1/approvals"))["items"] == []
    (withdrawn,) = story.told(credit.LoanWithdrawn)
    assert withdrawn.reason == "found another bank"


def test_acceptance_asks_every_leg_until_a_deadline(story: Story) -> None:
    story.to("binding")
    (accepted,) = story.told(credit.LoanAccepted)
    assert (accepted.cover_id, accepted.guarantee_id) == (story.cover_id, story.guarantee_id)
    assert accepted.pledges[0].tonnes == Decimal(40_000)
    after(story, timedelta(hours=73))
    assert story.state() == "expired"
    assert story.told(credit.LoanExpired)[0].deadline == "binding"


@pytest.mark.parametrize(
    ("state", "time", "deadline"),
    [("structuring", {"hours": 73}, "legs"), ("proposed", {"days": 11}, "offer"), ("ready", {"days": 91}, "drawdown")],
)
def test_a_deadline_ends_the_loan(story: Story, state: str, time: dict[str, int], deadline: str) -> None:
    story.to(state)
    after(story, timedelta(**time))
    assert story.state() == "expired"
    assert story.told(credit.LoanExpired)[0].deadline == deadline
    after(story, timedelta(days=400))
    assert len(story.told(credit.LoanExpired)) == 1


# -- disbursement and servicing ---------------------------------------------------------------------------------------


def test_no_money_flows_on_a_valuation_that_fell_or_grew_stale(story: Story) -> None:
    story.to("ready")
    story.value(2, 1_500_000)
    assert "loan to value" in story.post("disbursement", status=409)["detail"]
    story.value(3, as_of=clock.today() - timedelta(days=200))
    assert story.post("disbursement", status=409)["type"].endswith("valuation-missing")
    story.value(4)
    assert story.post("disbursement")["state"] == "performing"


def test_a_loan_matures_after_its_term(story: Story) -> None:
    loan = story.to("performing")
    (disbursed,) = story.told(credit.LoanDisbursed)
    assert disbursed.amount == money(1_000_000)
    assert loan["matures_on"] == disbursed.matures_on.isoformat()
    assert disbursed.matures_on.year == clock.today().year + 3


def test_interest_is_simple_on_actual_days_and_paid_before_principal(story: Story) -> None:
    loan = story.to("performing")
    rate = Decimal(loan["annual_rate"])
    with clock.travelled(timedelta(days=25)):
        interest = (1_000_000 * rate * 25 / 360).quantize(Decimal("0.01"))
        assert story.loan()["balance"]["interest"] == amount(interest)
        loan = story.post("repayments", {"amount": amount(300_000)}, status=201)
        (repaid,) = story.told(credit.LoanRepaid)
        assert (repaid.interest, repaid.principal) == (interest, 300_000 - interest)
        assert repaid.balance == 700_000 + interest
        assert loan["balance"]["principal"] == amount(repaid.balance)
        assert loan["balance"]["interest"] == amount(0)


def test_a_small_payment_pays_interest_only(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=25)):
        loan = story.post("repayments", {"amount": amount("0.01")}, status=201)
    (repaid,) = story.told(credit.LoanRepaid)
    assert (repaid.interest, repaid.principal, repaid.balance) == (money("0.01"), money(0), money(1_000_000))
    assert loan["state"] == "performing"


def test_more_than_is_owed_is_refused_and_the_last_fen_closes_the_loan(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=31)):
        owed = Decimal(story.loan()["balance"]["owed"]["amount"])
        refused = story.post("repayments", {"amount": amount(owed + Decimal("0.01"))}, status=409)
        assert refused["errors"][0]["pointer"] == "/amount"
        loan = story.post("repayments", {"amount": amount(owed - Decimal("0.01"))}, status=201)
        assert loan["balance"]["owed"] == amount("0.01")
        loan = story.post("repayments", {"amount": amount("0.01")}, status=201)
    assert (loan["state"], loan["outcome"]) == ("closed", "repaid")
    (closed,) = story.told(credit.LoanClosed)
    assert (closed.outcome, closed.written_off) == ("repaid", 0)


@pytest.mark.parametrize("repayment", ["equal_principal", "equal_instalment", "interest_only"])
def test_the_schedule_s_principal_sums_to_the_loan(story: Story, repayment: str) -> None:
    story.value()
    story.apply(repayment=repayment, amount=amount("1000000.01"), grace_months=6)
    assert body(story.officer.get(f"/v1/loans/{story.loan_id}/schedule"))["items"] == []
    story.tell(story.quoted(), story.reserved())
    rows = body(story.officer.get(f"/v1/loans/{story.loan_id}/schedule"))["items"]
    assert len(rows) == 36
    assert sum(Decimal(row["principal"]["amount"]) for row in rows) == money("1000000.01")
    assert rows[-1]["balance"] == amount(0)
    assert rows[0]["principal"] == amount(0)


# -- covenants --------------------------------------------------------------------------------------------------------


def test_a_price_fall_calls_the_margin_and_a_recovery_cures_it(story: Story) -> None:
    story.to("performing")
    story.value(2, 1_400_000)
    loan = story.loan()
    assert loan["state"] == "margin_called"
    (called,) = story.told(credit.MarginCalled)
    assert called.loan_to_value == Decimal("0.89285714")
    assert called.shortfall == money(1_000_000 - Decimal("0.75") * 1_120_000)
    assert called.reasons[0].code == "margin_breached"
    assert loan["covenants"]["shortfall"] == amount(called.shortfall)
    story.value(3, 1_600_000)
    assert story.state() == "margin_called"  # below the margin level, still above the cure level
    story.value(4, 1_700_000)
    assert story.state() == "performing"
    (cured,) = story.told(credit.MarginCured)
    assert cured.loan_to_value == Decimal("0.73529412")
    after(story, timedelta(days=40))
    assert story.state() == "performing"


def test_a_repayment_of_the_shortfall_cures_the_call(story: Story) -> None:
    story.to("performing")
    story.value(2, 1_400_000)
    shortfall = story.loan()["covenants"]["shortfall"]
    assert story.post("repayments", {"amount": shortfall}, status=201)["state"] == "performing"


def test_an_uncured_call_becomes_a_default(story: Story) -> None:
    story.to("performing")
    story.value(2, 1_400_000)
    after(story, timedelta(days=29))
    assert story.state() == "margin_called"
    after(story, timedelta(days=31))
    loan = story.loan()
    assert loan["state"] == "defaulted"
    (defaulted,) = story.told(credit.LoanDefaulted)
    assert defaulted.balance == money(1_000_000)
    assert defaulted.reason.code == "margin_not_cured"
    assert loan["assets"][0]["pledge_state"] == "frozen"


def test_a_forest_worth_nothing_calls_the_whole_balance(story: Story) -> None:
    story.to("performing")
    story.value(2, 0)
    (called,) = story.told(credit.MarginCalled)
    assert called.loan_to_value is None
    assert called.shortfall == money(1_000_000)
    assert called.reasons[0].code == "collateral_worthless"


def test_a_valuation_that_grows_stale_by_itself_is_a_breach(story: Story) -> None:
    story.to("performing")
    after(story, timedelta(days=149))
    assert story.state() == "performing"
    after(story, timedelta(days=152))
    (called,) = story.told(credit.MarginCalled)
    assert called.reasons[0].code == "valuation_stale"
    assert called.loan_to_value is None
    assert called.shortfall == money(1_000_000)


def test_a_lapsed_policy_breaks_a_covenant_and_a_new_one_heals_it(story: Story) -> None:
    story.to("performing")
    story.tell(story.lapsed())
    (called,) = story.told(credit.MarginCalled)
    assert called.reasons[0].code == "cover_lapsed"
    assert called.shortfall == 0
    story.policy_id = UUID(int=7)
    story.tell(story.bound())
    assert story.state() == "performing"


def test_a_forest_whose_lien_was_struck_out_counts_no_more(story: Story) -> None:
    story.tell(valued(OTHER_ASSET, county="youyu"))
    both = [{"asset_id": str(asset), "tonnes": "20000"} for asset in (ASSET, OTHER_ASSET)]
    story.to("binding", assets=both)
    story.tell(story.placed(ASSET), story.placed(OTHER_ASSET), story.bound(), story.issued())
    story.post("disbursement")
    story.tell(story.pledge_released(OTHER_ASSET, "struck out by the register"))
    loan = story.loan()
    assert loan["state"] == "margin_called"
    assert loan["covenants"]["loan_to_value"] == "0.83333333"
    assert loan["covenants"]["reasons"][0]["code"] == "pledge_released"
    story.tell(story.pledge_released(ASSET, "struck out by the register"))
    loan = story.loan()
    assert loan["covenants"]["loan_to_value"] is None
    assert loan["covenants"]["shortfall"] == amount(1_000_000)


def test_a_lien_that_was_reduced_counts_for_what_is_left(story: Story) -> None:
    story.to("performing")
    before = story.loan()["covenants"]["loan_to_value"]
    story.tell(story.pledge_reduced("39000"))
    loan = story.loan()
    assert loan["state"] == "performing"
    assert loan["assets"][0]["tonnes"] == "39000.000"
    assert float(loan["covenants"]["loan_to_value"]) == pytest.approx(float(before) * 40 / 39, rel=1e-6)
    story.tell(story.pledge_reduced("10000"))
    (called,) = story.told(credit.MarginCalled)
    assert called.shortfall > 0


def test_a_debt_on_next_to_nothing_has_no_ratio(story: Story) -> None:
    story.to("performing")
    story.value(2, "0.02")
    (called,) = story.told(credit.MarginCalled)
    assert called.loan_to_value is None
    story.value(3, "0.02")
    assert story.apply()["decision"]["loan_to_value"] == {"p10": None, "p50": None}


def test_a_guarantee_let_go_breaks_a_covenant(story: Story) -> None:
    story.to("performing")
    story.tell(story.released("limit withdrawn"))
    assert story.told(credit.MarginCalled)[0].reasons[0].code == "guarantee_released"


def test_the_margin_levels_are_those_of_the_contract(story: Story) -> None:
    loan = story.to("performing")
    assert loan["covenants"]["margin_call_loan_to_value"] == "0.85000000"
    assert loan["covenants"]["margin_value"] == amount("1176470.59")
    assert loan["covenants"]["break_even_price"] == amount("39.22")


def test_every_bank_on_a_forest_hears_of_its_new_value(credit_db: Database) -> None:
    first, second = Story(credit_db), Story(credit_db, bank=OTHER_BANK)
    half = [{"asset_id": str(ASSET), "tonnes": "20000"}]
    first.to("performing", assets=half, amount=amount(500_000))
    second.numbers = first.numbers
    second.to("performing", assets=half, amount=amount(500_000))
    first.value(2, 1_000_000)
    assert {event.bank for event in first.told(credit.MarginCalled) + second.told(credit.MarginCalled)} == {
        BANK,
        OTHER_BANK,
    }


def test_a_loan_is_classed_by_its_days_its_covenants_and_its_default(story: Story) -> None:
    assert story.to("performing")["risk"] == {
        "days_past_due": 0,
        "bucket": "0",
        "stage": 1,
        "ecl_horizon": "12 months",
        "five_class": "正常",
    }
    with clock.travelled(timedelta(days=31 + 45)):
        story.timers()
        risk = story.loan()["risk"]
        assert risk["days_past_due"] in range(44, 47)
        assert (risk["stage"], risk["five_class"], risk["bucket"]) == (2, "关注", "31-60")
        story.post("repayments", {"amount": amount(100_000)}, status=201)
        assert story.loan()["risk"]["days_past_due"] == 0
    story.value(2, 1_000_000)
    assert story.loan()["risk"]["stage"] == 2
    story.post("default", {"ground": "overdue", "comment": "late"})
    assert (story.loan()["risk"]["stage"], story.loan()["risk"]["five_class"]) == (3, "次级")


# -- default and recovery ---------------------------------------------------------------------------------------------


def test_a_default_runs_through_guarantee_enforcement_and_write_off(story: Story) -> None:
    story.to("defaulted")
    story.tell(story.called(1_000_000), story.guarantee_paid(1_000_000))
    assert story.loan()["balance"]["guarantee_received"] == amount(800_000)
    assert story.post("enforcement")["state"] == "enforcing"
    story.tell(story.pledge_enforced())
    story.post("recoveries", {"amount": amount(410_000), "costs": amount(10_000), "source": "carbon"}, status=201)
    (received,) = story.told(credit.RecoveryReceived)
    assert "shared" in story.post("closing", status=409)["detail"]
    story.tell(story.shared(received))
    loan = story.post("closing")
    assert (loan["state"], loan["outcome"]) == ("closed", "written_off")
    assert loan["balance"]["written_off"] == amount(120_000)  # 200 000 of its own share, a fifth of 400 000 back
    assert loan["balance"]["unrecovered"] == amount(600_000)
    (closed,) = story.told(credit.LoanClosed)
    assert (closed.outcome, closed.written_off) == ("written_off", money(120_000))


def test_closing_waits_for_the_guarantor(story: Story) -> None:
    story.to("defaulted")
    assert "guarantee" in story.post("closing", status=409)["detail"]
    story.tell(story.called(1_000_000))
    assert "guarantee" in story.post("closing", status=409)["detail"]
    story.tell(story.released("claim period over"))
    loan = story.post("closing")
    assert loan["balance"]["written_off"] == amount(1_000_000)


def test_what_is_recovered_beyond_the_claim_is_interest_and_charges_then_the_borrower_s(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=90)):
        story.post("default", {"ground": "overdue", "comment": "90 days"})
        owed = story.loan()["balance"]
        interest, charges = (Decimal(owed[name]["amount"]) for name in ("interest", "charges"))
        assert min(interest, charges) > 0
        story.tell(story.called(1_000_000), story.guarantee_paid(1_000_000))
        story.post("recoveries", {"amount": amount(1_100_000), "costs": amount(20_000), "source": "carbon"}, status=201)
        (received,) = story.told(credit.RecoveryReceived)
        assert received.amount - received.costs == money(1_000_000)
        story.tell(story.shared(received))
        loan = story.post("closing")
    assert loan["outcome"] == "recovered"
    assert loan["balance"]["surplus"] == amount(80_000 - interest - charges)
    assert loan["balance"]["interest_paid"] == amount(interest)
    assert loan["balance"]["written_off"] == amount(0)


def test_costs_above_the_recovery_are_refused(story: Story) -> None:
    story.to("defaulted")
    problem = story.post("recoveries", {"amount": amount(1), "costs": amount(2), "source": "carbon"}, status=422)
    assert problem["errors"][0]["pointer"] == "/costs"


def test_a_loan_whose_principal_an_insurer_repaid_may_be_closed_without_its_interest(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=30)):
        story.tell(story.claim_paid(1_000_000))
        loan = story.loan()
        assert loan["state"] == "performing"
        assert Decimal(loan["balance"]["interest"]["amount"]) > 0
        story.post("default", {"ground": "overdue", "comment": "interest"}, status=409)
        assert story.post("closing")["outcome"] == "repaid"


def test_an_identity_number_is_never_taken_as_a_reference(story: Story) -> None:
    problem = body(story.officer.post("/v1/loans", application(borrower_reference="370101190102039973")), 422)
    assert problem["errors"][0]["pointer"] == "/borrower_reference"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.payout import interim_payment
from services.insurance.formulas.terms import (
    allocated_losses,
    average_clause_loss,
    degree_ladder_payout,
    effective_deductible,
    fire_covered,
    franchise_payout,
    location_loss,
    paid_area,
    pest_event,
    policy_loss,
    term_amount,
)
from tests.insurance.formulas.examples import close, example, examples

AMOUNTS = st.floats(0, 1e9)


@pytest.mark.parametrize("case", examples("terms-"))
def test_accounts_at_full_damage(case):
    locations, policy = case["inputs"]["locations"], dict(case["inputs"]["policy"])
    losses = [
        location_loss(
            here["tiv"], here["tiv"], here["deductible"], here["deductible_type"], here["limit"], here["limit_type"]
        )
        for here in locations
    ]
    whole = policy_loss(losses, sum(here["tiv"] for here in locations), **policy)
    assert whole == pytest.approx(case["expected"]["total"], rel=0, abs=case["tolerance"])
    assert allocated_losses(losses, whole) == close(case, "loss")


def test_average_clause_example():
    case = example("average")
    inputs = case["inputs"]
    assert average_clause_loss(inputs["loss"], inputs["sum_insured"], inputs["value"]) == close(case, "payout")


def test_area_deductible_example():
    case = example("cn-area-deductible")
    assert [paid_area(mu, 0.05, 5) for mu in case["inputs"]["assessed_mu"]] == close(case, "paid_mu")


def test_degree_ladder_example():
    case = example("cn-degree-ladder")
    inputs = case["inputs"]
    paid = [degree_ladder_payout(100 * inputs["si_per_mu"], inputs["mu"], g, 0.2, 0.9) for g in inputs["degree"]]
    assert [fen / 100 for fen in paid] == close(case, "payout")


def test_small_fire_example():
    case = example("cn-small-fire")
    assert [fire_covered(mu, 10) for mu in case["inputs"]["burnt_mu"]] == case["expected"]["covered"]


def test_pest_example():
    case = example("cn-pest-threshold")
    inputs = case["inputs"]
    assert [pest_event(degree, 0.15) for degree in inputs["degree"]] == case["expected"]["event"]
    interim = interim_payment(100 * inputs["assessed_yuan"], inputs["interim_share"])
    assert interim / 100 == close(case, "interim_yuan")


def test_share_of_loss_and_share_of_value_differ_below_full_damage():
    of_loss = location_loss(50.0, 200.0, 0.1, 1, 0.0, 0)
    of_value = location_loss(50.0, 200.0, 0.1, 2, 0.0, 0)
    assert (of_loss, of_value) == (45.0, 30.0)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_location_never_pays_more_than_loss_or_limit(loss, deductible, limit):
    paid = location_loss(loss, 1e9, deductible, 0, limit, 0)
    assert 0 <= paid <= loss
    assert limit == 0 or paid <= limit


@given(st.lists(AMOUNTS, min_size=1, max_size=6), AMOUNTS, AMOUNTS, AMOUNTS, st.floats(0, 1))
def test_a_policy_pays_no_more_than_its_losses_and_allocates_all_of_it(losses, deductible, attachment, limit, share):
    paid = policy_loss(losses, 1e10, deductible, 0, attachment, limit, share)
    assert 0 <= paid <= sum(losses) * (1 + 1e-12)
    assert sum(allocated_losses(losses, paid)) == pytest.approx(paid)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_worse_degree_never_pays_less(one, other):
    low, high = sorted([one, other])
    assert degree_ladder_payout(80_000, 10, low, 0.2, 0.9) <= degree_ladder_payout(80_000, 10, high, 0.2, 0.9)


@given(st.floats(0, 1e6))
def test_a_paid_area_is_never_below_nothing(mu):
    assert 0 <= paid_area(mu, 0.05, 5) <= mu


def test_a_deductible_between_minimum_and_maximum():
    assert effective_deductible([5.0, 50.0], minimum=0.0, maximum=20.0) == 20.0
    assert effective_deductible([5.0], minimum=0.0, maximum=0.0) == 5.0


def test_a_negative_deductible_is_refused():
    case = example("refuse-negative-deductible")
    with pytest.raises(ValueError, match="not below 0"):
        location_loss(10.0, 10.0, case["inputs"]["deductible"], 0, 0.0, 0)


def test_a_franchise_above_the_limit_is_refused():
    case = example("refuse-franchise-above-limit")
    with pytest.raises(ValueError, match="franchise"):
        franchise_payout(600.0, **case["inputs"])


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (average_clause_loss, (1.0, 1.0, 0.0)),
        (term_amount, (float("nan"), 0, 1.0, 1.0)),
        (location_loss, (float("nan"), 1.0, 0.0, 0, 0.0, 0)),
        (policy_loss, ([1.0], 1.0, 0.0, 0, 0.0, 0.0, 1.5)),
        (effective_deductible, ([-1.0], 0.0, 0.0)),
        (paid_area, (-1.0, 0.05, 5)),
        (degree_ladder_payout, (1, 1.0, 1.1, 0.2, 0.9)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)

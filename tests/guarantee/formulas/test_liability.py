import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.liability import (
    binding_room,
    borne_liability,
    concentration_room,
    contract_liability,
    county_room,
    leverage_multiple,
    leverage_room,
    liability_weight,
    loss_rate,
    loss_rate_use,
    marginal_liability,
    net_assets_for_ratios,
    pool_room,
    room_below_flip,
    weight_flips,
    weighted_liability,
)
from tests.guarantee.formulas.examples import example, examples

THRESHOLD = 500_000_000
TERMS = (True, THRESHOLD, 7_500, 10_000)
FEN = st.integers(0, 10**12)


def fen(yuan: str) -> int:
    return round(100 * float(yuan))


@pytest.mark.parametrize("case", examples("weight-"))
def test_weight_examples(case):
    existing, new, threshold = (fen(case["inputs"][name]) for name in ("existing", "new", "threshold"))
    terms = (True, threshold, 7_500, 10_000)
    before = weighted_liability(existing, liability_weight(existing, *terms))
    marginal = marginal_liability(existing, new, *terms)
    result = {"before": before, "after": before + marginal, "marginal": marginal}
    assert {name: result[name] for name in case["expected"]} == {
        name: fen(value) for name, value in case["expected"].items()
    }


def test_the_flip_can_multiply_the_liability_by_five():
    assert marginal_liability(480_000_000, 30_000_000, *TERMS) == 5 * 30_000_000
    assert weight_flips(480_000_000, 30_000_000, True, THRESHOLD)


@given(FEN, FEN, st.booleans())
def test_marginal_liability_is_what_the_total_grows_by(existing, new, small):
    terms = (small, *TERMS[1:])
    before = weighted_liability(existing, liability_weight(existing, *terms))
    after = weighted_liability(existing + new, liability_weight(existing + new, *terms))
    marginal = marginal_liability(existing, new, *terms)
    assert before + marginal == after
    assert marginal >= 0


@given(FEN)
def test_the_room_below_the_flip_fits_and_one_fen_more_does_not(existing):
    room = room_below_flip(existing, THRESHOLD)
    assert not weight_flips(existing, room, True, THRESHOLD)
    assert existing > THRESHOLD or weight_flips(existing, room + 1, True, THRESHOLD)


def test_two_reports_of_one_loan():
    case = example("two-reports")
    balance = fen(case["inputs"]["balance"])
    weight, share = round(10_000 * case["inputs"]["weight"]), round(10_000 * case["inputs"]["share"])
    assert contract_liability(balance, weight) == fen(case["expected"]["weight_without_share"])
    assert borne_liability(balance, share) == fen(case["expected"]["share_without_weight"])


def test_leverage_example():
    case = example("leverage")
    assets, liability = fen(case["inputs"]["net_assets"]), fen(case["inputs"]["liability"])
    for multiple in (15, 10):
        assert leverage_room(assets, multiple, liability, 0) == fen(case["expected"][f"headroom_{multiple}x"])


def test_losing_the_small_business_tier_is_a_cliff():
    tests = (0.5, 0.8, 10, 15)
    assert [leverage_multiple(share, 0.9, *tests) for share in (0.5, 0.4999)] == [15, 10]
    assert [leverage_multiple(0.9, share, *tests) for share in (0.8, 0.7999)] == [15, 10]


def test_concentration_example():
    case = example("concentration")
    assets = fen(case["inputs"]["net_assets"])
    rooms = {
        "obligor": concentration_room(assets, 1_000, fen(case["inputs"]["obligor_liability"]), 0),
        "group": concentration_room(assets, 1_500, fen(case["inputs"]["group_liability"]), 0),
    }
    assert rooms["obligor"] == fen(case["expected"]["room_obligor"])
    assert binding_room(rooms) == (case["expected"]["binding"], fen(case["expected"]["room_group"]))


@given(st.integers(0, 10**13), st.integers(0, 10_000), FEN, FEN)
def test_an_amount_that_fits_the_room_stays_within_the_limit(assets, limit, liability, held):
    room = concentration_room(assets, limit, liability, held)
    assert 10_000 * (liability + held + room) <= assets * limit
    assert 10_000 * (liability + held + room + 1) > assets * limit


@given(FEN, FEN)
def test_what_is_held_takes_room_in_every_limit(liability, held):
    assert leverage_room(10**12, 10, liability, held) == leverage_room(10**12, 10, liability, 0) - held
    assert county_room(10**12, 10, 3_000, liability, held) == county_room(10**12, 10, 3_000, liability, 0) - held
    assert pool_room(10**12, 5, liability, held) == pool_room(10**12, 5, liability, 0) - held


def test_equal_rooms_bind_in_the_order_given():
    assert binding_room({"leverage": 5, "county": 5}) == ("leverage", 5)


def test_equity_in_other_guarantors_never_turns_net_assets_below_nothing():
    assert net_assets_for_ratios(100, 150) == 0


def test_a_safe_loan_gives_slack_to_the_loss_rate():
    assert loss_rate_use(0.02, 0.04, 1_000) < 0 < loss_rate_use(0.06, 0.04, 1_000)
    assert loss_rate(0, 0) == 0


def test_a_negative_amount_is_refused():
    with pytest.raises(ValueError, match="not below 0"):
        weighted_liability(-1, 7_500)

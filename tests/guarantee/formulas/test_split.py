import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.fen import share_down, share_up, whole_fen
from services.guarantee.formulas.split import (
    PARTIES,
    bank_share_sufficient,
    first_loss_split,
    largest_remainder,
    split,
    tiered_cover,
)
from tests.guarantee.formulas.examples import example, examples

FEN = st.integers(0, 10**13)


@st.composite
def schemes(draw):
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=4, max_size=4)))
    edges = [0, *cuts, 10_000]
    return {party: edges[i + 1] - edges[i] for i, party in enumerate(PARTIES)}


def test_largest_remainder_example():
    case = example("split-remainder")
    parts = split(case["inputs"]["loss_fen"], case["inputs"]["scheme"])
    assert parts == {"national": 0} | case["expected"]


@pytest.mark.parametrize("case", examples("sba-"))
def test_tiered_cover_examples(case):
    loan = round(100 * float(case["inputs"]["loan"]))
    covered = tiered_cover(loan, 15_000_000, small_bp=8_500, large_bp=7_500, maximum=375_000_000)
    assert covered == round(100 * float(case["expected"]["guaranteed"]))


@given(FEN, schemes())
def test_a_split_is_exact_and_strays_by_less_than_a_fen(amount, shares):
    parts = split(amount, shares)
    assert list(parts) == list(PARTIES)
    assert sum(parts.values()) == amount
    assert all(abs(10_000 * parts[party] - amount * shares[party]) < 10_000 for party in PARTIES)


@given(FEN, schemes())
def test_the_order_in_which_shares_are_written_does_not_matter(amount, shares):
    assert split(amount, dict(reversed(shares.items()))) == split(amount, shares)


@given(FEN, FEN, FEN)
def test_first_loss_uses_up_one_party_after_the_other(amount, pool, primary):
    parts = first_loss_split(amount, {"pool": pool, "primary": primary}, ["pool", "primary"])
    assert sum(parts.values()) == amount
    assert min(parts.values()) >= 0
    assert parts["primary"] == 0 or parts["pool"] == pool
    assert parts["bank"] == 0 or parts["primary"] == primary


def test_a_first_loss_order_may_name_the_bank():
    assert first_loss_split(90, {"bank": 30, "primary": 40}, ["bank", "primary"]) == {"bank": 50, "primary": 40}


@given(FEN, st.integers(0, 10_000))
def test_use_is_rounded_up_and_a_limit_down_by_less_than_a_fen(amount, share):
    assert share_down(amount, share) * 10_000 <= amount * share <= share_up(amount, share) * 10_000
    assert share_up(amount, share) - share_down(amount, share) <= 1


def test_the_bank_keeps_its_part():
    assert bank_share_sufficient(2_000, 2_000)
    assert not bank_share_sufficient(1_999, 2_000)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (split, (100, {"primary": 8_000, "bank": 1_999})),
        (split, (100, {"primary": 8_000, "surety": 2_000})),
        (split, (100, {"primary": 12_000, "bank": -2_000})),
        (split, (-1, {"primary": 8_000, "bank": 2_000})),
        (largest_remainder, (1, [0])),
        (first_loss_split, (-1, {"pool": 1}, ["pool"])),
        (first_loss_split, (1, {"pool": 1}, ["pool", "pool"])),
        (whole_fen, (float("inf"),)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)

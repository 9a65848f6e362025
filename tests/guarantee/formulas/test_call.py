import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.call import (
    REIMBURSERS,
    capped_claims,
    finally_borne,
    gross_payment,
    net_recovery,
    recovery_shares,
    reimbursement_claims,
    subrogated_claim,
)
from services.guarantee.formulas.split import PARTIES, split
from tests.guarantee.formulas.examples import example
from tests.guarantee.formulas.test_split import FEN, schemes


def fen(yuan: str) -> int:
    return round(100 * float(yuan))


@pytest.mark.parametrize("name", ["split-4321", "split-3322"])
def test_cash_first_then_claims(name):
    case = example(name)
    called, scheme = fen(case["inputs"]["loss"]), case["inputs"]["scheme"]
    expected = {party: fen(value) for party, value in case["expected"].items()}
    assert gross_payment(called, scheme) == expected["primary_cash_first"]
    borne = finally_borne(called, scheme, reimbursement_claims(called, scheme))
    assert borne == {
        "primary": expected["primary_net"],
        "province": expected["province"],
        "national": 0,
        "bank": expected["bank"],
        "pool": expected["pool"],
    }


def test_recovery_example():
    case = example("recovery-4321")
    net = net_recovery(fen(case["inputs"]["recovery"]), fen(case["inputs"]["cost"]))
    shares = recovery_shares(net, case["inputs"]["scheme"], PARTIES)
    assert shares == {"national": 0} | {party: fen(value) for party, value in case["expected"].items()}


@given(FEN, schemes())
def test_full_reimbursement_leaves_everyone_with_the_agreed_share(called, scheme):
    claims = reimbursement_claims(called, scheme)
    assert finally_borne(called, scheme, claims) == split(called, scheme)
    assert gross_payment(called, scheme) == split(called, scheme)["primary"] + sum(claims.values())


@given(FEN, schemes(), st.fixed_dictionaries(dict.fromkeys(REIMBURSERS, FEN)))
def test_what_is_not_reimbursed_stays_with_the_primary_and_the_sum_is_exact(called, scheme, rooms):
    paid = capped_claims(reimbursement_claims(called, scheme), rooms)
    borne = finally_borne(called, scheme, paid)
    assert sum(borne.values()) == called
    assert min(borne.values()) >= 0
    assert borne["primary"] >= split(called, scheme)["primary"]
    assert borne["bank"] == split(called, scheme)["bank"]


@given(FEN, FEN, schemes(), st.sets(st.sampled_from(PARTIES), min_size=1))
def test_recoveries_sum_to_the_net_and_only_sharing_parties_receive(recovered, costs, scheme, sharing):
    if not any(scheme[party] for party in sharing):
        return
    net = net_recovery(recovered, costs)
    shares = recovery_shares(net, scheme, sharing)
    assert sum(shares.values()) == net
    assert all(shares[party] == 0 for party in PARTIES if party not in sharing)
    assert min(shares.values()) >= 0


def test_a_reimbursement_beyond_the_claim_is_refused():
    scheme = example("split-4321")["inputs"]["scheme"]
    with pytest.raises(ValueError, match="more than was claimed"):
        finally_borne(100, scheme, {"province": 31})
    with pytest.raises(ValueError, match="not below 0"):
        net_recovery(-1, 0)


def test_a_subrogated_claim_ends_when_it_is_recovered():
    assert subrogated_claim(240, 300) == 0

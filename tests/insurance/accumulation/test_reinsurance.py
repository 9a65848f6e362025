from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.insurance.accumulation.event_set import make_event_set
from services.insurance.accumulation.losses import Terms, paid
from services.insurance.accumulation.reinsurance import Contract, ProgrammeError, ceded, check
from services.insurance.formulas.reinsurance import reinstatement_premium, stop_loss_recovery
from tests.insurance.accumulation.examples import exposure, random_set
from tests.insurance.formulas.examples import close, example, examples

KINDS = {"CXL": "catastrophe", "FAC": "per_risk", "PR": "per_risk", "QS": "quota_share", "SS": "surplus"}


@pytest.mark.parametrize("case", examples("reinsurance-"))
def test_a_programme_of_one_contract_nets_what_the_reference_nets(case):
    given, subject = case["inputs"]["contract"], case["inputs"]["subject"]
    # Risks and their forests stand together in a book; the shares come from a scope here.
    order = sorted(range(len(subject)), key=lambda n: subject[n]["risk"])
    gross = np.array([subject[n]["gross"] for n in order])
    shares = np.array([subject[n]["ceded_share"] for n in order])
    risks = [subject[n]["risk"] for n in order]
    book = exposure(len(subject), len(set(risks)), value=gross)
    book = replace(book, policy=np.array([sorted(set(risks)).index(one) for one in risks], np.int32))
    events = make_event_set([1] * len(gross), [1] * len(gross), range(len(gross)), [1.0] * len(gross), 1, len(gross))
    block = paid(events, book, Terms(book))
    contract = Contract(
        "one", KINDS[given["type"]], risk="policy", placed_share=given["placed_share"],
        risk_attachment=given["risk_attachment"], risk_limit=given["risk_limit"],
        attachment=given["occurrence_attachment"], limit=given["occurrence_limit"],
    )  # fmt: skip
    by_policy = np.array([shares[book.policy == number][0] for number in range(len(book.policies))])

    class Scoped(Contract):
        def shares(self, sums):
            return by_policy

    net = ceded(block, book, [Scoped(**vars(contract))]).net
    assert net[np.argsort(order)] == close(case, "net")


AMOUNT = st.sampled_from([0.0, 500.0, 2000.0, 6000.0])
CONTRACTS = st.lists(
    st.builds(
        Contract,
        name=st.just("one"),
        kind=st.sampled_from(["quota_share", "surplus", "per_risk", "catastrophe", "stop_loss"]),
        risk=st.sampled_from(["forest", "policy"]),
        ceded_share=st.sampled_from([0.25, 1.0]),
        placed_share=st.sampled_from([0.4, 1.0]),
        risk_attachment=AMOUNT,
        attachment=AMOUNT,
        limit=st.sampled_from([500.0, 3000.0]),
        retained_line=st.just(1500.0),
        lines=st.just(2.0),
        annual_deductible=AMOUNT,
        reinstatements=st.sampled_from([None, 0, 1]),
        reinstatement_rate=st.just(1.0),
        premium=st.just(100.0),
        perils=st.sampled_from([(), ("fire",)]),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), CONTRACTS)
def test_gross_is_net_and_ceded_of_each_event_and_no_part_is_below_nothing(seed, contracts):
    programme = [replace(one, name=f"c{n}", order=n) for n, one in enumerate(contracts)]
    events, book = random_set(seed, 6, 30, 12), exposure(6, 3)
    block = paid(events, book, Terms(book))
    found = ceded(block, book, programme)
    net = np.bincount(events.owner, weights=found.net, minlength=len(events.event))
    assert net + found.recoveries.sum(axis=0) == pytest.approx(block.by_event)
    assert np.all(found.net >= 0)
    assert np.all(found.net <= block.cells + 1e-9)
    assert np.all(found.recoveries >= -1e-9)
    assert np.all(found.reinstatements >= 0)
    for number, one in enumerate(programme):
        of_year = np.bincount(events.year, weights=found.recoveries[number])
        if one.kind != "stop_loss" and one.reinstatements is not None:
            assert of_year.max() <= one.placed_share * one.annual_limit + 1e-6
        restored = np.bincount(events.year, weights=found.reinstatements[number])
        most = one.placed_share * one.premium * one.reinstatement_rate * (one.reinstatements or 0)
        assert restored.max() <= most + 1e-9


@pytest.mark.parametrize("kind", ["catastrophe", "per_risk", "stop_loss"])
def test_layers_on_top_of_each_other_sum_to_ground_up(kind):
    low = "risk_attachment" if kind == "per_risk" else "attachment"
    high = "risk_limit" if kind == "per_risk" else "limit"
    edges = [0.0, 700.0, 2500.0, 6000.0, None]
    programme = [
        Contract(f"layer {n}", kind, risk="policy", **{low: a, high: 0.0 if b is None else b - a})
        for n, (a, b) in enumerate(pairwise(edges))
    ]
    check(programme)
    events, book = random_set(3, 6, 40, 12), exposure(6, 3)
    block = paid(events, book, Terms(book))
    found = ceded(block, book, programme)
    assert found.recoveries.sum(axis=0) == pytest.approx(block.by_event)
    assert found.net == pytest.approx(0, abs=1e-9)
    if kind == "stop_loss":
        year = np.bincount(events.year, weights=block.by_event, minlength=13)
        for layer, recovered in zip(programme, found.recoveries, strict=True):
            expected = stop_loss_recovery(year, layer.attachment, layer.limit or np.inf)
            assert np.bincount(events.year, weights=recovered, minlength=13) == pytest.approx(expected)


def test_a_limit_is_restored_for_its_premium_and_then_gone():
    events = make_event_set(range(4), [1, 1, 1, 2], [0] * 4, [0.5, 0.3, 0.9, 0.2], 2, 1)
    book = exposure(1, value=[1000.0])
    layer = Contract("cat", "catastrophe", attachment=100.0, limit=300.0, reinstatements=1, reinstatement_rate=1.0,
                     premium=30.0)  # fmt: skip
    found = ceded(paid(events, book, Terms(book)), book, [layer])
    assert found.recoveries[0].tolist() == [300.0, 200.0, 100.0, 100.0]
    assert found.reinstatements[0].tolist() == [reinstatement_premium(30.0, 300.0, 300.0, 1.0), 0.0, 0.0, 10.0]
    later = replace(layer, annual_deductible=350.0)
    assert ceded(paid(events, book, Terms(book)), book, [later]).recoveries[0].tolist() == [0.0, 150.0, 300.0, 0.0]


@pytest.mark.parametrize(
    ("contracts", "reason"),
    [
        (
            [Contract(f"l{n}", "catastrophe", limit=float(limit), attachment=float(at))
             for n, (limit, at) in enumerate(example("refuse-layers-overlap")["inputs"]["layers"])],
            "overlaps with l1",
        ),
        ([Contract("a", "quota_share", ceded_share=0.7), Contract("b", "quota_share", ceded_share=0.4)], "more than"),
        ([Contract("a", "quota_share", ceded_share=0.5), Contract("b", "catastrophe", limit=1.0)], "beside"),
        ([Contract("a", "stop_loss", attachment=-1.0)], "below 0"),
        ([Contract("a", "stop_loss", placed_share=1.5)], "share"),
        ([Contract("a", "catastrophe", reinstatements=1)], "reinstates"),
        ([Contract("a", "surplus", risk="policy")], "retained line"),
        ([Contract("a", "surplus", retained_line=1.0, lines=1.0)], "no risk"),
        ([Contract("a", "stop_loss"), Contract("a", "stop_loss", order=2)], "another contract's"),
        ([Contract("a", "treaty")], "no known kind"),
    ],
)  # fmt: skip
def test_a_programme_that_contradicts_itself_is_refused(contracts, reason):
    with pytest.raises(ProgrammeError, match=reason):
        check(contracts)

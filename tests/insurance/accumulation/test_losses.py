import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.insurance.accumulation import compiled
from services.insurance.accumulation.event_set import make_event_set
from services.insurance.accumulation.losses import Terms, paid, year_table
from services.insurance.accumulation.refusal import RowError
from services.insurance.formulas.terms import allocated_losses, average_clause_loss, location_loss, policy_loss
from tests.insurance.accumulation.examples import exposure, random_set
from tests.insurance.formulas.examples import close, example, examples

SEEDS = st.integers(0, 10**6)


@pytest.mark.parametrize("case", examples("terms-"))
def test_the_columns_pay_what_the_accounts_of_the_reference_pay(case):
    locations, policy = case["inputs"]["locations"], case["inputs"]["policy"]
    count = len(locations)
    terms = {
        name: np.array([here[name] for here in locations])
        for name in ("deductible", "deductible_type", "limit", "limit_type")
    }
    policy_terms = {name: np.array([amount]) for name, amount in policy.items()}
    book = exposure(count, 1, value=[here["tiv"] for here in locations], terms=terms, policy_terms=policy_terms)
    events = make_event_set([7] * count, [1] * count, range(count), [1.0] * count, 1, count)
    block = paid(events, book, Terms(book))
    assert block.by_event == pytest.approx([case["expected"]["total"]], rel=0, abs=case["tolerance"])
    assert block.cells.tolist() == close(case, "loss")


def test_the_event_matrix_of_the_reference_gives_its_event_losses():
    case = example("event-matrix")
    losses = np.array(case["inputs"]["losses"], dtype=float)
    event, parcel = np.nonzero(losses)
    book = exposure(3, value=[2.0, 2.0, 2.0])
    events = make_event_set(event, event + 1, parcel, losses[event, parcel] / 2, 2, 3)
    table = year_table([events], book, 2, ("all",))
    assert table.aggregate[0].tolist() == close(case, "at_event")
    assert case["inputs"]["frequency"] @ table.aggregate[0] == close(case, "aai")


def test_a_cover_bounds_each_parcel():
    case = example("event-cover")
    losses = np.array(case["inputs"]["losses"], dtype=float)
    event, parcel = np.nonzero(losses)
    # A limit of 0 is none here, so a cover of 0 is the smallest amount that the test does not see.
    limits = np.maximum(np.array(case["inputs"]["cover"], dtype=float), 1e-15)
    book = exposure(3, value=[2.0, 2.0, 2.0], terms={"limit": limits})
    block = paid(make_event_set(event, event + 1, parcel, losses[event, parcel] / 2, 2, 3), book, Terms(book))
    insured = np.zeros((2, 3))
    insured[block.events.owner, block.events.parcel] = block.cells
    assert insured == pytest.approx(np.array(case["expected"]["insured"]), rel=0, abs=case["tolerance"])


def test_a_year_event_table_gives_its_occurrence_and_aggregate():
    case = example("oep-aep")
    years, losses = zip(*case["inputs"]["events"], strict=True)
    count = len(years)
    events = make_event_set(range(count), years, [0] * count, np.array(losses) / 100, 5, 1)
    table = year_table(events.blocks(1), exposure(1, value=[100.0]), 5, ("all",))
    assert table.occurrence[0].tolist() == close(case, "occurrence")
    assert table.aggregate[0].tolist() == close(case, "aggregate")


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("worded", [False, True])
def test_the_compiled_pass_gives_numpys_bytes(kind: int, worded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, parcels = np.random.default_rng(kind), 50
    scale = 1000.0 if kind == 0 else 1.0
    terms = {
        "deductible": draw.choice([0.0, 0.02, 0.3], parcels) * scale,
        "deductible_type": np.full(parcels, kind, np.int32),
        "limit": draw.choice([0.0, 0.3, 0.8], parcels) * scale,
        "limit_type": np.full(parcels, kind, np.int32),
        "franchise": draw.choice([0.0, 200.0], parcels),
    }
    value = draw.uniform(10, 1000, parcels)
    book = exposure(parcels, value=value, sum_insured=value * draw.choice([0.5, 1.0], parcels), terms=terms)
    events = random_set(kind, parcels, 400, 20)
    covered = (lambda block: draw_share[: len(block.damage)]) if worded else None
    draw_share = draw.choice([0.0, 0.5, 1.0], len(events.damage))
    assert compiled.AVAILABLE
    found = {}
    for least in (0, len(events.damage) + 1):
        monkeypatch.setattr(compiled, "LEAST", least)
        found[least] = paid(events, book, Terms(book), covered)
    one, other = found.values()
    assert one.ground_up.tobytes() == other.ground_up.tobytes()
    assert (one.cells == other.cells).all()
    assert one.cells.any()


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 8), st.integers(1, 4))
def test_columns_and_single_losses_agree_under_every_kind_of_term(seed, parcels, policies):
    draw = np.random.default_rng(seed)
    policies = min(policies, parcels)
    kinds = draw.integers(0, 3, (2, parcels))
    value = draw.uniform(10, 1000, parcels)
    scale = np.where(kinds == 0, value, 1.0)
    terms = {
        "deductible": draw.uniform(0, 0.3, parcels) * scale[0],
        "deductible_type": kinds[0].astype(np.int32),
        "limit": draw.choice([0, 0.5], parcels) * scale[1],
        "limit_type": kinds[1].astype(np.int32),
    }
    kind = int(draw.integers(0, 3))
    policy_terms = {
        "deductible": np.full(policies, draw.uniform(0, 0.2) * (50 if kind == 0 else 1)),
        "deductible_type": np.full(policies, kind, np.int32),
        "attachment": np.full(policies, draw.uniform(0, 50)),
        "limit": np.full(policies, float(draw.choice([0.0, 300.0]))),
        "share": np.full(policies, draw.uniform(0.1, 1)),
    }
    sums = value * draw.uniform(0.2, 1, parcels)
    book = exposure(parcels, policies, value=value, sum_insured=sums, terms=terms, policy_terms=policy_terms)
    events = random_set(seed, parcels, 5, 3)
    block = paid(events, book, Terms(book))
    for run, (event, policy) in enumerate(zip(block.run_event, block.run_policy, strict=True)):
        mine = [
            cell
            for cell in range(int(events.start[event]), int(events.start[event + 1]))
            if book.policy[events.parcel[cell]] == policy
        ]
        after = []
        for cell in mine:
            p = int(events.parcel[cell])
            loss = average_clause_loss(float(events.damage[cell] * value[p]), float(sums[p]), float(value[p]))
            after.append(location_loss(loss, float(sums[p]), *(float(terms[n][p]) for n in terms)))
        whole = policy_loss(
            after, float(sums[book.policy == policy].sum()), *(float(policy_terms[n][policy]) for n in policy_terms)
        )
        assert block.runs[run] == pytest.approx(whole, abs=1e-9)
        assert block.cells[mine] == pytest.approx(np.array(allocated_losses(after, whole)), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_streamed_is_unstreamed_whatever_the_block(seed):
    events = random_set(seed, 6, 30, 12)
    limit = {"annual_limit": np.full(3, 2500.0), "annual_deductible": np.full(3, 300.0)}
    book = exposure(6, 3, policy_terms=limit)
    whole = year_table([events], book, 12, events.perils)
    for cells in (1, 7, 10**6):
        streamed = year_table(events.blocks(cells), book, 12, events.perils)
        assert np.array_equal(streamed.aggregate, whole.aggregate)
        assert np.array_equal(streamed.occurrence, whole.occurrence)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_groups_add_up_to_the_whole_and_nothing_pays_more_than_the_ground_up_loss(seed):
    events = random_set(seed, 6, 30, 12)
    book = exposure(6, 3, policy_terms={"annual_limit": np.full(3, 4000.0)})
    table = year_table(events.blocks(20), book, 12, events.perils)
    for dimension in table.dimensions:
        rows = [number for number, (of, _) in enumerate(table.labels) if of == dimension]
        assert table.aggregate[rows].sum(axis=0) == pytest.approx(table.aggregate[0])
        assert np.all(table.occurrence[rows].max(axis=0) <= table.occurrence[0] + 1e-9)
    assert np.all(table.occurrence <= table.aggregate + 1e-9)
    assert np.all(table.aggregate[0] <= table.ground_up + 1e-9)
    assert table.by_parcel.sum() == pytest.approx(table.aggregate[0].mean())


def test_a_year_pays_once_its_threshold_is_reached_then_less_its_deductible_up_to_its_limit():
    events = make_event_set(range(5), [1, 1, 2, 3, 3], [0] * 5, [0.2, 0.1, 0.1, 0.9, 0.9], 4, 1)
    annual = {"annual_threshold": np.array([300.0]), "annual_deductible": np.array([50.0])}
    book = exposure(1, policy_terms=annual | {"annual_limit": np.array([1000.0])})
    assert year_table([events], book, 4, ("all",)).aggregate[0] == pytest.approx([250.0, 0.0, 1000.0, 0.0])


def test_a_franchise_pays_all_of_a_loss_above_it_and_nothing_of_one_up_to_it():
    events = make_event_set([1, 2], [1, 2], [0, 0], [0.5, 0.6], 2, 1)
    for terms in ({"terms": {"franchise": np.array([500.0])}}, {"policy_terms": {"franchise": np.array([500.0])}}):
        assert year_table([events], exposure(1, **terms), 2, ("all",)).aggregate[0].tolist() == [0.0, 600.0]


@pytest.mark.parametrize(
    ("change", "row", "column"),
    [
        ({"damage": [0.1, float("nan"), 0.3]}, 3, "damage"),
        ({"damage": [0.1, 0.2, 1.3]}, 4, "damage"),
        ({"year": [1, 1, 9]}, 4, "year"),
        ({"parcel": [0, 5, 1]}, 3, "parcel"),
        ({"parcel": [0, 0, 1]}, 3, "parcel"),
        ({"year": [1, 2, 2]}, 3, "year"),
        ({"area_ha": [1.0, 2.0, 3.0]}, 3, "area_ha"),
    ],
)
def test_an_event_set_that_cannot_be_is_refused_with_its_row(change, row, column):
    rows = {"event": [1, 1, 2], "year": [1, 1, 2], "parcel": [0, 1, 1], "damage": [0.1, 0.2, 0.3]} | change
    with pytest.raises(RowError) as refused:
        make_event_set(years=3, parcels=2, **rows)
    assert (refused.value.row, refused.value.field) == (row, column)


def test_a_loss_that_is_no_number_is_refused():
    losses = [float(loss) for loss in example("refuse-event-nan")["inputs"]["losses"]]
    with pytest.raises(RowError, match="row 3, damage"):
        make_event_set([1, 2], [1, 1], [0, 0], losses, 1, 1)


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({"value": [1000.0, 0.0]}, "value"),
        (example("refuse-si-above-value")["inputs"] | {}, "sum_insured"),
        ({"terms": {"deductible": np.array([-1.0, 0.0])}}, "deductible"),
        ({"terms": {"franchise": np.array([500.0, 0]), "limit": np.array([400.0, 0])}}, "franchise"),
        ({"policy_terms": {"share": np.array([0.0, 1.0])}}, "share"),
        ({"policy_terms": {"annual_limit": np.array([1.0, float("nan")])}}, "annual_limit"),
    ],
)
def test_an_exposure_that_cannot_be_is_refused_with_its_field(more, column):
    if column == "sum_insured":
        more = {name: [more[name]] * 2 for name in ("value", "sum_insured")}
    with pytest.raises(RowError) as refused:
        exposure(2, **more)
    assert refused.value.field == column

"""What must hold for every number: bounds, monotony, and parts that sum to the whole."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidComponent

from services.credit.formulas import capital, discrimination, drift, identity, loan_to_value, price, scorecard
from services.credit.formulas import default_probability as pd_of
from services.credit.formulas import loss_given_default as lgd_of
from services.credit.formulas.expected_loss import (
    BANK,
    Amount,
    Shares,
    bank_losses_without,
    expected_loss_split,
    leg_worth_bp,
    loss_split,
    mixed_split,
)
from services.credit.formulas.schedule import (
    accrued_interest,
    days_of_thirty,
    equal_instalment,
    equal_principal,
    interest_only,
    issuance_matched,
)
from services.credit.formulas.staging import FIVE_CLASSES, five_class, stage

probabilities = st.floats(0.0003, 0.999)
shares = st.floats(0, 1)
amounts = st.floats(1, 1e9)
fen = st.integers(0, 10**13)


@st.composite
def contracts(draw: st.DrawFn) -> list[Amount | Shares]:
    weights = draw(st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(sum))
    kept = draw(st.floats(0, 0.9))
    sharing = tuple((f"guarantor {n}", kept * w / sum(weights)) for n, w in enumerate(weights))
    return [Amount("carbon", draw(fen)), Amount("insurer", draw(fen)), Shares(sharing)]


@given(probabilities, st.floats(5, 100), st.floats(1, 200))
def test_a_score_gives_its_probability_back_and_falls_with_risk(probability: float, pdo: float, odds: float) -> None:
    factor = scorecard.scale_factor(pdo)
    offset = scorecard.scale_offset(600, odds, factor)
    points = scorecard.score_of_probability(probability, factor, offset)
    assert scorecard.probability_of_score(points, factor, offset) == pytest.approx(probability, rel=1e-9)
    assert scorecard.score_of_probability(min(0.9999, probability * 1.0001), factor, offset) < points


@given(st.floats(-20, 20), st.floats(0, 5), st.floats(0.5, 0.99))
def test_an_interval_holds_its_probability(log_odds: float, sd: float, level: float) -> None:
    low, high = pd_of.probability_interval(log_odds, sd, level)
    assert 0 <= low <= pd_of.default_probability(log_odds) <= high <= 1


@given(probabilities, st.floats(0.25, 30))
def test_a_year_and_a_life_are_two_views_of_one_hazard(probability: float, years: float) -> None:
    annual = pd_of.annual_default_probability(probability, years)
    assert pd_of.cumulative_default_probability(annual, years) == pytest.approx(probability, rel=1e-6)


@given(shares, shares, shares)
def test_fire_raises_default_and_default_points_to_fire(probability: float, uplift: float, fire: float) -> None:
    stressed = pd_of.stressed_default_probability(probability, uplift)
    assert probability - 1e-12 <= stressed <= 1 + 1e-12
    mixed = pd_of.mixed_default_probability(probability, min(1, stressed), fire)
    assert probability - 1e-12 <= mixed <= stressed + 1e-12
    if mixed > 1e-9:
        given_default = pd_of.fire_probability_given_default(probability, stressed, fire)
        assert fire - 1e-9 <= given_default <= 1 + 1e-9


@given(st.dictionaries(st.floats(0.01, 0.99), st.floats(0, 1e9), min_size=2, max_size=6), shares)
def test_a_quantile_lies_between_its_neighbours_and_is_never_extrapolated(
    quantiles: dict[float, float | None], place: float
) -> None:
    low, high = min(quantiles), max(quantiles)
    level = min(high, low + place * (high - low))
    values = [value for value in quantiles.values() if value is not None]
    assert min(values) - 1e-3 <= loan_to_value.value_at_quantile(quantiles, level) <= max(values) + 1e-3
    with pytest.raises(loan_to_value.MissingValuationError):
        loan_to_value.value_at_quantile(quantiles, high + 0.005)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_missing_value_is_an_error_wherever_it_enters(missing: float | None) -> None:
    for compute in (
        lambda: loan_to_value.loan_to_value(1.0, missing),
        lambda: loan_to_value.loan_to_value(0.0, missing),
        lambda: loan_to_value.pledged_value([1.0, missing], [0.0, 0.0]),
        lambda: loan_to_value.shortfall(1.0, missing, 0.7),
        lambda: loan_to_value.top_up_value(1.0, missing, 0.7),
        lambda: loan_to_value.value_at_quantile({0.1: missing, 0.5: 1.0}, 0.3),
    ):
        with pytest.raises(loan_to_value.MissingValuationError):
            compute()


def test_a_debt_on_a_worthless_pledge_is_infinitely_geared_not_uncovered_by_zero() -> None:
    assert loan_to_value.loan_to_value(1.0, 0.0) == math.inf
    assert loan_to_value.margin_state(math.inf, 0.85, 0.75, called=False) == "called"


@given(amounts, amounts, st.floats(0.1, 0.95))
def test_paying_the_shortfall_or_topping_up_cures(balance: float, value: float, cure: float) -> None:
    paid = balance - loan_to_value.shortfall(balance, value, cure)
    assert loan_to_value.loan_to_value(max(0, paid), value) <= cure + 1e-5
    assert balance / (value + loan_to_value.top_up_value(balance, value, cure)) <= cure + 1e-5


@given(amounts, amounts, st.floats(1, 500), amounts, st.floats(0.2, 0.95))
def test_at_the_break_even_price_the_loan_stands_exactly_at_its_margin(
    balance: float, carbon: float, price_now: float, other: float, margin: float
) -> None:
    price_then = loan_to_value.break_even_carbon_price(balance, margin, carbon, price_now, other)
    if price_then > 0:
        value = carbon * price_then / price_now + other
        assert loan_to_value.loan_to_value(balance, value) == pytest.approx(margin, rel=1e-6)


@given(st.integers(0, 10**15), st.integers(0, 10_000))
def test_a_cap_is_never_passed_and_never_a_fen_short(value: int, basis_points: int) -> None:
    principal = loan_to_value.maximum_principal(value, basis_points / 10_000)
    assert principal == value * basis_points // 10_000


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"value": 1.0, "age_days": 180}, None),
        ({"value": 1.0, "age_days": 181}, "valuation stale"),
        ({"value": 1.0, "age_days": -1}, "valuation stale"),
        ({"value": 1.0, "age_days": 1, "superseded": True}, "valuation superseded"),
        ({"value": 1.0, "age_days": 1, "withdrawn": True, "superseded": True}, "valuation withdrawn"),
        ({"value": math.nan, "age_days": 1}, "valuation missing"),
    ],
)
def test_a_valuation_that_may_not_be_used_says_why(facts: dict[str, float], fault: str | None) -> None:
    assert loan_to_value.valuation_fault(**facts, max_age_days=180) == fault  # type: ignore[arg-type]


@given(amounts, amounts, shares, shares, shares)
def test_trees_and_the_policy_on_them_never_count_twice(
    value: float, insured: float, carbon_haircut: float, policy_haircut: float, burnt: float
) -> None:
    carbon = lgd_of.carbon_recovery(value, carbon_haircut, burnt)
    policy = lgd_of.insurance_recovery(value, insured, policy_haircut, burnt)
    assert carbon + policy <= value * (1 + 1e-12)
    assert lgd_of.insurance_recovery(value, insured, policy_haircut, 0.0) == 0


@given(amounts, st.floats(0, 2e9), shares)
def test_a_loss_given_default_lies_between_its_floor_and_one(exposure: float, recovery: float, floor: float) -> None:
    assert floor <= lgd_of.loss_given_default(exposure, recovery, floor) <= 1


@given(amounts, amounts, shares, shares, shares)
def test_a_blend_lies_between_its_two_rates(
    exposure: float, collateral: float, haircut: float, unsecured: float, secured_rate: float
) -> None:
    secured = lgd_of.secured_exposure(exposure, collateral, haircut, 0)
    blended = lgd_of.blended_loss_given_default(exposure, secured, unsecured, secured_rate)
    assert min(unsecured, secured_rate) - 1e-9 <= blended <= max(unsecured, secured_rate) + 1e-9
    assert lgd_of.exposure_after_collateral(exposure, 0, collateral, haircut, 0) == pytest.approx(exposure - secured)


@given(fen, contracts(), probabilities)
def test_legs_sum_to_the_loss_and_to_its_expectation(
    loss: int, stages: list[Amount | Shares], probability: float
) -> None:
    parts = loss_split(loss, stages)
    assert sum(parts.values()) == loss
    assert min(parts.values()) >= 0
    expected = expected_loss_split(probability, parts)
    assert sum(expected.values()) == round(probability * loss)
    assert all(abs(expected[leg] - probability * part) <= max(1, 1e-9 * part) for leg, part in parts.items())


@given(fen, contracts(), contracts(), shares)
def test_a_mixture_of_two_states_divides_the_same_loss(
    loss: int, calm: list[Amount | Shares], burnt: list[Amount | Shares], fire: float
) -> None:
    mixed = mixed_split(loss_split(loss, calm), loss_split(loss, burnt), fire)
    assert sum(mixed.values()) == loss


@given(fen, contracts(), probabilities)
def test_taking_a_leg_out_never_helps_the_bank(loss: int, stages: list[Amount | Shares], probability: float) -> None:
    held = loss_split(loss, stages)[BANK]
    for without in bank_losses_without(loss, stages).values():
        assert without >= held - 3
        assert leg_worth_bp(without, held, max(loss, 1), probability, 0.2, 0.09) >= -0.1 if loss > 10**6 else True


def test_a_contract_with_one_leg_twice_or_too_large_shares_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        loss_split(100, [Amount("insurer", 1), Amount("insurer", 1)])
    with pytest.raises(ValueError, match="at most 1"):
        loss_split(100, [Shares((("a", 0.7), ("b", 0.4)))])


@given(probabilities, st.floats(0.01, 1), st.floats(1, 5), st.floats(0, 100))
def test_capital_is_linear_in_lgd_and_never_larger_for_a_smaller_firm(
    probability: float, lgd: float, maturity: float, sales: float
) -> None:
    whole = capital.capital_requirement(probability, lgd, "corporate", maturity)
    half = capital.capital_requirement(probability, lgd / 2, "corporate", maturity)
    assert whole == pytest.approx(2 * half)
    assert capital.capital_requirement(probability, lgd, "corporate", maturity, sales) <= whole + 1e-12


def test_capital_vanishes_at_certain_default_and_refuses_zero() -> None:
    assert capital.capital_requirement(1.0, 0.45, "corporate", 2.5) == pytest.approx(0, abs=1e-12)
    for probability in (0.0, -0.1, 1.1, 1e-9):
        with pytest.raises(ValueError, match="floor"):
            capital.capital_requirement(probability, 0.45, "corporate", 2.5)
    with pytest.raises(ValueError, match="unknown asset class"):
        capital.correlation(0.01, "forest")


@given(probabilities, shares, shares)
def test_a_leg_s_worth_is_the_difference_of_two_break_even_rates(
    probability: float, lgd_without: float, lgd_with: float
) -> None:
    per_lgd = price.capital_share(capital.capital_requirement(probability, 1.0, "corporate", 2.5), 0.105)
    rates = [
        price.break_even_rate(0.019, 0.008, probability, lgd, per_lgd * lgd, 0.11) for lgd in (lgd_without, lgd_with)
    ]
    worth = leg_worth_bp(lgd_without, lgd_with, 1.0, probability, per_lgd, 0.11 - 0.019)
    assert worth == pytest.approx(price.worth_bp(*rates), abs=1e-6)


@given(
    st.integers(1, 10**12),
    st.floats(0, 0.36),
    st.integers(1, 360),
    st.sampled_from([1, 2, 4, 12]),
    st.integers(0, 24),
)
def test_schedules_repay_the_principal_to_the_fen(
    principal: int, rate: float, periods: int, per_year: int, grace: int
) -> None:
    grace = min(grace, periods - 1)
    for rows in (
        equal_instalment(principal, rate, periods, per_year, grace),
        equal_principal(principal, rate, periods, per_year, grace),
        interest_only(principal, rate, periods, per_year),
    ):
        assert sum(row.principal for row in rows) == principal
        assert rows[-1].balance == 0
        assert [row.number for row in rows] == list(range(1, periods + 1))
        assert all(row.principal >= 0 and row.interest >= 0 and row.balance >= 0 for row in rows)
        assert all(row.principal == 0 for row in rows[:grace])


@given(
    st.integers(1, 10**12),
    st.floats(0, 0.36),
    st.lists(st.tuples(st.integers(0, 93), st.sampled_from([360, 365])), min_size=1, max_size=120),
    st.data(),
)
def test_schedules_over_periods_of_any_length_repay_the_principal_to_the_fen(
    principal: int, rate: float, lengths: list[tuple[int, int]], data: st.DataObject
) -> None:
    grace = data.draw(st.integers(0, len(lengths) - 1))
    incomes = data.draw(st.lists(st.integers(0, 10**9), min_size=len(lengths), max_size=len(lengths)))
    made = {
        "instalment": equal_instalment(principal, rate, lengths, grace_periods=grace),
        "principal": equal_principal(principal, rate, lengths, grace_periods=grace),
        "bullet": interest_only(principal, rate, lengths),
        "matched": issuance_matched(principal, rate, incomes, lengths),
    }
    for rows in made.values():
        assert sum(row.principal for row in rows) == principal
        balances = [principal, *(row.balance for row in rows)]
        assert balances[-1] == 0
        for row, before, (days, year) in zip(rows, balances[:-1], lengths, strict=True):
            assert row.principal >= 0
            assert row.balance == before - row.principal >= 0
            assert row.interest == accrued_interest(before, rate, days, year)
    # No fen of principal before the carbon has paid for it, but for the rounding of one.
    come, repaid = 0, 0
    for row, income in zip(made["matched"][:-1], incomes, strict=False):
        come, repaid = come + income, repaid + row.principal
        assert abs(repaid * sum(incomes) - principal * come) * 2 <= sum(incomes)


@given(st.dates(), st.dates(), st.dates())
def test_months_of_thirty_add_up_but_for_the_last_of_a_month(first: date, middle: date, last: date) -> None:
    one, two, three = ((day.year, day.month, day.day) for day in sorted((first, middle, last)))
    whole, parts = days_of_thirty(one, three), days_of_thirty(one, two) + days_of_thirty(two, three)
    assert abs(whole - parts) <= 1
    assert days_of_thirty(one, one) == 0


@given(st.integers(10**6, 10**11), st.integers(10, 2000), st.integers(2, 120))
def test_equal_instalments_are_equal_until_the_last(principal: int, rate_bp: int, periods: int) -> None:
    rate = rate_bp / 10_000
    rows = equal_instalment(principal, rate, periods)
    payments = {row.principal + row.interest for row in rows[:-1]}
    exact = principal * (rate / 12) / (1 - (1 + rate / 12) ** -periods)
    assert len(payments) == 1
    assert payments.pop() == pytest.approx(exact, abs=1)
    last = rows[-1].principal + rows[-1].interest
    # Each period may leave half a fen of interest and half of payment behind, and they earn interest themselves.
    assert last == pytest.approx(exact, abs=periods * (1 + rate / 12) ** periods + 1)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_classes_only_worsen_with_days(first: int, second: int) -> None:
    low, high = sorted((first, second))
    limits = [0, 90, 270, 360]
    assert FIVE_CLASSES.index(five_class(low, limits)) <= FIVE_CLASSES.index(five_class(high, limits))
    stages = [stage(days, False, False, None, default_days=90, significant_days=30).stage for days in (low, high)]
    assert stages[0] <= stages[1]


@given(st.text(alphabet=identity.USCC_ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.data())
def test_one_wrong_character_of_a_credit_code_is_always_found(first17: str, place: int, data: st.DataObject) -> None:
    code = first17 + identity.uscc_check_character(first17)
    assert identity.uscc_fault(code) is None
    other = data.draw(st.sampled_from([each for each in identity.USCC_ALPHABET if each != code[place]]))
    assert identity.uscc_fault(code[:place] + other + code[place + 1 :]) == "check character"


@given(st.text("0123456789", min_size=8, max_size=8), st.text(identity.USCC_ALPHABET + "IOZa", min_size=9, max_size=9))
def test_a_credit_code_is_valid_where_an_independent_validator_says_so(office: str, rest: str) -> None:
    for last in identity.USCC_ALPHABET:
        code = office + rest + last
        # The validator turns small letters into capitals, which are other codes to us.
        assert (identity.uscc_fault(code) is None) == (uscc.is_valid(code) and code.upper() == code), code


@given(st.integers(1900, 2026), st.integers(0, 13), st.integers(0, 32), st.integers(0, 999))
def test_an_identity_number_is_valid_where_an_independent_validator_says_so(
    year: int, month: int, day: int, order: int
) -> None:
    first17 = f"110101{year:04d}{month:02d}{day:02d}{order:03d}"
    for last in identity.IDENTITY_ALPHABET:
        number = first17 + last
        fault = identity.identity_number_fault(number)
        try:
            ric.get_birth_date(number)
        except InvalidComponent:
            assert fault == "birth date"
        else:
            assert (fault is None) == (ric.calc_check_digit(number) == last), number


@given(st.integers(1900, 2026), st.integers(1, 12), st.integers(1, 28), st.integers(0, 999))
def test_an_identity_number_is_checked_and_masked(year: int, month: int, day: int, order: int) -> None:
    first17 = f"140601{year:04d}{month:02d}{day:02d}{order:03d}"
    number = first17 + identity.identity_check_character(first17)
    assert identity.identity_number_fault(number) is None
    assert identity.identity_number_fault(number, as_of=18991231) == "birth date"
    assert identity.identity_number_fault("99" + number[2:]) == "region"
    assert number[6:14] not in identity.masked_number(number)
    assert len(identity.masked_number(number)) == 18


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_a_stability_index_is_never_negative_and_zero_for_equals(first: list[float], second: list[float]) -> None:
    assert drift.population_stability_index(first, first, least_share=1e-4) == 0
    assert drift.population_stability_index(first, second[: len(first)], least_share=1e-4) >= 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=60))
def test_areas_and_distances_agree_with_counting_pairs(rows: list[tuple[bool, float]]) -> None:
    outcomes, stated = [int(bad) for bad, _ in rows], [probability for _, probability in rows]
    goods = [probability for bad, probability in rows if not bad]
    bads = [probability for bad, probability in rows if bad]
    if not goods or not bads:
        return
    pairs = [1.0 if bad > good else 0.5 if bad == good else 0.0 for bad in bads for good in goods]
    assert discrimination.area_under_curve(outcomes, stated) == pytest.approx(np.mean(pairs))
    assert 0 <= discrimination.kolmogorov_smirnov(outcomes, stated) <= 1
    assert 0 <= discrimination.calibration_error(outcomes, stated, bins=10) <= 1


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_a_shift_reaches_the_level_it_aims_at(log_odds: list[float], target: float) -> None:
    shift = discrimination.level_shift(log_odds, target)
    assert np.mean(1 / (1 + np.exp(-(np.array(log_odds) + shift)))) == pytest.approx(target, abs=1e-9)

"""Scoring by the committed card: reasons, gaps, strange values."""

from typing import Any

import pytest

from services.credit.formulas.scorecard import probability_of_score, scale_factor, scale_offset, score
from services.credit.scorecard_file import Scorecard, load_scorecard

APPLICATION: dict[str, Any] = {
    "industry": "1131",
    "employees": 3,
    "amount": 400_000.0,
    "guaranteed_share": 0.8,
    "new_business": False,
    "revolving": False,
    "low_doc": False,
}


@pytest.fixture(scope="module")
def scorecard() -> Scorecard:
    return load_scorecard()


def test_points_sum_to_the_score_and_the_score_gives_the_probability(scorecard: Scorecard) -> None:
    found = score(scorecard.card, APPLICATION)
    assert sum(found.points_by_feature.values()) == pytest.approx(found.points, abs=1e-9)
    scale = scorecard.document["scale"]
    factor = scale_factor(scale["pdo"])
    offset = scale_offset(scale["score"], scale["odds_good_to_bad"], factor)
    assert probability_of_score(found.points, factor, offset) == pytest.approx(found.probability, abs=1e-12)


def test_reasons_are_the_largest_losses_at_most_four_and_bilingual(scorecard: Scorecard) -> None:
    found = score(scorecard.card, APPLICATION | {"industry": "1141", "revolving": True, "new_business": True})
    losses = [reason.points_lost for reason in found.reasons]
    assert losses == sorted(losses, reverse=True)
    assert 1 <= len(losses) <= 4
    assert min(losses) > 0
    assert found.reasons[0].feature == "industry"
    assert all(reason.zh and reason.en for reason in found.reasons)


def test_removing_a_reason_s_attribute_gives_its_points_back(scorecard: Scorecard) -> None:
    poor = score(scorecard.card, APPLICATION | {"guaranteed_share": 0.5})
    better = score(scorecard.card, APPLICATION | {"guaranteed_share": 0.95})
    lost = next(reason.points_lost for reason in poor.reasons if reason.feature == "guaranteed_share")
    assert better.points - poor.points == pytest.approx(lost)


@pytest.mark.parametrize("feature", ["employees", "new_business", "revolving"])
def test_silence_never_scores_better_than_an_answer(scorecard: Scorecard, feature: str) -> None:
    silent = score(scorecard.card, APPLICATION | {feature: None}, most_reasons=9)
    answers = [0, 1, 2, 3, 10, 1000] if feature == "employees" else [True, False]
    for answer in answers:
        assert silent.points <= score(scorecard.card, APPLICATION | {feature: answer}).points
    assert silent.flags == (f"{feature}: missing",)
    assert any(reason.feature == feature and reason.attribute == "not given" for reason in silent.reasons)


def test_an_unseen_industry_takes_the_worst_points_and_says_so(scorecard: Scorecard) -> None:
    found = score(scorecard.card, APPLICATION | {"industry": "7011"})
    assert found.flags == ("industry: unseen",)
    assert found.reasons[0].attribute == "not seen in training"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": None}, "amount is missing"),
        ({"industry": None}, "industry is missing"),
        ({"guaranteed_share": float("nan")}, "guaranteed_share is missing"),
        ({"amount": float("inf")}, "finite number"),
        ({"amount": "400000"}, "finite number"),
        ({"employees": True}, "finite number"),
        ({"revolving": "N"}, "yes / no"),
        ({"new_business": 1}, "yes / no"),
        ({"industry": 1131}, "a code"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(scorecard: Scorecard, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(scorecard.card, APPLICATION | change)


def test_an_absent_feature_is_an_error_not_a_gap(scorecard: Scorecard) -> None:
    without = {name: value for name, value in APPLICATION.items() if name != "employees"}
    with pytest.raises(ValueError, match="employees was not supplied"):
        score(scorecard.card, without)


@pytest.mark.parametrize(
    ("feature", "values", "rises"),
    [
        ("employees", range(0, 50), False),
        ("amount", range(10_000, 2_000_000, 10_000), False),
        ("guaranteed_share", [share / 100 for share in range(0, 101)], True),
    ],
)
def test_the_score_moves_one_way_only(scorecard: Scorecard, feature: str, values: Any, rises: bool) -> None:
    points = [score(scorecard.card, APPLICATION | {feature: value}).points for value in values]
    assert points == sorted(points, reverse=not rises)


def test_a_thin_attribute_widens_the_interval(scorecard: Scorecard) -> None:
    common = score(scorecard.card, APPLICATION | {"industry": "1123"})
    rare = score(scorecard.card, APPLICATION | {"industry": "1153"})
    assert rare.log_odds_sd > common.log_odds_sd > 0

"""Score of an application from a compiled scorecard.        docs/equations/credit.md (C1)-(C7)

PDO  pdo        [points]  points that double the odds          O  odds of good to bad          [-]
S    score      [points]  rises when the risk falls            w  weight of evidence, ln(share of goods / share of bads)
e    evidence    of an attribute in the whole card: what it adds to ln(good:bad) against the average row
β    coefficient of w in ln(bad:good), negative when w works as defined; -1 for e     a  intercept of ln(bad:good)

The card is data (see services.credit.training): no numpy and no scikit-learn are needed to serve it, only bisect and a
dict.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

FeatureValue = float | bool | str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Points lost on one feature against its best attribute, with the texts an officer reads."""

    feature: str
    points_lost: float
    attribute: str
    best_attribute: str
    zh: str
    en: str
    path_zh: str | None
    path_en: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """Outcome of scoring: every number is unrounded, rounding belongs to the display."""

    points: float
    probability: float
    log_odds: float
    log_odds_sd: float
    points_by_feature: dict[str, float]
    reasons: tuple[Reason, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Attribute:
    #: Row of the covariance; None for a value that counts as average.
    place: int | None
    term: float
    points: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Feature:
    name: str
    kind: str
    edges: tuple[float, ...]
    attributes: tuple[_Attribute, ...]
    index: dict[str | bool, _Attribute]
    missing: _Attribute | None
    unseen: _Attribute | None

    def attribute(self, value: FeatureValue) -> tuple[_Attribute, str | None]:
        """Attribute a value falls in, and a flag when the value was missing or unseen."""
        if value is None or value != value:
            if self.missing is None:
                raise ValueError(f"{self.name} is missing and the card refuses a missing {self.name}")
            return self.missing, f"{self.name}: missing"
        if self.kind == "number":
            if isinstance(value, (bool, str)) or not math.isfinite(value):
                raise ValueError(f"{self.name} must be a finite number, got {value!r}")
            # An attribute holds its upper edge: (lower, upper].
            return self.attributes[bisect_left(self.edges, value)], None
        if isinstance(value, bool) is not (self.kind == "flag") or not isinstance(value, (bool, str)):
            raise ValueError(
                f"{self.name} must be a {'yes / no value' if self.kind == 'flag' else 'code'}, got {value!r}"
            )
        found = self.index.get(value)
        if found is not None:
            return found, None
        if self.unseen is None:
            raise ValueError(f"{self.name} {value!r} was not seen in training and the card refuses unseen values")
        return self.unseen, f"{self.name}: unseen"


@dataclass(frozen=True, slots=True)
class Card:
    """Scorecard made ready to serve; build it once with `Card.from_document`."""

    features: tuple[_Feature, ...]
    intercept: float
    covariance: tuple[tuple[float, ...], ...]
    #: Spreads that were asked for already, by the lines that apply: there are few, and a sum of (C6) costs as much as
    #: all else of a score.
    spreads: dict[tuple[int, ...], float] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Card":
        """Compile the JSON document of a trained card."""
        scale, entries = document["scale"], document["features"]
        factor = scale_factor(scale["pdo"])
        offset = scale_offset(scale["score"], scale["odds_good_to_bad"], factor)
        intercept = float(document["intercept"])
        features, place = [], 1
        for entry in entries:
            lines = [
                *entry["attributes"],
                *([entry["missing"]["attribute"]] if "attribute" in entry["missing"] else []),
            ]
            points = [
                attribute_points(-1.0, each["evidence"], intercept, len(entries), factor, offset) for each in lines
            ]
            best = max(range(len(points)), key=points.__getitem__)
            worst = min(range(len(points)), key=points.__getitem__)
            attributes = tuple(
                _attribute(entry, lines, points, best, place, number, entry) for number in range(len(points))
            )
            average = attribute_points(-1.0, 0.0, intercept, len(entries), factor, offset)

            def gap(name: str) -> _Attribute | None:
                texts = entry[name]  # noqa: B023
                if texts["policy"] == "own":
                    return _attribute(entry, lines, points, best, place, len(lines) - 1, texts)  # noqa: B023
                if texts["policy"] == "worst":
                    return _attribute(entry, lines, points, best, place, worst, texts)  # noqa: B023
                if texts["policy"] == "average":
                    made = _attribute(entry, lines, points, best, place, worst, texts)  # noqa: B023
                    lost = replace(made.reason, points_lost=points[best] - average)  # noqa: B023
                    return replace(made, place=None, term=0.0, points=average, reason=lost)  # noqa: B023
                return None

            features.append(
                _Feature(
                    name=entry["name"],
                    kind=entry["kind"],
                    edges=tuple(float(edge) for edge in entry.get("edges", ())),
                    attributes=attributes,
                    index={
                        value: attribute
                        for attribute, each in zip(attributes, lines, strict=True)
                        for value in each.get("values", ())
                    },
                    missing=gap("missing"),
                    unseen=gap("unseen"),
                )
            )
            place += len(lines)
        covariance = tuple(tuple(float(cell) for cell in line) for line in document["covariance"])
        if [len(line) for line in covariance] != list(range(1, place + 1)):
            raise ValueError(f"the covariance needs a line for the intercept and each of {place - 1} attributes")
        return cls(features=tuple(features), intercept=intercept, covariance=covariance)


def _attribute(
    entry: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    points: Sequence[float],
    best: int,
    place: int,
    number: int,
    texts: Mapping[str, Any],
) -> _Attribute:
    reason, path = texts["reason"], texts["path"] or {"zh": None, "en": None}
    return _Attribute(
        place=place + number,
        term=-float(lines[number]["evidence"]),
        points=points[number],
        reason=Reason(
            feature=entry["name"],
            points_lost=points[best] - points[number],
            attribute=texts.get("label", lines[number]["label"]),
            best_attribute=lines[best]["label"],
            zh=reason["zh"],
            en=reason["en"],
            path_zh=path["zh"],
            path_en=path["en"],
        ),
    )


def scale_factor(pdo: float) -> float:
    """Eq. (C1): points per e-fold of the odds, PDO / ln 2. [points]

    Source: points-to-double-the-odds scaling, as in optbinning 1.0.0 and toad 0.1.7; read.

    >>> round(scale_factor(pdo=20), 6)
    28.853901
    """
    return pdo / math.log(2)


def scale_offset(score: float, odds_good_to_bad: float, factor: float) -> float:
    """Eq. (C2): score at even odds, S0 − factor · ln O0. [points]

    Source: points-to-double-the-odds scaling, as in optbinning 1.0.0 and toad 0.1.7; read.

    >>> round(scale_offset(score=600, odds_good_to_bad=50, factor=scale_factor(20)), 6)
    487.122876
    """
    return score - factor * math.log(odds_good_to_bad)


def score_of_probability(probability: float, factor: float, offset: float) -> float:
    """Eq. (C3): score of a default probability, offset + factor · ln((1 − PD) / PD). [points]

    Source: points-to-double-the-odds scaling, as in optbinning 1.0.0 and toad 0.1.7; read.

    >>> round(score_of_probability(0.02, factor=28.853901, offset=487.122876), 4)
    599.4171
    """
    if not 0 < probability < 1:
        raise ValueError(f"a score needs a probability strictly between 0 and 1, got {probability}")
    return offset + factor * math.log((1 - probability) / probability)


def probability_of_score(score: float, factor: float, offset: float) -> float:
    """Eq. (C4): default probability of a score, 1 / (1 + exp((S − offset) / factor)). [-]

    Source: points-to-double-the-odds scaling, as in optbinning 1.0.0 and toad 0.1.7; read.

    >>> round(probability_of_score(600, factor=28.853901, offset=487.122876), 6)
    0.019608
    """
    return _logistic((offset - score) / factor)


def attribute_points(
    coefficient: float, woe: float, intercept: float, features: int, factor: float, offset: float
) -> float:
    """Eq. (C5): points of an attribute, offset / n − factor · (β·w + a / n). [points]

    Source: points-to-double-the-odds scaling, as in optbinning 1.0.0 and toad 0.1.7; read.

    >>> round(attribute_points(-0.9, 0.6, intercept=-2, features=2, factor=28.853901, offset=487.122876), 4)
    287.9964
    """
    return offset / features - factor * (coefficient * woe + intercept / features)


def log_odds_sd(places: Sequence[int], covariance: Sequence[Sequence[float]]) -> float:
    """Eq. (C6): standard deviation of ln(bad:good), √(Σ V_jk) over the intercept and the attributes that apply. [-]

    places  lines of V that apply, ascending, 0 being the intercept     V  lower triangle of the covariance of the lines
    V is the inverse curvature of the penalised likelihood: the penalty is part of it, the choice of bins is not.
    Source: delta method on a linear sum, textbook; no.

    >>> log_odds_sd([0, 2], [[0.04], [0.0, 0.09], [0.01, 0.0, 0.16]])
    0.469041575982
    """
    spread = 0.0
    for number, place in enumerate(places):
        line = covariance[place]
        spread += line[place] + 2 * sum(map(line.__getitem__, places[:number]))
    return round(math.sqrt(max(0.0, spread)), 12)


def score(card: Card, features: Mapping[str, FeatureValue], most_reasons: int = 4) -> Score:
    """Eq. (C7): score of an application, Σ points of its attributes; reasons are points lost to the best. [points]

    Every feature of the card must be present: None says "unknown" and follows the card's missing policy, an absent
    key is an error. Keys the card does not use are ignored. More than four reasons help nobody.
    Source: points add up by (C5); at most four principal reasons, US Regulation B practice; read.
    """
    points, log_odds = 0.0, card.intercept
    places = [0]
    by_feature: dict[str, float] = {}
    reasons: list[Reason] = []
    flags: list[str] = []
    for feature in card.features:
        if feature.name not in features:
            raise ValueError(f"{feature.name} was not supplied; give None when it is unknown")
        attribute, flag = feature.attribute(features[feature.name])
        points += attribute.points
        log_odds += attribute.term
        if attribute.place is not None:
            places.append(attribute.place)
        by_feature[feature.name] = attribute.points
        if attribute.reason.points_lost > 0:
            reasons.append(attribute.reason)
        if flag is not None:
            flags.append(flag)
    reasons.sort(key=_points_lost, reverse=True)
    return Score(
        points=points,
        probability=_logistic(log_odds),
        log_odds=log_odds,
        log_odds_sd=_spread(card, tuple(places)),
        points_by_feature=by_feature,
        reasons=tuple(reasons[:most_reasons]),
        flags=tuple(flags),
    )


def _spread(card: Card, places: tuple[int, ...]) -> float:
    spread = card.spreads.get(places)
    if spread is None:
        spread = log_odds_sd(places, card.covariance)
        if len(card.spreads) < _MOST_SPREADS:
            card.spreads[places] = spread
    return spread


_MOST_SPREADS = 65_536


def _points_lost(reason: Reason) -> float:
    return reason.points_lost


def _logistic(log_odds: float) -> float:
    # The branch keeps exp() from overflowing at either end.
    if log_odds < 0:
        odds = math.exp(log_odds)
        return odds / (1 + odds)
    return 1 / (1 + math.exp(-log_odds))

"""Loan files for training: a CSV, and a mapping that says what its columns mean.

A mapping is JSON: the outcome's column and its values, the time column if there is one, columns that may never be used
with the proof, and the features. Without one, everything that can be read as a number or a code is a candidate.
"""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, str]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FeatureValue = float | bool | str | None

#: A column of numbers with fewer values than this is a code.
_LEAST_NUMBERS = 8
#: A column of codes with more values than this share of the rows is a name or a number of a file.
_MOST_CODES = 0.5
_NOTHING = {"", "na", "n/a", "nan", "null", "none", "?"}


class LoanFileError(ValueError):
    """The file or its mapping cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Feature:
    """A candidate feature: where it comes from, its risk direction and what an officer is told about it.

    `direction` is +1 where risk may only rise with the value (or with yes), -1 where it may only fall, 0 where free.
    `missing` and `unseen` say what a gap or a strange value does: "own" makes gaps an attribute of their own, "worst"
    takes the worst attribute, so that silence never scores better than an honest answer, "average" changes nothing,
    "refuse" stops the scoring.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    unit: str = "-"
    direction: int = 0
    missing: str = "own"
    unseen: str = "worst"
    reason: Mapping[str, str] | None = None
    path: Mapping[str, str] | None = None
    #: How the columns are read: see `_read`.
    rule: Mapping[str, Any] = field(default_factory=dict)

    def read(self, row: Row) -> FeatureValue:
        """The value in a row; None where the row does not tell."""
        try:
            return _read(self, row)
        except (ValueError, ZeroDivisionError) as error:
            raise LoanFileError(f"{self.name} cannot be read from {{c: row[c] for c in self.columns}}") from error


def _read(feature: Feature, row: Row) -> FeatureValue:
    rule, text = feature.rule, row[feature.columns[0]].strip()
    if "same_as" in rule:
        other = row[rule["same_as"]].strip()
        return None if _nothing(text) or _nothing(other) else text == other
    if _nothing(text):
        return None
    if feature.kind == "number":
        value = float(text)
        if not np.isfinite(value):
            raise ValueError
        if "divided_by" in rule:
            value = round(value / float(row[rule["divided_by"]]), 4)
        return value
    if "above" in rule:
        return bool(float(text) > rule["above"])
    if feature.kind == "flag":
        return True if text in rule["yes"] else False if text in rule["no"] else None
    if "codes" in rule:
        code: str | None = rule["codes"].get(text)
        return code
    return text[: int(rule["first"])] if "first" in rule else text


@dataclass(frozen=True)
class LoanMapping:
    """What the columns of a loan file mean."""

    name: str
    note: str
    target: str
    bad: frozenset[str]
    good: frozenset[str]
    features: tuple[Feature, ...]
    time: str | None = None
    #: Columns that know the outcome or came after the decision, each with its proof.
    refused: Mapping[str, str] = field(default_factory=dict)
    #: A part of the rows whose absence is measured too: its column and the beginning of its values.
    also_without: Mapping[str, str] | None = None


class Loans:
    """Rows turned into one sequence of values per feature. outcomes: 1 = bad."""

    def __init__(self, features: Sequence[Feature], values: dict[str, NDArray[Any]], outcomes: Ints) -> None:
        self.features, self.values, self.outcomes = tuple(features), values, outcomes

    def __len__(self) -> int:
        return len(self.outcomes)

    def take(self, places: Ints) -> "Loans":
        """Some of the rows."""
        return Loans(self.features, {n: v[places] for n, v in self.values.items()}, self.outcomes[places])


def blank(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where nothing is known."""
    if values.dtype == np.float64:
        gaps: NDArray[np.bool_] = np.isnan(values)
        return gaps
    return np.array([value is None for value in values], dtype=bool)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a loan file as text: flags such as 0 and T must not turn into numbers. Raises LoanFileError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="")
            names = reader.fieldnames or []
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice or "" in names:
                raise LoanFileError(
                    f"{path.name}: the header has {'an empty name' if not twice else twice[0] + ' twice'}"
                )
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise LoanFileError(f"{path.name} is no CSV file in UTF-8: {error}") from error
    if not rows:
        raise LoanFileError(f"{path.name} holds no rows")
    for number, row in enumerate(rows, start=2):
        if None in row.values() or "" in row:
            raise LoanFileError(f"{path.name}, row {number}: {len(names)} values are needed, as many as in the header")
    return rows


def sha256(path: Path) -> str:
    """Hash of a file's bytes, to say what a card was trained on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_mapping(path: Path) -> LoanMapping:
    """Read a mapping. Raises LoanFileError with what is wrong in it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        features = [Feature(**{**one, "columns": tuple(one["columns"])}) for one in data["features"]]
        return LoanMapping(
            name=data["name"],
            note=data["note"],
            target=data["target"]["column"],
            bad=frozenset(data["target"]["bad"]),
            good=frozenset(data["target"]["good"]),
            features=tuple(features),
            time=data.get("time"),
            refused=data.get("refused", {}),
            also_without=data.get("also_without"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoanFileError(f"{path.name} is no mapping: {error!r}") from error


def inferred(rows: Sequence[Row], name: str, target: str, bad: str | None = None, leave_out: Sequence[str] = (),
             time: str | None = None) -> tuple[LoanMapping, dict[str, str]]:  # fmt: skip
    """A mapping from the file alone: every column but the outcome's is a candidate; and why some are none.

    The bad outcome is `bad`, or else the rarer of the two.
    """
    for column in (target, *leave_out, *([time] if time else ())):
        if column not in rows[0]:
            raise LoanFileError(f"the file has no column {column}; it has {', '.join(rows[0])}")
    outcomes = Counter(row[target].strip() for row in rows if not _nothing(row[target]))
    if len(outcomes) != 2:
        shown = ", ".join(sorted(outcomes)[:5])
        raise LoanFileError(f"{target} has {len(outcomes)} values ({shown}); an outcome has two, one of them bad")
    (common, _), (rare, _) = outcomes.most_common()
    if bad is not None and bad not in outcomes:
        raise LoanFileError(f"{target} is never {bad!r}; it is {common!r} or {rare!r}")
    worse = bad if bad is not None else rare
    features, left = [], {}
    for column in rows[0]:
        if column in (target, time, *leave_out):
            continue
        values = [row[column].strip() for row in rows]
        known = [value for value in values if not _nothing(value)]
        distinct = len(set(known))
        if distinct < 2:
            left[column] = "it is the same on every loan"
        elif distinct >= _LEAST_NUMBERS and _numeric(known):
            features.append(Feature(column, "number", (column,)))
        elif distinct > _MOST_CODES * len(known):
            left[column] = "nearly every loan has a value of its own: a name or a file number"
        else:
            features.append(Feature(column, "code", (column,), unseen="average"))
    note = (
        "Candidates were taken from the file as they are: nobody has said what the columns mean, or in which direction"
        " they may work."
    )
    return LoanMapping(
        name, note, target, frozenset({worse}), frozenset(outcomes) - {worse}, tuple(features), time
    ), left


def loans_of(rows: Sequence[Row], mapping: LoanMapping) -> tuple[Loans, list[Row]]:
    """The loans with a known outcome, as values, and their rows. Raises LoanFileError."""
    needed = {
        mapping.target,
        *(c for f in mapping.features for c in f.columns),
        *([mapping.time] if mapping.time else ()),
    }
    absent = sorted(needed - set(rows[0]))
    if absent:
        raise LoanFileError(f"the file has no column {', '.join(absent)}, which the mapping {mapping.name} reads")
    labelled = [row for row in rows if row[mapping.target].strip() in mapping.bad | mapping.good]
    if not labelled:
        raise LoanFileError(f"no row of {mapping.target} holds an outcome of the mapping {mapping.name}")
    outcomes = np.array([row[mapping.target].strip() in mapping.bad for row in labelled], dtype=np.int64)
    values: dict[str, NDArray[Any]] = {}
    for feature in mapping.features:
        read = [feature.read(row) for row in labelled]
        values[feature.name] = (
            np.array([np.nan if value is None else value for value in read], dtype=np.float64)
            if feature.kind == "number"
            else np.array(read, dtype=object)
        )
    return Loans(mapping.features, values, outcomes), labelled


def _nothing(text: str) -> bool:
    return text.strip().lower() in _NOTHING


def _numeric(texts: Sequence[str]) -> bool:
    try:
        return all(np.isfinite(float(text)) for text in texts)
    except ValueError:
        return False

"""Default probability from trees that are data: the challenger.        docs/equations/credit.md (C102)-(C103)

x  columns of a row, 32-bit floats [-]      v  value of the leaf a tree leads to [-]      w  weight of a part [-]

A document holds columns and parts. A part is either boosted, its leaves adding up to log odds, or a forest, its leaves
averaged as probabilities; the probability is the weighted mean of the parts. numpy evaluates all trees of all rows at
once; neither pickle nor scikit-learn is needed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """One number made of a feature: its value, whether it is a certain one, or whether it is missing."""

    feature: str
    #: Number: what stands in for a missing one. None: a yes / no question.
    fill: float | None
    #: The value that is asked for, as text; None asks whether it is missing.
    value: str | None

    def read(self, given: Any) -> float:
        """The column of a row, as a 32-bit float."""
        missing = given is None or given != given
        if self.fill is None:
            return float(missing if self.value is None else not missing and str(given) == self.value)
        if missing:
            return float(np.float32(self.fill))
        if isinstance(given, (bool, str)) or not math.isfinite(given):
            raise ValueError(f"{self.feature} must be a finite number, got {given!r}")
        return float(np.float32(given))


@dataclass(frozen=True, slots=True)
class Part:
    """Trees of one kind, their nodes one after the other; a leaf leads to itself."""

    boosted: bool
    weight: float
    base: float
    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    depth: int


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees made ready to serve; build them once with `Trees.from_document`."""

    columns: tuple[Column, ...]
    parts: tuple[Part, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Trees":
        """Check and compile the JSON document of trained trees. Raises ValueError, KeyError, TypeError."""
        columns = tuple(
            Column(
                str(one["feature"]),
                None if one.get("fill") is None else float(one["fill"]),
                None if one.get("value") is None else str(one["value"]),
            )
            for one in document["columns"]
        )
        parts = tuple(_part(one, len(columns)) for one in document["parts"])
        if not parts or abs(sum(part.weight for part in parts) - 1) > 1e-9:
            raise ValueError("the weights of the parts must add up to 1")
        return cls(columns, parts)

    def rows(self, given: Sequence[Mapping[str, Any]]) -> Floats:
        """Columns of applications, rows by columns. A feature that is absent is an error; None says unknown."""
        for feature in {column.feature for column in self.columns}:
            if any(feature not in one for one in given):
                raise ValueError(f"{feature} was not supplied; give None when it is unknown")
        return np.array([[column.read(one[column.feature]) for column in self.columns] for one in given]).reshape(
            len(given), len(self.columns)
        )


def _part(one: Mapping[str, Any], columns: int) -> Part:
    link, weight, base = one["link"], float(one["weight"]), float(one.get("base", 0.0))
    if link not in ("log_odds", "mean"):
        raise ValueError(f"a part is linked by log_odds or mean, not by {link!r}")
    if not (math.isfinite(weight) and weight > 0 and math.isfinite(base)) or not one["trees"]:
        raise ValueError("a part needs trees, a weight above 0 and a finite base")
    roots: list[int] = []
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []
    depth = at = 0
    for tree in one["trees"]:
        size = len(tree["value"])
        if size == 0 or not all(len(tree[name]) == size for name in ("feature", "threshold", "left", "right")):
            raise ValueError("a tree needs as many features, thresholds and branches as values, and at least one")
        depth = max(depth, _depth(tree, columns))
        inner = [side > 0 for side in tree["left"]]
        roots.append(at)
        feature += [f if node else 0 for f, node in zip(tree["feature"], inner, strict=True)]
        threshold += [float(t) if node else math.inf for t, node in zip(tree["threshold"], inner, strict=True)]
        for branch, into in (("left", left), ("right", right)):
            into += [
                at + (to if node else here) for here, (to, node) in enumerate(zip(tree[branch], inner, strict=True))
            ]
        value += [float(v) for v in tree["value"]]
        at += size
    found = Part(
        link == "log_odds",
        weight,
        base,
        np.array(roots, dtype=np.int64),
        np.array(feature, dtype=np.int64),
        np.array(threshold, dtype=np.float64),
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        np.array(value, dtype=np.float64),
        depth,
    )
    if not np.isfinite(found.value).all():
        raise ValueError("a leaf holds no finite number")
    return found


def _depth(tree: Mapping[str, Any], columns: int) -> int:
    """Depth of a tree whose branches only lead forward, so that it ends. Raises ValueError."""
    depth = [0] * len(tree["value"])
    for here, (feature, left, right) in enumerate(zip(tree["feature"], tree["left"], tree["right"], strict=True)):
        if left == right == 0:
            continue
        if not (here < left < len(depth) and here < right < len(depth) and 0 <= feature < columns):
            raise ValueError(f"node {here} of a tree leads nowhere")
        depth[left], depth[right] = depth[here] + 1, depth[here] + 1
    return max(depth)


def leaf_values(part: Part, rows: Floats) -> Floats:
    """Eq. (C102): leaf of each tree for each row: from the root, left where x ≤ threshold. [rows, trees]

    Source: decision tree, definition; parity with scikit-learn replayed at load; no.

    >>> stump = _part({"link": "mean", "weight": 1, "trees": [
    ...     {"feature": [0] * 3, "threshold": [0.5, 0, 0], "left": [1, 0, 0], "right": [2, 0, 0], "value": [0, 0.1, 1]}
    ... ]}, columns=1)
    >>> leaf_values(stump, np.array([[0.5], [0.6]])).tolist()
    [[0.1], [1.0]]
    """
    at = np.broadcast_to(part.roots, (len(rows), len(part.roots)))
    line = np.arange(len(rows))[:, None]
    for _ in range(part.depth):
        at = np.where(rows[line, part.feature[at]] <= part.threshold[at], part.left[at], part.right[at])
    found: Floats = part.value[at]
    return found


def ensemble_probability(trees: Trees, rows: Floats) -> Floats:
    """Eq. (C103): default probability, Σ w·p; p = logistic(base + Σ v) where boosted, mean of v in a forest. [-]

    Source: gradient boosting and forests as in scikit-learn 1.x; the mean of the two is our own; no.

    >>> stump = {"feature": [0, 0, 0], "threshold": [0.5, 0, 0], "left": [1, 0, 0], "right": [2, 0, 0]}
    >>> made = Trees.from_document({"columns": [{"feature": "a", "fill": 0.0}], "parts": [
    ...     {"link": "log_odds", "weight": 0.5, "base": 0.0, "trees": [stump | {"value": [0, 0.0, 9.0]}]},
    ...     {"link": "mean", "weight": 0.5, "trees": [stump | {"value": [0, 0.25, 1.0]}]}]})
    >>> ensemble_probability(made, made.rows([{"a": 0.1}])).tolist()
    [0.375]
    """
    found = np.zeros(len(rows))
    for part in trees.parts:
        leaves = leaf_values(part, rows)
        if part.boosted:
            found += part.weight / (1 + np.exp(-(part.base + leaves.sum(axis=1))))
        else:
            found += part.weight * leaves.mean(axis=1)
    return found

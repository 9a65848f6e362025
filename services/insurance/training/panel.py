"""Loss files for training: rows of units and periods with exposure, losses and covariates, by a mapping.

Either one row for each loss, with a second file of the units (`units`), or one row for each unit and period.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class LossFileError(ValueError):
    """The file or its mapping cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Panel:
    """Rows of units and periods. amount is capped; losses are the single ones where the file has them."""

    group: Ints
    period: Ints
    exposure: Array
    count: Array
    amount: Array
    covariates: Mapping[str, Array]
    #: Block of each group, for folds in space; each its own without a place.
    block: Ints
    losses: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.exposure)

    def take(self, rows: npt.NDArray[np.bool_]) -> "Panel":
        """Some of the rows; groups keep their numbers."""
        some = {name: values[rows] for name, values in self.covariates.items()}
        return Panel(self.group[rows], self.period[rows], self.exposure[rows], self.count[rows], self.amount[rows],
                     some, self.block, self.losses, self.names)  # fmt: skip


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a mapping. Raises LossFileError."""
    try:
        mapping: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        absent = [
            n for n in ("name", "note", "region", "peril", "group", "period", "exposure", "amount", "features")
            if n not in mapping
        ]  # fmt: skip
    except (OSError, ValueError, TypeError) as error:
        raise LossFileError(f"{path.name} is no mapping: {error!r}") from error
    if absent or not mapping["features"]:
        raise LossFileError(f"{path.name} is no mapping: it lacks {', '.join(absent) or 'features'}")
    return mapping


def read_panel(data: Path, mapping: Mapping[str, Any], folder: Path) -> Panel:
    """Read the losses, and the units beside the mapping where it names them. Raises LossFileError."""
    rows = _rows(data)
    if "units" not in mapping:
        return _panel(rows, mapping, data.name)
    units, key = _rows(folder / mapping["units"]), mapping["group"]
    periods = sorted({_number(row, mapping["period"], n, data.name) for n, row in enumerate(rows, start=2)})
    count: dict[tuple[tuple[str, ...], float], int] = {}
    amount: dict[tuple[tuple[str, ...], float], float] = {}
    known = {tuple(unit[name] for name in key) for unit in units}
    losses = []
    for number, row in enumerate(rows, start=2):
        loss = _number(row, mapping["amount"], number, data.name)
        if loss < 0:
            raise LossFileError(f"{data.name}, row {number}: {mapping['amount']} is below 0")
        place = (tuple(_text(row, name, data.name) for name in key), _number(row, mapping["period"], number, data.name))
        losses.append(loss)
        if place[0] in known:
            count[place] = count.get(place, 0) + 1
            amount[place] = amount.get(place, 0.0) + loss
    made = [
        {**unit, mapping["period"]: str(period), "count": str(count.get(place, 0)),
         mapping["amount"]: str(amount.get(place, 0.0))}
        for unit in units
        for period in periods
        for place in [(tuple(unit[name] for name in key), period)]
    ]  # fmt: skip
    return _panel(made, {**mapping, "count": "count"}, mapping["units"], np.array(losses))


def _panel(
    rows: Sequence[Mapping[str, str]], mapping: Mapping[str, Any], name: str, losses: Array | None = None
) -> Panel:
    def column(wanted: str) -> Array:
        return np.array([_number(row, wanted, number, name) for number, row in enumerate(rows, start=2)])

    exposure, count = column(mapping["exposure"]), column(mapping.get("count", "count"))
    amount, period = column(mapping["amount"]), column(mapping["period"])
    for what, values, bad in (
        ("exposure", exposure, exposure <= 0),
        ("count", count, count < 0),
        ("amount", amount, amount < 0),
    ):
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            raise LossFileError(
                f"{name}, row {place + 2}: {what} is {values[place]:g}; a row without exposure has no rate"
            )
    if count.sum() == 0 or amount.sum() == 0:
        raise LossFileError(f"{name} holds no loss: a rate needs both rows with and rows without one")
    if (count > 0).all():
        raise LossFileError(f"{name} holds losses only: without the rows that had none there is no frequency")
    keys = [tuple(_text(row, each, name) for each in mapping["group"]) for row in rows]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    group = np.array([number[key] for key in keys])
    block = np.arange(len(number))
    if "block" in mapping:
        rule = mapping["block"]
        bx, by = column(rule["x"]) // rule["km"], column(rule["y"]) // rule["km"]
        block[group] = (100 * bx + by).astype(np.int64)
    cap = mapping.get("cap_per_exposure")
    single = losses if losses is not None else amount[count == 1]
    return Panel(
        group,
        period.astype(np.int64),
        exposure,
        count,
        amount if cap is None else np.minimum(amount, cap * exposure),
        {each: column(each) for each in mapping["features"]},
        block,
        single[single > 0],
        tuple("/".join(key) for key in number),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LossFileError(f"{path.name} cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise LossFileError(f"{path.name} holds no rows")
    return rows


def _text(row: Mapping[str, str], name: str, file: str) -> str:
    if name not in row:
        raise LossFileError(f"{file} has no column {name}")
    return row[name] or ""


def _number(row: Mapping[str, str], name: str, number: int, file: str) -> float:
    try:
        value = float(_text(row, name, file))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LossFileError(f"{file}, row {number}: {name} is {row[name]!r}, no number")
    return value

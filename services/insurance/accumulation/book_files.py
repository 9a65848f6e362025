"""An exposure and an event set as CSV, see docs/insurance.md; refusals name file, row and column."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.insurance.accumulation.event_set import EventSet, make_event_set
from services.insurance.accumulation.exposure import (
    GROUPS,
    Exposure,
    ParcelTerms,
    PolicyTerms,
    check_exposure,
    groups_of,
)
from services.insurance.accumulation.refusal import RowError

PARCEL_TERMS = ("deductible", "deductible_type", "limit", "limit_type", "franchise")
POLICY_TERMS = tuple(PolicyTerms.__dataclass_fields__)
EXPOSURE = {"parcel", "policy", "value", "sum_insured", *GROUPS, *PARCEL_TERMS}
EVENTS = {"event", "year", "parcel", "damage", "loss", "peril", "area_ha"}


def read_exposure(exposure_file: Path, terms_file: Path) -> Exposure:
    """Read parcels, and the terms of their policies. Raises RowError."""
    rows = _rows(exposure_file, {"parcel", "policy", "value", "sum_insured"}, EXPOSURE)
    given = _rows(terms_file, {"policy"}, {"policy", *POLICY_TERMS})
    policies = tuple(row["policy"] for row in given)
    number = {name: position for position, name in enumerate(policies)}
    for row, name in enumerate(policies):
        if not name or number[name] != row:
            raise RowError(row + 2, "policy", "missing or there twice", terms_file.name)
    for row, one in enumerate(rows):
        if one["policy"] not in number:
            raise RowError(row + 2, "policy", f"{one['policy']!r} has no row in {terms_file.name}", exposure_file.name)
    columns: dict[str, Any] = {n: _numbers(rows, n, exposure_file) for n in ("value", "sum_insured", *PARCEL_TERMS)}
    terms: dict[str, Any] = {n: _numbers(given, n, terms_file, 1.0 if n == "share" else 0.0) for n in POLICY_TERMS}
    names = tuple(row["parcel"] for row in rows)
    nothing = np.zeros(len(rows))
    made = Exposure(
        names, policies, np.array([number[row["policy"]] for row in rows], np.int32), columns["value"],
        columns["sum_insured"], ParcelTerms(**{name: columns[name] for name in PARCEL_TERMS}), PolicyTerms(**terms),
        groups_of({group: [row.get(group) or "" for row in rows] for group in GROUPS}), nothing, nothing, nothing,
        np.zeros(len(policies)), np.zeros(len(policies)),
    )  # fmt: skip
    check_exposure(made, exposure_file.name, terms_file.name)
    return made.by_policy()


def read_events(file: Path, exposure: Exposure, years: int | None) -> EventSet:
    """Read an event set, by damage ratio or by ground-up loss. Raises RowError."""
    rows = _rows(file, {"event", "year", "parcel"}, EVENTS)
    by_loss = bool(rows) and "loss" in rows[0]
    if rows and by_loss == ("damage" in rows[0]):
        raise RowError(1, "damage", "give either damage or loss", file.name)
    known = {name: position for position, name in enumerate(exposure.parcels)}
    parcel = np.array([known.get(row["parcel"], -1) for row in rows], np.int64)
    if (parcel < 0).any():
        row = int(np.argmax(parcel < 0))
        raise RowError(row + 2, "parcel", f"{rows[row]['parcel']!r} is not in the exposure", file.name)
    damage = _numbers(rows, "loss" if by_loss else "damage", file)
    if by_loss:
        good = np.isfinite(damage) & (damage >= 0) & (damage <= exposure.value[parcel])
        if not good.all():
            raise RowError(int(np.argmin(good)) + 2, "loss", "not an amount up to the parcel's value", file.name)
        damage = damage / exposure.value[parcel]
    year = _numbers(rows, "year", file)
    if (year != np.floor(year)).any():
        raise RowError(int(np.argmax(year != np.floor(year))) + 2, "year", "not a whole number", file.name)
    names = sorted({row.get("peril") or "all" for row in rows}) or ["all"]
    event = {name: position for position, name in enumerate(dict.fromkeys(row["event"] for row in rows))}
    return make_event_set(
        [event[row["event"]] for row in rows], year, parcel, damage, years or int(year.max(initial=1)),
        len(exposure.parcels), [names.index(row.get("peril") or "all") for row in rows],
        _numbers(rows, "area_ha", file), tuple(names), file.name,
    )  # fmt: skip


def _rows(file: Path, needed: set[str], known: set[str]) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, restkey="", restval="")
        columns = set(reader.fieldnames or ())
        for column in sorted(needed - columns):
            raise RowError(1, column, "the column is missing", file.name)
        for column in sorted(columns - known):
            raise RowError(1, column, "no such column", file.name)
        return [dict(row) for row in reader]


def _numbers(rows: Sequence[Mapping[str, str]], name: str, file: Path, default: float = 0.0) -> Any:
    found = np.empty(len(rows))
    for number, row in enumerate(rows):
        text = row.get(name)
        try:
            found[number] = (
                default if text is None or (text == "" and name not in ("value", "sum_insured")) else float(text)
            )
        except ValueError:
            raise RowError(number + 2, name, f"{text!r} is no number", file.name) from None
        if not np.isfinite(found[number]):
            raise RowError(number + 2, name, "not a finite number", file.name)
    return found

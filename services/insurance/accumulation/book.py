"""A book as it is kept: policies and forests as plain JSON, and from it what the engine computes with.

The JSON is what a run is reproduced from: its digest, the parameters' and the seed name every number that follows.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from services.insurance.accumulation.event_set import EventSet, Floats
from services.insurance.accumulation.exposure import (
    Exposure,
    ParcelTerms,
    PolicyTerms,
    check_exposure,
    check_places,
    groups_of,
)
from services.insurance.accumulation.losses import Paid, Terms, YearTable, paid
from services.insurance.accumulation.reinsurance import ceded, contract_of
from services.insurance.accumulation.simulation import Catalogue, Places
from services.insurance.formulas import balance_sheets as formulas

MU_PER_HA = 15
Content = Mapping[str, Any]
Arrays = dict[str, npt.NDArray[Any]]
DIMENSIONS = ("peril", "county", "bank", "guarantor")
#: What else the years tell of besides the payments of the policies.
PARTS = ("net", "ceded", "reinstatement_premium", "sheet")
#: What an event does on the three balance sheets: paid to the bank, still owed to it by those hit, called, lost.
SHEETS = ("paid_to_bank", "bank_exposure", "guarantor", "bank")


class Book:
    """Policies in force and their forests, ready to be struck. Raises RowError for what cannot be computed with."""

    def __init__(self, content: Content, catalogue: Catalogue) -> None:
        policies, forests = content["policies"], content["forests"]
        self.catalogue, self.content = catalogue, content
        count = len(forests)
        policy = np.array([one["policy"] for one in forests], np.int32)
        share = np.array([float(one["deductible"]) for one in policies])
        nothing = np.zeros(count)
        terms = ParcelTerms(share[policy], np.ones(count, np.int32), nothing, np.zeros(count, np.int32), nothing)
        of_year: Any = vars(PolicyTerms.none(len(policies))) | {"annual_limit": _column(policies, "remaining")}
        self.exposure = Exposure(
            parcels=tuple(one["id"] for one in forests),
            policies=tuple(one["id"] for one in policies),
            policy=policy,
            value=_column(forests, "value"),
            sum_insured=_column(forests, "sum_insured"),
            terms=terms,
            policy_terms=PolicyTerms(**of_year),
            groups=groups_of(
                {
                    "county": [one["county"] for one in forests],
                    **{name: [policies[one["policy"]][name] for one in forests] for name in ("bank", "guarantor")},
                }
            ),
            longitude=_column(forests, "longitude"),
            latitude=_column(forests, "latitude"),
            area_ha=_column(forests, "area_ha"),
            balance=_column(policies, "balance"),
            guarantee_share=_column(policies, "guarantee_share"),
        )
        check_exposure(self.exposure)
        check_places(self.exposure)
        self.terms = Terms(self.exposure)
        self._values = np.zeros(len(policies))
        np.add.at(self._values, policy, self.exposure.value)
        self._default_probability = _column(policies, "default_probability")
        self.programme = [contract_of(row) for row in content["programme"]]
        self.places = places_of(catalogue, forests)
        self._covered = covered(
            tuple(one.name for one in catalogue.perils), policy, _column(policies, "small_fire_mu"),
            _column(policies, "pest_threshold"),
        )  # fmt: skip

    def years(self, first: int, last: int) -> Arrays:
        """What the years from first to last do to the book: losses of each event, and of each year by group."""
        events = self.catalogue.between(self.places, first, last)
        block = paid(events, self.exposure, self.terms, self._covered)
        names, count = tuple(one.name for one in self.catalogue.perils), last - first + 1
        table = YearTable(self.exposure, count, names, DIMENSIONS)
        here = replace(block, events=replace(events, year=events.year - (first - 1), years=count))
        table.add(here)
        passed = ceded(block, self.exposure, self.programme)
        net = np.bincount(events.owner, weights=passed.net, minlength=len(events.event)).astype(np.float64)
        sheets = self._sheets(block)
        more = [
            _yearly(one, here.events) for one in (net, *passed.recoveries, *passed.reinstatements, *sheets.values())
        ]
        return {
            "event": events.event,
            "year": events.year,
            "peril": events.peril.astype(np.int8),
            "gross": block.by_event,
            "net": net,
            **sheets,
            "aggregate": np.vstack([table.aggregate, *(sums for sums, _ in more)]),
            "occurrence": np.vstack([table.occurrence, *(largest for _, largest in more)]),
            "ground_up": table.ground_up,
            #: Payments of all these years.
            "by_forest": table.by_parcel * count,
        }

    def _sheets(self, block: Paid) -> dict[str, Floats]:
        """What each event does to bank and guarantor, over the policies it hits."""
        of, count = block.run_policy, len(block.events.event)
        lost = _by_run(block.ground_up, block.run_start) / self._values[of]
        balance = self.exposure.balance[of]
        exposure = formulas.exposures_after_payment(balance, block.runs)
        chance = formulas.stressed_default_probability(self._default_probability[of], lost)
        call = formulas.guarantor_calls(exposure, chance, self.exposure.guarantee_share[of])
        by_run = (balance - exposure, exposure, call, exposure * chance - call)
        return {
            name: np.bincount(block.run_event, weights=one, minlength=count).astype(np.float64)
            for name, one in zip(SHEETS, by_run, strict=True)
        }

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Rows of the yearly arrays: (dimension, name)."""
        names = tuple(one.name for one in self.catalogue.perils)
        contracts = [one.name for one in self.programme]
        return [
            *YearTable(self.exposure, 1, names, DIMENSIONS).labels, ("net", ""),
            *(("ceded", name) for name in contracts), *(("reinstatement_premium", name) for name in contracts),
            *(("sheet", name) for name in SHEETS),
        ]  # fmt: skip


def _by_run(cells: Floats, start: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(np.add.reduceat(cells, start)) if len(cells) else np.zeros(0)


def _yearly(amounts: Floats, events: EventSet) -> tuple[Floats, Floats]:
    """Sum and largest event of each year of a block."""
    largest = np.zeros(events.years)
    np.maximum.at(largest, events.year - 1, amounts)
    return np.bincount(events.year - 1, weights=amounts, minlength=events.years).astype(np.float64), largest


def covered(
    perils: tuple[str, ...], policy: npt.NDArray[np.int32], small_fire_mu: Floats, pest_threshold: Floats
) -> Callable[[EventSet], Floats]:
    """Which cells the wordings of the policies look at, as `losses.paid` asks."""

    def share(events: EventSet) -> Floats:
        owner, of = events.owner, policy[events.parcel]
        area_mu = events.area_ha[owner] * MU_PER_HA
        out = excluded(perils, events.peril[owner], area_mu, events.damage, small_fire_mu[of], pest_threshold[of])
        return np.where(out, 0.0, 1.0)

    return share


def excluded(
    perils: tuple[str, ...], peril: npt.NDArray[Any], area_mu: Floats, damage: Floats, small_fire_mu: float | Floats,
    pest_threshold: float | Floats,
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Losses that a wording does not look at: a fire too small as a whole, pest damage below its threshold."""
    fire, pest = (perils.index(name) if name in perils else -1 for name in ("fire", "pest"))
    return np.asarray(((peril == fire) & (area_mu <= small_fire_mu)) | ((peril == pest) & (damage < pest_threshold)))


def places_of(catalogue: Catalogue, forests: Sequence[Mapping[str, Any]]) -> Places:
    """Where forests are and how often each peril comes to them. Raises RowError for one outside the region."""
    return catalogue.places(
        [one["place"] for one in forests], _column(forests, "longitude"), _column(forests, "latitude"),
        _column(forests, "area_ha"), np.array([one["frequencies"] for one in forests], dtype=np.float64).T,
    )  # fmt: skip


def combined(blocks: Sequence[Arrays]) -> Arrays:
    """Blocks of years that follow each other, as one."""
    return {
        name: np.sum([block[name] for block in blocks], axis=0)
        if name == "by_forest"
        else np.concatenate([block[name] for block in blocks], axis=-1)
        for name in blocks[0]
    }


def packed(arrays: Arrays) -> bytes:
    """Arrays as numpy's compressed archive."""
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def unpacked(content: bytes, *names: str) -> Arrays:
    """Arrays out of an archive, all or those named; nothing in it is executed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in names or archive.files}


def digest(arrays: Arrays) -> str:
    """SHA-256 of arrays by name, type, shape and bytes; sums over blocks are left out, as they depend on the blocks."""
    made = hashlib.sha256()
    for name in sorted(set(arrays) - {"by_forest"}):
        array = np.ascontiguousarray(arrays[name])
        made.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        made.update(array.tobytes())
    return made.hexdigest()


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([float(one[name]) for one in rows])

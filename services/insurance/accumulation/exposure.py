"""What is exposed and on what terms: parcels, the policies they belong to, whoever has a stake in them.

Parcels of one policy stand together, so that within an event a policy is one run of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from services.insurance.accumulation.refusal import RowError, demand

Floats = npt.NDArray[np.float64]
Small = npt.NDArray[np.int32]

#: Groups that losses are added up by, besides the peril.
GROUPS = ("county", "bank", "guarantor")


@dataclass(frozen=True)
class ParcelTerms:
    """Terms of each parcel; types as in OED: 0 an amount, 1 a share of the loss, 2 a share of the insured value."""

    deductible: Floats
    deductible_type: Small
    limit: Floats
    limit_type: Small
    #: All of the loss is subject once it exceeds the franchise, else nothing.
    franchise: Floats


@dataclass(frozen=True)
class PolicyTerms:
    """Terms of each policy: of one event, then of a year. An amount of 0 is no term; the share is the insurer's."""

    deductible: Floats
    deductible_type: Small
    franchise: Floats
    attachment: Floats
    limit: Floats
    share: Floats
    #: The year counts once its payments reach the threshold.
    annual_threshold: Floats
    annual_deductible: Floats
    annual_limit: Floats

    @classmethod
    def none(cls, count: int) -> "PolicyTerms":
        """No terms: everything is paid."""
        columns: dict[str, Any] = {one.name: np.zeros(count) for one in fields(cls)}
        columns["deductible_type"] = np.zeros(count, np.int32)
        return cls(**columns | {"share": np.ones(count)})


@dataclass(frozen=True)
class Exposure:
    """Parcels, by policy, and the policies."""

    parcels: tuple[str, ...]
    policies: tuple[str, ...]
    #: Position of each parcel's policy; ascending.
    policy: Small
    value: Floats
    sum_insured: Floats
    terms: ParcelTerms
    policy_terms: PolicyTerms
    #: By group the names, and each parcel's position among them.
    groups: Mapping[str, tuple[tuple[str, ...], Small]]
    longitude: Floats
    latitude: Floats
    area_ha: Floats
    #: Of each policy: what the bank is owed, what share of a default the guarantor carries.
    balance: Floats
    guarantee_share: Floats
    #: Of each policy: the part of a surplus treaty.
    ceded_share: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def insured(self) -> Floats:
        """What a total loss of each parcel is covered for under the average clause. [CNY]"""
        return np.minimum(self.value, self.sum_insured)

    def by_policy(self) -> "Exposure":
        """The same with the parcels of each policy standing together."""
        order = np.argsort(self.policy, kind="stable")
        return replace(
            self,
            parcels=tuple(self.parcels[number] for number in order),
            terms=ParcelTerms(**{one.name: getattr(self.terms, one.name)[order] for one in fields(ParcelTerms)}),
            groups={group: (names, position[order]) for group, (names, position) in self.groups.items()},
            **{name: getattr(self, name)[order] for name in ("policy", "value", "sum_insured", "longitude")},
            **{name: getattr(self, name)[order] for name in ("latitude", "area_ha")},
            ceded_share=self.ceded_share[order] if len(self.ceded_share) else self.ceded_share,
        )


def column(given: Sequence[float] | npt.ArrayLike | None, count: int, default: float = 0.0) -> Floats:
    """A column of numbers, or of the default."""
    return np.full(count, default) if given is None else np.asarray(given, dtype=np.float64)


def groups_of(names: Mapping[str, Sequence[str]]) -> dict[str, tuple[tuple[str, ...], Small]]:
    """Groups by name and position; a name that is missing is a group of its own."""
    found = {}
    for group, each in names.items():
        known, position = np.unique(np.asarray(each, dtype=np.str_), return_inverse=True)
        found[group] = (tuple(str(one) for one in known), position.astype(np.int32))
    return found


def check_exposure(exposure: Exposure, file: str = "", terms_file: str = "") -> None:
    """Refuse an exposure that cannot be computed with. Raises RowError."""
    seen: set[str] = set()
    for number, name in enumerate(exposure.parcels):
        if not name or name in seen:
            raise RowError(number + 2, "parcel", "a parcel of this name is there already" if name else "missing", file)
        seen.add(name)
    positive = "missing, or not above 0"
    demand(np.isfinite(exposure.value) & (exposure.value > 0), "value", positive, file)
    demand(np.isfinite(exposure.sum_insured) & (exposure.sum_insured > 0), "sum_insured", positive, file)
    demand(exposure.sum_insured <= exposure.value, "sum_insured", "above the insurable value", file)
    _check_terms(exposure.terms, file)
    _check_terms(exposure.policy_terms, terms_file)
    share = exposure.policy_terms.share
    demand((share > 0) & (share <= 1), "share", "not a share above 0, up to 1", terms_file)
    for name in ("balance", "guarantee_share", "ceded_share"):
        amounts = getattr(exposure, name)
        demand(np.isfinite(amounts) & (amounts >= 0), name, "not an amount from 0", file)
    for name in ("guarantee_share", "ceded_share"):
        demand(getattr(exposure, name) <= 1, name, "a share above 1", file)


def check_places(exposure: Exposure, file: str = "") -> None:
    """Refuse a parcel without a place on the earth. Raises RowError."""
    for name, most in (("longitude", 180.0), ("latitude", 90.0)):
        where = getattr(exposure, name)
        demand(np.isfinite(where) & (np.abs(where) <= most), name, "the parcel has no place", file)
    demand(np.isfinite(exposure.area_ha) & (exposure.area_ha > 0), "area_ha", "missing, or not above 0", file)


def _check_terms(terms: ParcelTerms | PolicyTerms, file: str) -> None:
    for one in fields(terms):
        amounts = np.asarray(getattr(terms, one.name), dtype=np.float64)
        if one.name.endswith("_type"):
            demand(np.isin(amounts, (0, 1, 2)), one.name, "not a type 0, 1 or 2", file)
            shares = np.asarray(getattr(terms, one.name.removesuffix("_type")), dtype=np.float64)
            demand((amounts == 0) | (shares <= 1), one.name.removesuffix("_type"), "a share above 1", file)
        else:
            demand(np.isfinite(amounts) & (amounts >= 0), one.name, "not an amount from 0", file)
    # An amount may be compared only with an amount.
    typed = getattr(terms, "limit_type", np.zeros_like(terms.limit))
    both = (terms.limit > 0) & (typed == 0)
    demand(~both | (terms.franchise <= terms.limit), "franchise", "above the limit", file)

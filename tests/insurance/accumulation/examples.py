"""Small books and event sets."""

from typing import Any

import numpy as np

from services.insurance.accumulation.event_set import EventSet, make_event_set
from services.insurance.accumulation.exposure import (
    Exposure,
    ParcelTerms,
    PolicyTerms,
    check_exposure,
    groups_of,
)


def exposure(count: int, policies: int = 0, **more: Any) -> Exposure:
    """Parcels of rising value, each with its own policy unless fewer are wanted."""
    policies = policies or count
    policy = np.sort(np.arange(count) % policies).astype(np.int32)
    value = np.asarray(more.pop("value", np.arange(1.0, count + 1) * 1000), dtype=np.float64)
    parcel_terms = {name: np.zeros(count) for name in ("deductible", "limit", "franchise")}
    parcel_types = {name: np.zeros(count, np.int32) for name in ("deductible_type", "limit_type")}
    terms = ParcelTerms(**parcel_terms | parcel_types | more.pop("terms", {}))
    none = vars(PolicyTerms.none(policies)) | more.pop("policy_terms", {})
    numbers = np.arange(count)
    made = Exposure(
        parcels=tuple(f"p{n}" for n in numbers),
        policies=tuple(f"q{n}" for n in range(policies)),
        policy=policy,
        value=value,
        sum_insured=np.asarray(more.pop("sum_insured", value), dtype=np.float64),
        terms=terms,
        policy_terms=PolicyTerms(**none),
        groups=groups_of(
            {
                "county": [("youyu", "pinglu")[n % 2] for n in numbers],
                "bank": [("bank-a", "bank-b")[p % 2] for p in policy],
                "guarantor": ["g" for _ in numbers],
            }
        ),
        longitude=np.asarray(more.pop("longitude", 112.4 + numbers * 0.001)),
        latitude=np.asarray(more.pop("latitude", np.full(count, 39.9))),
        area_ha=np.full(count, 100.0),
        balance=np.asarray(more.pop("balance", np.zeros(policies)), dtype=np.float64),
        guarantee_share=np.asarray(more.pop("guarantee_share", np.zeros(policies)), dtype=np.float64),
        ceded_share=np.asarray(more.pop("ceded_share", np.zeros(count)), dtype=np.float64),
    )
    check_exposure(made)
    return made


def random_set(seed: int, parcels: int, events: int, years: int, filled: float = 0.3) -> EventSet:
    """Events that hit some of the parcels."""
    draw = np.random.default_rng(seed)
    hit = draw.random((events, parcels)) < filled
    hit[:, 0] |= ~hit.any(axis=1)
    event, parcel = np.nonzero(hit)
    year = draw.integers(1, years + 1, events)
    peril = draw.integers(0, 2, events)
    return make_event_set(
        event, year[event], parcel, draw.random(len(event)), years, parcels, peril[event], perils=("fire", "wind")
    )

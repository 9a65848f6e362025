"""Footprints: what an event, an organisation or a person says they do, times dated emission factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from services.sink.actions.kilograms import tonnes_of, tonnes_up
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.refusals import invalid
from services.sink.formulas.domain import Numbers
from services.sink.formulas.footprint import (
    activity_emissions,
    event_footprint,
    organisation_footprint,
    person_footprint,
    travel_distance,
)
from services.sink.tables import Footprint
from shared import audit, clock
from shared.db import tenant
from shared.ids import uuid7
from shared.parameters import InForce

EVENTS = ("meeting", "performance", "match", "forum", "exhibition")
KINDS = (*EVENTS, "organisation", "person")
MODES = ("car", "taxi", "bus", "coach", "rail", "light_rail", "domestic_flight", "long_flight")
#: What an organisation burns itself, and the energy it buys; everything else is its value chain.
DIRECT = ("natural_gas", "coal", "petrol", "diesel")
BOUGHT = ("electricity_national", "electricity_shanxi", "heat")
ACTIVITIES = (*BOUGHT, *DIRECT, "room_night", "meal", "diet_day", "paper", "waste")


@dataclass(frozen=True)
class Journey:
    """A party that travels the same way; of cars, the number of cars rather than of people."""

    mode: str
    travellers: int
    distance_km: Decimal
    #: There and back.
    trips: int = 2


@dataclass(frozen=True)
class FootprintFacts:
    """What somebody says they do."""

    kind: str
    name: str
    period_from: date
    period_until: date
    journeys: Sequence[Journey]
    activities: Mapping[str, Decimal]
    #: Of a person's home, shared by those who live there.
    household: Mapping[str, Decimal]
    household_size: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What was asked, as JSON data."""
        return {
            "journeys": [
                {
                    "mode": journey.mode,
                    "travellers": journey.travellers,
                    "distance_km": format(journey.distance_km, "f"),
                    "trips": journey.trips,
                }
                for journey in self.journeys
            ],
            "activities": {name: format(quantity, "f") for name, quantity in sorted(self.activities.items())},
            "household": {name: format(quantity, "f") for name, quantity in sorted(self.household.items())},
            "household_size": self.household_size,
        }


@dataclass(frozen=True)
class _Line:
    part: str
    activity: str
    quantity: float
    factor: float


def estimate(session: Session, facts: FootprintFacts) -> Footprint:
    """Estimate a footprint and keep it with its inputs, factors and what of them nobody verified."""
    _check(facts)
    p = PARAMETERS.at(clock.today())
    lines = _lines(facts, p)
    row = Footprint(
        id=uuid7(),
        institution=tenant(session),
        kind=facts.kind,
        name=facts.name,
        period_from=facts.period_from,
        period_until=facts.period_until,
        inputs=facts.as_json(),
        lines=[_told(line, facts, p) for line in lines],
        tonnes=tonnes_up(_total(facts, lines)),
        parameters_hash=p.digest,
        unverified_parameters=list(p.unverified),
        estimated_at=clock.now(),
    )
    session.add(row)
    audit.record(session, "estimate_footprint", row.id, kind=row.kind, tonnes=str(row.tonnes))
    session.flush()
    return row


def _check(facts: FootprintFacts) -> None:
    if facts.period_until < facts.period_from:
        raise invalid("/period_until", "lies before the period begins")
    if not facts.journeys and not facts.activities and not facts.household:
        raise invalid("/activities", "give at least one journey or activity")
    if facts.kind == "person":
        if bool(facts.household) != (facts.household_size is not None):
            raise invalid("/household_size", "give at least one activity of the household, and how many live there")
    elif facts.household or facts.household_size is not None:
        raise invalid("/household", "only a person has a household")


def _lines(facts: FootprintFacts, p: InForce) -> list[_Line]:
    travel = [
        _Line(
            "travel",
            journey.mode,
            float(travel_distance(journey.travellers, float(journey.distance_km), journey.trips)),
            p[f"footprint.{journey.mode}"],
        )
        for journey in facts.journeys
    ]
    return travel + [
        _Line(part, name, float(quantity), p[f"footprint.{name}"])
        for part, quantities in (("activity", facts.activities), ("household", facts.household))
        for name, quantity in sorted(quantities.items())
    ]


def _total(facts: FootprintFacts, lines: Sequence[_Line]) -> Numbers:
    """The footprint by the formula of its kind. [tCO2e]"""

    def some(*parts: str, of: Sequence[str] = (), but: Sequence[str] = ()) -> tuple[list[float], list[float]]:
        chosen = [
            line
            for line in lines
            if line.part in parts and (not of or line.activity in of) and line.activity not in but
        ]
        return [line.quantity for line in chosen], [line.factor for line in chosen]

    if facts.kind == "organisation":
        chain = np.concatenate(
            [activity_emissions(*some("travel")), activity_emissions(*some("activity", but=DIRECT + BOUGHT))]
        )
        return organisation_footprint(
            activity_emissions(*some("activity", of=DIRECT)), activity_emissions(*some("activity", of=BOUGHT)), chain
        )
    if facts.kind == "person":
        return person_footprint(
            activity_emissions(*some("household")),
            facts.household_size or 1,
            activity_emissions(*some("travel", "activity")),
        )
    return event_footprint(*some("travel"), *some("activity"))


def _told(line: _Line, facts: FootprintFacts, p: InForce) -> dict[str, str]:
    entry = p.entries[f"footprint.{line.activity}"]
    heads = (facts.household_size or 1) if line.part == "household" else 1
    return {
        "part": line.part,
        "activity": line.activity,
        "quantity": format(Decimal(repr(line.quantity)).normalize(), "f"),
        "unit": entry.unit.partition("/")[2],
        "factor": str(line.factor),
        "factor_unit": entry.unit,
        "tonnes": str(tonnes_of(activity_emissions(line.quantity, line.factor) / heads)),
        "source": entry.source,
        "verified": entry.verified,
    }

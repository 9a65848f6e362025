"""`heartwood insurance ylt`: files in, report out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.insurance.accumulation.book_files import read_events, read_exposure
from services.insurance.accumulation.losses import year_table
from services.insurance.accumulation.metrics import metrics


def ylt(
    exposure_file: Path, events_file: Path, terms_file: Path, years: int | None, periods: Sequence[float]
) -> dict[str, Any]:
    """The year loss table of a book and what it says. Raises ValueError with file, row and column."""
    exposure = read_exposure(exposure_file, terms_file)
    events = read_events(events_file, exposure, years)
    if years is None and not len(events.event):
        raise ValueError(f"{events_file.name} has no events; say how many --years it stands for")
    if unusable := [period for period in periods if not period >= 1]:
        raise ValueError(f"no return period of {unusable[0]} years")
    table = year_table(events.blocks(), exposure, events.years, events.perils)
    return {
        "years": events.years,
        "years_from": "events" if years is None else "option",
        "parcels": len(exposure.parcels),
        "policies": len(exposure.policies),
        "events": len(events.event),
        "metrics": metrics(table.labels, table.aggregate, table.occurrence, periods),
        "ground_up": table.ground_up.tolist(),
        "aggregate": table.aggregate[0].tolist(),
        "occurrence": table.occurrence[0].tolist(),
        "by_parcel": dict(zip(exposure.parcels, table.by_parcel.tolist(), strict=True)),
    }

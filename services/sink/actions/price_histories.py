"""Price histories: dated prices of one instrument go in, a fitted curve comes out and waits for a second person."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.prices import propose_curve
from services.sink.formulas.price import PriceFit, lognormal_fit, mean_reverting_fit
from services.sink.tables import PriceHistory
from shared import audit, clock, money
from shared.db import tenant
from shared.errors import InvalidError
from shared.ids import uuid7
from shared.parameters import InForce

#: Offsets are what a forest sells; allowances are what they may stand in for, within the cap that the haircut knows of.
INSTRUMENTS = ("ccer", "cea")
PROCESSES = {"mean_reverting": mean_reverting_fit, "lognormal": lognormal_fit}
_DAYS_PER_YEAR = 365.25
#: Errors of one series that are worth telling.
_TOLD = 20
#: Below so many standard errors nobody can tell a reversion from none.
_TOLD_APART = 2.0
_RATE = Decimal("0.000001")

Point = Mapping[str, Any]


def enter_history(session: Session, facts: Mapping[str, Any], maker: str) -> PriceHistory:
    """Fit a curve to a dated series and propose it; what the series lacks is refused with where it lacks it."""
    p = PARAMETERS.at(clock.today())
    points: Sequence[Point] = facts["prices"]
    _check(points, p)
    ratio = _ratio(facts["instrument"], facts["offset_ratio"])
    try:
        fit = fitted(facts["process"], points)
    except ValueError as error:
        raise InvalidError(
            f"no {facts['process'].replace('_', '-')} curve fits this series: {error}",
            errors=[{"pointer": "/process", "detail": str(error)}],
        ) from None
    curve = propose_curve(
        session,
        {
            "name": facts["name"],
            "spot_price": money.yuan(Decimal(points[-1]["price"]) * ratio),
            "long_run_price": money.yuan(Decimal(repr(fit.long_run_price)) * ratio),
            "reversion": _rate(fit.reversion),
            "volatility": _rate(fit.volatility),
            "drift": _rate(fit.drift),
            "source": facts["source"],
        },
        maker,
    )
    row = PriceHistory(
        id=uuid7(),
        registrar=tenant(session),
        curve_id=curve.id,
        instrument=facts["instrument"],
        offset_ratio=facts["offset_ratio"],
        process=facts["process"],
        source=facts["source"],
        prices=[[point["on"].isoformat(), str(point["price"])] for point in points],
        fit={name: round(value, 8) if isinstance(value, float) else value for name, value in asdict(fit).items()},
        flags=["reversion_within_its_error"] if 0 < fit.reversion < _TOLD_APART * fit.reversion_error else [],
        entered_by=maker,
        entered_at=clock.now(),
    )
    session.add(row)
    audit.record(session, "enter_price_history", row.id, curve=str(curve.id), prices=len(points))
    session.flush()
    return row


def fitted(process: str, points: Sequence[Point]) -> PriceFit:
    """The process that fits best; a ValueError says why none does."""
    first: date = points[0]["on"]
    years = [(point["on"] - first).days / _DAYS_PER_YEAR for point in points]
    fit = PROCESSES[process](years, [float(point["price"]) for point in points])
    if fit.volatility < float(_RATE):
        raise ValueError("a price that never moves tells nothing of its spread")
    return fit


def _check(points: Sequence[Point], p: InForce) -> None:
    """Refuse a series that is out of order, doubled, full of holes, of tomorrow, too short or too thin."""
    errors = []
    for number, (before, point) in enumerate(pairwise(points), start=1):
        apart = (point["on"] - before["on"]).days
        if apart <= 0:
            wrong = "stands twice" if apart == 0 else f"lies before {before['on']}: sort the series by date"
            errors.append({"pointer": f"/prices/{number}/on", "detail": wrong})
        elif apart > p["price_history.largest_gap"]:
            limit = p["price_history.largest_gap"]
            wrong = f"{apart} days after the price before; {limit} at most: what it did meanwhile nobody knows"
            errors.append({"pointer": f"/prices/{number}/on", "detail": wrong})
    if points and points[-1]["on"] > clock.today():
        errors.append({"pointer": f"/prices/{len(points) - 1}/on", "detail": "lies in the future"})
    if len(points) < p["price_history.fewest"]:
        wrong = f"{len(points)} prices; a fit needs {p['price_history.fewest']} at least"
        errors.append({"pointer": "/prices", "detail": wrong})
    elif not errors and (points[-1]["on"] - points[0]["on"]).days < p["price_history.shortest_span"]:
        wrong = f"spans less than {p['price_history.shortest_span']} days"
        errors.append({"pointer": "/prices", "detail": wrong})
    if errors:
        raise InvalidError(f"{errors[0]['pointer']}: {errors[0]['detail']}", errors=errors[:_TOLD])


def _ratio(instrument: str, offset_ratio: Decimal | None) -> Decimal:
    """What an offset is worth in the unit of the series: no allowance's price is an offset's price as it stands."""
    if (instrument == "cea") != (offset_ratio is not None):
        wrong = "needed with allowance prices, and only with them: the price of an offset over that of an allowance"
        raise InvalidError(f"/offset_ratio: {wrong}", errors=[{"pointer": "/offset_ratio", "detail": wrong}])
    return Decimal(1) if offset_ratio is None else offset_ratio


def _rate(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(_RATE)

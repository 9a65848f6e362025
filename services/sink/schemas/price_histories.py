"""Price histories, over HTTP."""

from typing import Any

from marshmallow import fields, validate

from services.sink.actions.price_histories import INSTRUMENTS, PROCESSES
from shared.fields import Base, Moment, PageQuery, Quantity, Text

#: Eight years of trading days.
MAX_PRICES = 2000


def _rate(**more: Any) -> Quantity:
    return Quantity(places=6, **more)


class DatedPriceSchema(Base):
    """What a tonne cost on a day, in CNY."""

    on = fields.Date(required=True)
    price = Quantity(places=2, minimum="0.01", maximum="100000", required=True)


class PriceHistoryRequest(Base):
    """Dated prices of one instrument, oldest first. Allowance prices need the ratio of an offset's price to theirs."""

    name = Text(max_length=64, required=True)
    source = Text(max_length=300, required=True)
    instrument = fields.String(required=True, validate=validate.OneOf(INSTRUMENTS))
    offset_ratio = _rate(load_default=None, allow_none=True, minimum="0.000001", maximum="2")
    process = fields.String(load_default="mean_reverting", validate=validate.OneOf(list(PROCESSES)))
    prices = fields.List(
        fields.Nested(DatedPriceSchema()), required=True, validate=validate.Length(min=1, max=MAX_PRICES)
    )


class PriceFitSchema(Base):
    """What was fitted, with standard errors; `correlation` is that of the logs of a price in one year and in two."""

    process = fields.String(required=True)
    observations = fields.Integer(required=True)
    years = fields.Float(required=True)
    spot_price = fields.Float(required=True)
    long_run_price = fields.Float(required=True)
    long_run_price_error = fields.Float(required=True)
    reversion = fields.Float(required=True)
    reversion_error = fields.Float(required=True)
    volatility = fields.Float(required=True)
    volatility_error = fields.Float(required=True)
    drift = fields.Float(required=True)
    drift_error = fields.Float(required=True)
    log_likelihood = fields.Float(required=True)
    correlation = fields.Float(required=True)


class PriceHistoryResponse(Base):
    """A series as it was entered, the fit in the unit of the series, and the curve it proposes."""

    id = fields.UUID(required=True)
    registrar = fields.String(required=True)
    curve_id = fields.UUID(required=True)
    instrument = fields.String(required=True)
    offset_ratio = _rate(required=True, allow_none=True)
    process = fields.String(required=True)
    source = fields.String(required=True)
    prices = fields.List(fields.Nested(DatedPriceSchema()), attribute="points", required=True)
    fit = fields.Nested(PriceFitSchema(), required=True)
    flags = fields.List(fields.String(), required=True)
    entered_by = fields.String(required=True)
    entered_at = Moment(required=True)


class PriceHistoryQuery(PageQuery):
    """Which histories."""

    curve_id = fields.UUID(load_default=None)

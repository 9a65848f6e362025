"""Accumulation: which years to simulate, and what they say."""

from marshmallow import fields, validate

from services.insurance.accumulation.book import DIMENSIONS, PARTS
from services.insurance.accumulation.exchange import TABLES
from services.insurance.actions.accumulations import PICTURES
from shared.fields import Base, Moment, Money, Names, Whole

_AMOUNT = {"pattern": r"^[0-9]{1,15}\.[0-9]{2}$", "description": "CNY"}


class AccumulationRequest(Base):
    """How many years, by which seed; the usual ones if not given."""

    years = Whole(minimum=100, maximum=200_000, load_default=None, allow_none=True)
    seed = Whole(minimum=0, maximum=2**31 - 1, load_default=None, allow_none=True)


class PeriodSchema(Base):
    """What is reached or exceeded once in so many years."""

    return_period = fields.Float(required=True)
    thin = fields.Boolean(required=True, metadata={"description": "Rests on fewer than ten years"})
    oep = fields.String(required=True, metadata=_AMOUNT | {"description": "Largest event of a year (PML), CNY"})
    aep = fields.String(required=True, metadata=_AMOUNT | {"description": "Sum of a year (PML), CNY"})
    aep_interval = fields.List(fields.String(), required=True, metadata={"description": "95 % of sampling, CNY"})
    tvar = fields.String(required=True, metadata=_AMOUNT | {"description": "Mean of the sums beyond, CNY"})
    occurrence_tvar = fields.String(required=True, metadata=_AMOUNT | {"description": "Mean of the events beyond, CNY"})


class MetricSchema(Base):
    """What the years say of the book, or of a part of it."""

    of = fields.String(required=True, metadata={"enum": ["all", *DIMENSIONS, *PARTS]})
    name = fields.String(required=True)
    aal = fields.String(required=True, metadata=_AMOUNT)
    aal_interval = fields.List(fields.String(), required=True, metadata={"description": "95 % of sampling, CNY"})
    sd = fields.String(required=True, metadata=_AMOUNT)
    return_periods = fields.List(fields.Nested(PeriodSchema()), required=True)


class SheetSchema(Base):
    """What falls on the three balance sheets, CNY."""

    insurer = fields.String(required=True, metadata=_AMOUNT)
    paid_to_bank = fields.String(required=True, metadata=_AMOUNT)
    bank_exposure = fields.String(required=True, metadata=_AMOUNT | {"description": "Owed by those hit, after it, CNY"})
    guarantor = fields.String(required=True, metadata=_AMOUNT | {"description": "Expected call, CNY"})
    bank = fields.String(required=True, metadata=_AMOUNT | {"description": "Expected to stay with the bank, CNY"})


class TogetherSchema(SheetSchema):
    """Means over the insurer's worst years."""

    return_period = fields.Float(required=True)
    thin = fields.Boolean(required=True)


class EventSchema(SheetSchema):
    """One event."""

    event = fields.String(required=True)
    year = fields.Integer(required=True)
    peril = fields.String(required=True)


class BalanceSheetsResponse(Base):
    """One event, three balance sheets: what falls together, and what is assumed."""

    accumulation = fields.UUID(required=True)
    mean = fields.Nested(SheetSchema(), required=True)
    worst_years_of_the_insurer = fields.List(fields.Nested(TogetherSchema()), required=True)
    worst_events = fields.List(fields.Nested(EventSchema()), required=True)
    assumed = fields.List(fields.String(), required=True)


class PictureQuery(Base):
    """Which picture."""

    of = fields.String(load_default="exceedance", validate=validate.OneOf(PICTURES))


class ExchangeQuery(Base):
    """Which table: what is exposed (OED), or what a run says of it (ORD)."""

    table = fields.String(load_default="oed_location", validate=validate.OneOf(tuple(TABLES)))


class AccumulationItem(Base):
    """A run over the book as it stood on a day."""

    id = fields.UUID(required=True)
    on = fields.Date(required=True)
    seed = fields.Integer(required=True)
    years = fields.Integer(required=True)
    policies = fields.Integer(required=True)
    forests = fields.Integer(required=True)
    sum_insured = Money(required=True)
    book_digest = fields.String(required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)
    result_digest = fields.String(
        required=True, allow_none=True,
        metadata={"description": "Of all years; the same for the same book, parameters, years and seed"},
    )  # fmt: skip
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


class AccumulationResponse(AccumulationItem):
    """A run, and what its years say once all are there."""

    metrics = fields.List(fields.Nested(MetricSchema()), required=True, allow_none=True)

"""Footprints, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.footprints import ACTIVITIES, KINDS, MODES
from services.sink.schemas.common import tonnes
from shared.fields import Base, Moment, Names, PageQuery, Quantity, Text, Whole


def _quantities() -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=validate.OneOf(ACTIVITIES)),
        values=Quantity(places=3, minimum="0.001", maximum="1000000000"),
        load_default=dict,
    )


class JourneySchema(Base):
    """A party that travels the same way, `trips` times the distance: there and back if not said.

    Where the mode is car, `travellers` are cars.
    """

    mode = fields.String(required=True, validate=validate.OneOf(MODES))
    travellers = Whole(required=True, minimum=1, maximum=1_000_000)
    distance_km = Quantity(places=1, minimum="0.1", maximum="20000", required=True)
    trips = Whole(load_default=2, minimum=1, maximum=10_000)


class FootprintRequest(Base):
    """What an event, an organisation or a person does: at least one journey or activity.

    Quantities are in kWh, GJ, m3 of gas, kg of coal, paper and waste, litres, room nights, meals and days of food.
    A person's home goes into `household` with the number of those who live there.
    """

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = Text(max_length=120, required=True)
    period_from = fields.Date(required=True)
    period_until = fields.Date(required=True)
    journeys = fields.List(fields.Nested(JourneySchema()), load_default=list, validate=validate.Length(max=200))
    activities = _quantities()
    household = _quantities()
    household_size = Whole(load_default=None, allow_none=True, minimum=1, maximum=50)


class LineSchema(Base):
    """One activity, its emission factor and what it comes to."""

    part = fields.String(required=True, metadata={"enum": ["travel", "activity", "household"]})
    activity = fields.String(required=True)
    quantity = fields.String(required=True)
    unit = fields.String(required=True)
    factor = fields.String(required=True)
    factor_unit = fields.String(required=True)
    tonnes = fields.String(required=True)
    source = fields.String(required=True)
    verified = fields.String(required=True, metadata={"enum": ["read", "secondary", "no"]})


class FootprintResponse(Base):
    """An estimate, with all it rests on."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    period_from = fields.Date(required=True)
    period_until = fields.Date(required=True)
    inputs = fields.Dict(required=True)
    lines = fields.List(fields.Nested(LineSchema()), required=True)
    tonnes = tonnes(required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    estimated_at = Moment(required=True)


class FootprintQuery(PageQuery):
    """Footprints of which kind."""

    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))

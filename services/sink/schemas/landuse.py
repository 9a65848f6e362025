"""Forest land taken, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.parameters import COUNTIES
from services.sink.schemas.assets import SpeciesShareSchema
from services.sink.schemas.common import share, tonnes
from shared.fields import Base, Moment, Money, Names, Quantity, Text, Versioned, Whole


class LandUseRequest(Base):
    """A project that takes forest land: either a stand, or a part of a forest in the caller's register."""

    procedure = Text(max_length=64, required=True)
    project = Text(max_length=120, required=True)
    payer = Text(max_length=120, required=True)
    forest_owner = Text(max_length=120, required=True)
    county = fields.String(required=True, validate=validate.OneOf(COUNTIES))
    area_ha = Quantity(places=4, minimum="0.0001", maximum="50000", required=True)
    asset_id = fields.UUID(load_default=None, allow_none=True)
    species = fields.List(fields.Nested(SpeciesShareSchema()), load_default=list, validate=validate.Length(max=9))
    planted_year = Whole(load_default=None, allow_none=True, minimum=1900, maximum=2200)
    survival = share(load_default=None, allow_none=True)
    volume_m3_ha = Quantity(places=3, maximum="1000", load_default=None, allow_none=True)
    crown_cover = share(load_default=None, allow_none=True)


class LandUseWithdrawalRequest(Base):
    """Why the project takes no land after all."""

    reason = Text(max_length=200, min_length=3, required=True)


class LandUseResponse(Versioned):
    """What a project owes: the state's and the owner's part add up to the fee, to the fen."""

    procedure = fields.String(required=True)
    project = fields.String(required=True)
    payer = fields.String(required=True)
    forest_owner = fields.String(required=True)
    county = fields.String(required=True)
    area_ha = Quantity(places=4, required=True)
    stand = fields.Dict(required=True)
    stock_tonnes = tonnes(required=True)
    stock_value = Money(required=True)
    yearly_service_value = Money(required=True)
    service_years = fields.Integer(required=True)
    unit_price = Money(required=True)
    equal_tonnes = tonnes(required=True)
    fee = Money(required=True)
    split = fields.Dict(required=True, metadata={"description": "Shares in ten-thousandths"})
    state_amount = Money(required=True)
    owner_amount = Money(required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    state = fields.String(required=True, metadata={"enum": ["assessed", "paid", "discharged", "withdrawn"]})
    payment_reference = fields.String(required=True, allow_none=True)
    certificate_code = fields.String(required=True, allow_none=True)
    assessed_at = Moment(required=True)
    paid_at = Moment(required=True, allow_none=True)
    discharged_at = Moment(required=True, allow_none=True)

"""Reinsurance programmes: what is agreed, and who agreed."""

from decimal import Decimal

from marshmallow import fields, validate

from services.insurance.accumulation.reinsurance import KINDS, RISKS
from services.insurance.schemas.prices import INSURED_PERILS
from shared.fields import Amount, Base, Flag, Moment, Quantity, Text, Versioned, Whole


def _amount(**more: str) -> Amount:
    return Amount(minimum="0.00", load_default=Decimal("0.00"), metadata=more)


class ContractSchema(Base):
    """One contract; amounts in CNY, a limit of 0.00 is none. Shares bite first, the placed share last."""

    name = Text(max_length=64, required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    order = Whole(minimum=1, maximum=20, load_default=1, metadata={"description": "Applies on what earlier ones left"})
    risk = fields.String(load_default="all", validate=validate.OneOf(RISKS))
    ceded_share = Quantity(places=8, minimum="0.00000001", maximum="1", load_default=Decimal("1"))
    placed_share = Quantity(places=8, minimum="0.00000001", maximum="1", load_default=Decimal("1"))
    risk_attachment = _amount()
    risk_limit = _amount()
    attachment = _amount(description="Of an event; of a stop loss, of the year")
    limit = _amount(description="Of an event; of a stop loss, of the year")
    retained_line = _amount(description="Of a surplus: what is kept of each risk")
    lines = Quantity(places=2, maximum="1000", load_default=Decimal("0"))
    annual_deductible = _amount(description="Recoveries of a year count once they exceed it")
    reinstatements = Whole(minimum=0, maximum=100, load_default=None, allow_none=True)
    reinstatement_rate = Quantity(places=8, maximum="10", load_default=Decimal("0"))
    premium = _amount()
    perils = fields.List(
        fields.String(validate=validate.OneOf(INSURED_PERILS)), load_default=list, validate=validate.Length(max=6)
    )


class ContractShown(Base):
    """One contract as it was agreed."""

    name = fields.String(required=True)
    kind = fields.String(required=True)
    order = fields.Integer(required=True)
    risk = fields.String(required=True)
    ceded_share = fields.String(required=True)
    placed_share = fields.String(required=True)
    risk_attachment = fields.String(required=True)
    risk_limit = fields.String(required=True)
    attachment = fields.String(required=True)
    limit = fields.String(required=True)
    retained_line = fields.String(required=True)
    lines = fields.String(required=True)
    annual_deductible = fields.String(required=True)
    reinstatements = fields.Integer(required=True, allow_none=True)
    reinstatement_rate = fields.String(required=True)
    premium = fields.String(required=True)
    perils = fields.List(fields.String(), required=True)


class ProgrammeRequest(Base):
    """Contracts in force from a day until the next approved programme."""

    name = Text(max_length=100, required=True)
    starts_on = fields.Date(required=True)
    contracts = fields.List(fields.Nested(ContractSchema()), required=True, validate=validate.Length(min=1, max=20))


class ProgrammeDecisionRequest(Base):
    """A second person's word on exactly what was proposed."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))
    approve = Flag(required=True)


class ProgrammeResponse(Versioned):
    """A programme, and who agreed to it."""

    name = fields.String(required=True)
    starts_on = fields.Date(required=True)
    contracts = fields.List(fields.Nested(ContractShown()), required=True)
    state = fields.String(required=True, metadata={"enum": ["proposed", "approved", "rejected"]})
    payload_hash = fields.String(required=True)
    proposed_by = fields.String(required=True)
    decided_by = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    decided_at = Moment(required=True, allow_none=True)

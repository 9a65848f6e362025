"""Price curves, over HTTP."""

from decimal import Decimal

from marshmallow import fields, validate

from shared.fields import Base, Moment, Money, Quantity, Text, Versioned


class PriceCurveRequest(Base):
    """A market: the price today, where it tends to and how fast, how much it moves. Reversion 0 is a random walk."""

    name = Text(max_length=64, required=True)
    spot_price = Money(required=True, maximum="100000.00")
    long_run_price = Money(required=True, maximum="100000.00")
    reversion = Quantity(places=6, maximum="10", required=True)
    volatility = Quantity(places=6, maximum="3", required=True)
    drift = Quantity(places=6, minimum="-1", maximum="1", load_default=Decimal(0))
    source = Text(max_length=300, required=True)


class PriceCurveResponse(Versioned):
    """A price curve; a second person approves its `payload_hash`."""

    registrar = fields.String(required=True)
    name = fields.String(required=True)
    spot_price = Money(required=True)
    long_run_price = Money(required=True)
    reversion = Quantity(places=6, required=True)
    volatility = Quantity(places=6, required=True)
    drift = Quantity(places=6, minimum=None, required=True)
    source = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": ["proposed", "approved", "rejected"]})
    payload_hash = fields.String(required=True)
    proposed_by = fields.String(required=True)
    decided_by = fields.String(required=True, allow_none=True)
    proposed_at = Moment(required=True)
    approved_at = Moment(required=True, allow_none=True)
    job_id = fields.UUID(required=True, allow_none=True)


class ApprovalRequest(Base):
    """A second person's decision on exactly what the hash names."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"\A[0-9a-f]{64}\Z"))
    approve = fields.Boolean(required=True, truthy={True}, falsy={False})

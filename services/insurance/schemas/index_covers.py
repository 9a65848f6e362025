"""Index covers and observations: what is asked for, what is shown before the sale, what an observation set off."""

from marshmallow import fields, validate

from services.insurance.actions.index_covers import SOLD
from services.insurance.schemas.common import StepSchema
from services.insurance.schemas.prices import BasisRiskSchema
from shared.fields import Base, Moment, Money, Names, PageQuery, Quantity, Text, Versioned, Whole

INDEX_COVER_STATES = ["quoted", "in_force", "ended"]
OUTCOMES = ["below", "paid", "paid_before", "overpaid", "late"]
_CODE = validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z", error="A code of letters, digits and _ . : -")


class IndexCoverQuery(PageQuery):
    """Which index covers."""

    state = fields.String(validate=validate.OneOf(INDEX_COVER_STATES), load_default=None)
    policy_id = fields.UUID(load_default=None)
    asset_id = fields.UUID(load_default=None)


class IndexCoverRequest(Base):
    """An index cover of one forest beside its policy; the policy says whom it pays."""

    policy_id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(SOLD))
    limit = Money(required=True, metadata={"description": "Of the whole time of cover, a year at most"})
    source = fields.String(
        required=True, validate=_CODE, metadata={"description": "Whose observations settle it; `register` is the sink"}
    )
    target_t = Quantity(
        places=3, minimum="0.001", maximum="1000000000", load_default=None,
        metadata={"description": "Tonnes that should stand; the pledged ones if not given"},
    )  # fmt: skip
    unit_price = Money(load_default=None, maximum="100000.00", metadata={"description": "Agreed, for a tonne"})


class IndexBindingRequest(Base):
    """The hash of exactly what was shown: terms, premium and basis risk."""

    price_hash = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))


class IndexTriggerSchema(Base):
    """What an observation meant for a cover."""

    index_cover_id = fields.UUID(required=True)
    observation_id = fields.UUID(required=True)
    index = Quantity(places=8, required=True, metadata={"description": "After this observation"})
    threshold = Quantity(places=8, required=True)
    outcome = fields.String(required=True, metadata={"enum": OUTCOMES})
    owed = Money(required=True, metadata={"description": "In all, by the index as it stands"})
    paid_before = Money(required=True)
    paid = Money(required=True)
    claim_id = fields.UUID(required=True, allow_none=True)
    explanation = fields.List(fields.Nested(StepSchema()), required=True)
    made_at = Moment(required=True)


class IndexCoverResponse(Versioned):
    """An index cover: what it insures, what it costs, how badly it misses, and what it has paid."""

    policy_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    asset_id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": list(SOLD)})
    state = fields.String(required=True, metadata={"enum": INDEX_COVER_STATES})
    limit = Money(required=True, attribute="most")
    paid = Money(required=True)
    annual_premium = Money(required=True)
    premium = Money(required=True, metadata={"description": "For the days of cover"})
    expected_payout = Money(required=True)
    expected_loss = Money(required=True)
    terms = fields.Dict(keys=fields.String(), required=True)
    quantity = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    basis_risk = fields.Nested(BasisRiskSchema(), required=True)
    price_hash = fields.String(required=True)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True, metadata={"description": "The first day without cover"})
    quoted_at = Moment(required=True)
    expires_at = Moment(required=True)
    bound_at = Moment(required=True, allow_none=True)
    bound_by = fields.String(required=True, allow_none=True)
    triggers = fields.List(fields.Nested(IndexTriggerSchema()), required=True)
    explanation = fields.List(fields.Nested(StepSchema()), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)


class ObservationQuery(PageQuery):
    """Which observations."""

    asset_id = fields.UUID(load_default=None)
    kind = fields.String(validate=validate.OneOf(SOLD), load_default=None)


class ObservationRequest(Base):
    """What a source measured of a forest; the same name with another number is another revision."""

    asset_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(SOLD))
    source = fields.String(required=True, validate=_CODE)
    name = fields.String(required=True, validate=_CODE)
    revision = Whole(minimum=1, maximum=10_000, load_default=1)
    observed_on = fields.Date(required=True)
    reading = Quantity(
        places=8, maximum="999999999", required=True,
        metadata={"description": "Damaged share; tonnes that stand; tonnes lost; by the kind of cover"},
    )  # fmt: skip


class ObservationResponse(Base):
    """An observation as it was delivered, and what it meant for each cover."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": list(SOLD)})
    source = Text(required=True)
    name = Text(required=True)
    revision = fields.Integer(required=True)
    observed_on = fields.Date(required=True)
    reading = Quantity(places=8, required=True)
    arrived_at = Moment(required=True)
    arrived_by = fields.String(required=True)
    triggers = fields.List(fields.Nested(IndexTriggerSchema()), required=True)

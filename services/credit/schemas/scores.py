"""A score: what is asked and what is answered."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.credit.schemas.common import CODE, Flag, money, rate
from shared.fields import Base, Money, Names, Quantity, ReasonSchema, Whole

#: Who borrows. A machine may not have the last word on a natural person.
BORROWER_KINDS = ("enterprise", "individual_business", "cooperative", "collective", "natural_person")


REPAYMENTS = ("equal_principal", "equal_instalment", "interest_only", "issuance_matched")


INDUSTRY = validate.Regexp(r"[0-9]{3,4}\Z", error="A group or class of GB/T 4754: three or four digits.")


class AssetRequest(Base):
    """A forest to be pledged, and how many tonnes of it."""

    asset_id = fields.UUID(required=True)
    tonnes = Quantity(places=3, minimum="0.001", required=True)


class ScoreRequest(Base):
    """What a score needs: the borrower's features, the loan, the forests behind it if they are known yet."""

    borrower_kind = fields.String(required=True, validate=validate.OneOf(BORROWER_KINDS))
    industry = fields.String(
        required=True,
        validate=INDUSTRY,
        metadata={"description": "Group or class of GB/T 4754", "example": "022"},
    )
    employees = Whole(minimum=0, maximum=1_000_000, allow_none=True, load_default=None)
    new_business = Flag(allow_none=True, load_default=None)
    revolving = Flag(load_default=False)
    low_doc = Flag(load_default=False, metadata={"description": "Kept on file; the present card does not read it"})
    amount = Money(required=True, minimum="1000.00")
    term_months = Whole(required=True, minimum=1, maximum=360)
    guaranteed_share = Quantity(places=4, maximum="1", allow_none=True, load_default=None)
    verifier = fields.String(
        load_default=None,
        allow_none=True,
        validate=CODE,
        metadata={"description": "Who verified the carbon; asked for where issued units are pledged"},
    )
    assets = fields.List(fields.Nested(AssetRequest()), load_default=list, validate=validate.Length(max=50))

    @validates_schema(skip_on_field_errors=True)
    def refuse_twice(self, data: dict[str, Any], **_: Any) -> None:
        """An asset stands once in a loan."""
        ids = [asset["asset_id"] for asset in data["assets"]]
        if len(set(ids)) != len(ids):
            raise ValidationError("An asset stands here twice.", "assets")


class ModelResponse(Base):
    """Which card scored, and what it may not be used for."""

    name = fields.String(required=True)
    version = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    origin = fields.String(
        required=True,
        metadata={
            "enum": ["register", "shipped"],
            "description": "shipped: the bank has promoted none, so the card that came with the program decides",
        },
    )
    note = fields.String(required=True)


class ScoreResponse(Base):
    """A what-if: nothing of it is kept."""

    outcome = fields.String(required=True, metadata={"enum": ["approve", "refer", "decline"]})
    score = fields.Integer(required=True)
    points = fields.Dict(keys=fields.String(), values=fields.Float(), required=True)
    default_probability = rate(required=True, metadata={"description": "Yearly, over fire and no fire"})
    default_probability_low = rate(required=True)
    default_probability_high = rate(required=True)
    loan_to_value = fields.Dict(
        keys=fields.String(), values=rate(), required=True, allow_none=True, metadata={"description": "By quantile"}
    )
    pledge_rate = rate(required=True)
    value = money(required=True, metadata={"description": "Counted for the pledge, after haircuts"})
    maximum_amount = money(required=True, metadata={"description": "The largest loan this pledge carries"})
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    watch = fields.List(
        fields.Nested(ReasonSchema()), required=True, metadata={"description": "Within a limit, but close to it"}
    )
    flags = Names(required=True)
    model = fields.Nested(ModelResponse(), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)

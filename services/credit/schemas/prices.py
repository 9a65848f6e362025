"""A price, figure by figure."""

from marshmallow import fields

from shared.fields import Base


class FigureResponse(Base):
    """One figure of a price: the equation it comes from and the coefficients it read."""

    name = fields.String(required=True)
    value = fields.Raw(required=True, allow_none=True, metadata={"description": "A number, or numbers by leg"})
    unit = fields.String(required=True)
    equation = fields.String(required=True, metadata={"description": "Number in docs/equations/credit.md"})
    says = fields.String(required=True)
    parameters = fields.List(
        fields.Dict(), required=True, metadata={"description": "Name, value, from, source, verified"}
    )


class PriceResponse(Base):
    """The price of the latest decision, each figure with where it comes from."""

    decision_id = fields.UUID(required=True)
    kind = fields.String(required=True)
    figures = fields.List(fields.Nested(FigureResponse()), required=True)

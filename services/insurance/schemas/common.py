"""Fields that several nouns share."""

from marshmallow import fields

from shared.fields import Base


class StepSchema(Base):
    """One step of a computation, so that it can be checked by hand."""

    equation = fields.String(required=True, metadata={"description": "Number in docs/equations/insurance.md, or empty"})
    name = fields.String(required=True)
    of = fields.String(required=True, metadata={"description": "The forest, and the peril where there is one"})
    inputs = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    result = fields.String(required=True)

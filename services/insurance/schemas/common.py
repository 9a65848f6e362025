"""Fields that several nouns share."""

from typing import Any

from marshmallow import fields

from shared.fields import Base


class Texts(fields.Dict):
    """Texts of our own by name, written as they are: what explains a price is many of them."""

    def __init__(self, **more: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(), **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class StepSchema(Base):
    """One step of a computation, so that it can be checked by hand."""

    equation = fields.String(required=True, metadata={"description": "Number in docs/equations/insurance.md, or empty"})
    name = fields.String(required=True)
    of = fields.String(required=True, metadata={"description": "The forest, and the peril where there is one"})
    inputs = Texts(required=True)
    result = fields.String(required=True)

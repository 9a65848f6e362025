"""Documents of an application, and the income of its carbon."""

from marshmallow import fields, validate

from services.credit.schemas.common import HASH, money
from services.credit.tables.parties import DOCUMENT_KINDS
from shared.fields import Base, Moment, Quantity, Text, Whole


class LoanDocumentRequest(Base):
    """A document that was seen; the file itself is not taken."""

    name = Text(required=True, max_length=200)
    kind = fields.String(required=True, validate=validate.OneOf(DOCUMENT_KINDS))
    sha256 = fields.String(required=True, validate=HASH, metadata={"description": "Of the file's bytes"})
    size = Whole(required=True, minimum=1, maximum=10_000_000_000, metadata={"description": "Bytes"})


class LoanDocumentResponse(Base):
    """A document on a loan's file."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True, allow_none=True, metadata={"description": "In lists only; null once erased"})
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)
    registered_by = fields.String(required=True)
    registered_at = Moment(required=True)
    also_on = fields.List(fields.UUID(), required=True, metadata={"description": "Other loans with the same bytes"})


class LoanDocumentsResponse(Base):
    """The documents of a loan, oldest first."""

    items = fields.List(fields.Nested(LoanDocumentResponse()), required=True)


class IssuanceResponse(Base):
    """What one forest is expected to bring on one day."""

    asset_id = fields.UUID(required=True)
    on = fields.Date(required=True)
    tonnes = Quantity(places=3, required=True, metadata={"description": "Of the pledged part"})
    price = money(required=True, metadata={"description": "Spot price of a tonne; the curve is not known here"})
    income = money(required=True)
    low_income = money(required=True, metadata={"description": "At the tenth percentile of the tonnes"})
    within_term = fields.Boolean(required=True)


class CarbonIncomeResponse(Base):
    """The income schedule of the pledged carbon, oldest first."""

    items = fields.List(fields.Nested(IssuanceResponse()), required=True)
    income_within_term = money(required=True)
    low_income_within_term = money(required=True)

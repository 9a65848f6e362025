"""Many prices at once: how a file is taken, and how far it has come."""

from marshmallow import fields, validate

from shared.fields import Base, Moment, Names, Whole
from shared.spreadsheets import CHARSETS, FORMATS


class SpreadsheetQuery(Base):
    """Which kind of file."""

    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))


class PricingFileQuery(SpreadsheetQuery):
    """How to take a file."""

    charset = fields.String(
        load_default="utf-8",
        validate=validate.OneOf(CHARSETS),
        metadata={"description": "Of a CSV file. It is never guessed."},
    )


class RepricingRequest(Base):
    """Which day's rates to price the book on."""

    on = fields.Date(load_default=None, metadata={"description": "Today's if not given"})


class RenewalsRequest(Base):
    """Which policies of the book are renewed, and for how long."""

    expiring_by = fields.Date(required=True)
    months = Whole(required=True, minimum=1, maximum=120)


class BulkPricingResponse(Base):
    """How far a file, or the book, has come, and what came of it in all."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": ["file", "book", "renewal"]})
    rows = fields.Integer(required=True)
    priced = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)
    summary = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, allow_none=True,
        metadata={"description": "Totals in CNY; of a book also how the changes of its premiums are distributed"},
    )  # fmt: skip
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)

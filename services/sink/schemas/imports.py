"""Files of parcels on their way into the register, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.files import FORMATS
from shared.fields import Base, Moment
from shared.spreadsheets import CHARSETS


class TemplateQuery(Base):
    """Which template."""

    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))


class FileQuery(Base):
    """How the file is to be read, and whether it is only to be checked."""

    format = fields.String(required=True, validate=validate.OneOf(FORMATS))
    charset = fields.String(
        load_default="utf-8",
        validate=validate.OneOf(CHARSETS),
        metadata={"description": "Of a CSV file. It is never guessed."},
    )
    dry_run = fields.String(
        load_default="false",
        validate=validate.OneOf(["true", "false"]),
        metadata={"description": "The job judges every row as if it went in, and registers nothing"},
    )


class ImportResponse(Base):
    """An import, by the id of its job."""

    id = fields.UUID(required=True)
    format = fields.String(required=True, metadata={"enum": ["rows", *FORMATS]})
    charset = fields.String(required=True)
    dry_run = fields.Boolean(required=True)
    size = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    registered = fields.Integer(
        required=True, metadata={"description": "Rows that went in, or would have in a dry run"}
    )
    known = fields.Integer(
        required=True, metadata={"description": "Rows whose reference stands for the same ground in the register"}
    )
    refused = fields.Integer(required=True, metadata={"description": "Rows that could not go in"})
    errors = fields.Integer(
        required=True, metadata={"description": "What was wrong with them; the first 10,000 are kept"}
    )
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


class ImportErrorResponse(Base):
    """What is wrong with a row; a table's header is row 1, the first feature or JSON row is 1."""

    row = fields.Integer(required=True)
    field = fields.String(required=True, metadata={"description": "JSON Pointer into the row, empty for all of it"})
    message = fields.String(required=True)

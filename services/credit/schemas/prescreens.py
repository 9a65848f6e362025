"""Pre-screening: a row of a file, and how far a file has come."""

from typing import Any

from marshmallow import ValidationError, fields, validate

from services.credit.actions.prescreens import reference_fault
from services.credit.schemas.scores import ScoreRequest
from shared.fields import Base, Moment, Text, faults
from shared.spreadsheets import CHARSETS, FORMATS


def _no_person(reference: str) -> None:
    fault = reference_fault(reference)
    if fault is not None:
        raise ValidationError(fault)


class PrescreenRow(ScoreRequest):
    """A would-be application: a what-if with the bank's own reference."""

    reference = Text(
        required=True,
        max_length=64,
        checks=[
            validate.Regexp(r"[0-9A-Za-z][0-9A-Za-z._/-]{2,63}\Z", error="A file number, never a name."),
            _no_person,
        ],
    )


class SpreadsheetQuery(Base):
    """Which kind of file."""

    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))


class PrescreenQuery(SpreadsheetQuery):
    """How to take a file."""

    charset = fields.String(
        load_default="utf-8",
        validate=validate.OneOf(CHARSETS),
        metadata={"description": "Of a CSV file. It is never guessed."},
    )
    dry_run = fields.String(
        load_default="false",
        validate=validate.OneOf(["true", "false"]),
        metadata={"description": "Check the rows and score none"},
    )


class PrescreenResponse(Base):
    """How far the screening of a file has come."""

    id = fields.UUID(required=True)
    dry_run = fields.Boolean(required=True)
    rows = fields.Integer(required=True)
    screened = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    approved = fields.Integer(required=True)
    referred = fields.Integer(required=True)
    declined = fields.Integer(required=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


ROW = PrescreenRow()


def read_row(request: Any) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """A row as the request of a what-if, or what is wrong with it."""
    try:
        read: dict[str, Any] = ROW.load(request)
        return read, []
    except ValidationError as error:
        # A row has one forest at most, so its columns say where without a number.
        return None, [(where.removeprefix("/assets/0"), told) for where, told in faults(error.messages)]

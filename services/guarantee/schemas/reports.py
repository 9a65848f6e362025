"""The report for regulator and board."""

from marshmallow import fields, validate

from services.guarantee.actions.reports import ROWS
from shared.fields import Base, Moment, Names, PageQuery, Query, page_of
from shared.spreadsheets import FORMATS

#: A number as a figure's unit has it: CNY with fen, t with kg, loans whole, ratios with six decimals.
_NUMBER = {"pattern": r"^-?[0-9]+(\.[0-9]+)?$", "example": "11.500000"}


class ReportQuery(Query):
    """In which form."""

    format = fields.String(
        validate=validate.OneOf(FORMATS), load_default=None, metadata={"description": "A file; JSON if not given"}
    )


class FigureSchema(Base):
    """One number with its rule, what it rests on, and the same number counted anew."""

    name = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    unit = fields.String(required=True, metadata={"enum": ["CNY", "t", "-", "loans"]})
    key = fields.String(required=True, metadata={"description": "The obligor or county it is about, if any"})
    value = fields.String(required=True, allow_none=True, metadata=_NUMBER)
    limit = fields.String(required=True, allow_none=True, metadata=_NUMBER)
    limit_is = fields.String(required=True, allow_none=True, metadata={"enum": ["most", "least", None]})
    headroom = fields.String(required=True, allow_none=True, metadata=_NUMBER)
    anew = fields.String(required=True, allow_none=True, metadata=_NUMBER)
    difference = fields.String(required=True, allow_none=True, metadata=_NUMBER)
    rule = fields.String(required=True, metadata={"description": "The equation's number; none for what a request said"})
    source = fields.String(required=True)
    verified = fields.String(required=True)
    parameters = Names(required=True, metadata={"description": "Coefficients, since when, and where from"})
    parameters_hash = fields.String(required=True)
    rows = fields.Integer(required=True)
    rows_of = Names(required=True, metadata={"description": "Under which names its rows are listed"})


class DifferenceSchema(Base):
    """Where what is kept and what was counted anew part."""

    what = fields.String(required=True)
    key = fields.String(required=True)
    kept = fields.String(required=True, metadata=_NUMBER)
    anew = fields.String(required=True, metadata=_NUMBER)
    difference = fields.String(required=True, metadata=_NUMBER)


class ReconciliationSchema(Base):
    """Two counts side by side: every limit, and every figure that can be counted twice."""

    agrees = fields.Boolean(required=True)
    compared = fields.Integer(required=True)
    differences = fields.Integer(required=True)
    first = fields.List(fields.Nested(DifferenceSchema()), required=True)


class ReportResponse(Base):
    """A guarantor's report as of now."""

    at = Moment(required=True)
    guarantor = fields.String(required=True)
    profile_version = fields.Integer(required=True)
    leverage_class = fields.Integer(required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    figures = fields.List(fields.Nested(FigureSchema()), required=True)
    reconciliation = fields.Nested(ReconciliationSchema(), required=True)
    missing = Names(required=True, metadata={"description": "What such a report should hold and is not known here"})


class RowQuery(PageQuery):
    """Whose rows."""

    figure = fields.String(required=True, validate=validate.OneOf(list(ROWS)))


class RowSchema(Base):
    """One row behind a figure; those of a figure sum to it."""

    kind = fields.String(
        required=True, metadata={"enum": ["call", "guarantee", "journal_row", "recovery", "reservation"]}
    )
    id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True, allow_none=True)
    value = fields.String(required=True, metadata=_NUMBER)


ROW_PAGE = page_of(RowSchema(), "ReportRowPage")

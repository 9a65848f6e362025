"""The watch over live loans: tests of covenants, classes, warnings, the book, stress."""

from marshmallow import fields, validate

from services.credit.schemas.common import money, rate
from shared.fields import Base, Moment, Quantity, ReasonSchema, Text


class CovenantEntry(Base):
    """One covenant as last tested."""

    covenant = fields.String(
        required=True,
        metadata={
            "enum": ["loan_to_value", "valuation_fresh", "insurance", "guarantee", "pledge", "debt_service_cover"]
        },
    )
    value = fields.String(required=True, allow_none=True)
    limit = fields.String(required=True)
    verdict = fields.String(required=True, metadata={"enum": ["kept", "broken", "unknown", "not tested"]})


class TestEntry(Base):
    """One test, as it was made."""

    id = fields.UUID(required=True)
    at = Moment(required=True)
    cause = fields.String(required=True)
    verdict = fields.String(required=True)
    broken = fields.List(fields.String(), required=True)
    balance = money(required=True)
    quantile = fields.String(required=True)
    value = money(required=True)
    loan_to_value = rate(required=True)
    limit_loan_to_value = rate(required=True)
    shortfall = money(required=True)
    fresh_until = fields.Date(required=True, allow_none=True)
    cover_state = fields.String(required=True)
    cover_until = fields.Date(required=True, allow_none=True)
    guarantee_state = fields.String(required=True)
    debt_service_cover = rate(required=True)
    debt_service_year = fields.Integer(required=True, allow_none=True)
    pledges = fields.List(fields.Dict(), required=True)
    coefficients = fields.String(required=True, metadata={"description": "SHA-256 of the coefficients"})


class CovenantTestsResponse(Base):
    """The covenants of a loan, and at most a hundred tests, newest first."""

    loan_id = fields.UUID(required=True)
    items = fields.List(fields.Nested(CovenantEntry()), required=True)
    cure_cash = money(required=True, metadata={"description": "Money that brings the loan to its cure level"})
    cure_pledge_value = money(
        required=True, metadata={"description": "Or further pledges of this value, after haircuts; unknown: null"}
    )
    tests = fields.List(fields.Nested(TestEntry()), required=True)


class ClassEntry(Base):
    """A class that a loan passed into."""

    at = Moment(required=True)
    actor = fields.String(required=True)
    days_past_due = fields.Integer(required=True)
    bucket = fields.String(required=True)
    stage = fields.Integer(required=True, metadata={"description": "IFRS 9"})
    five_class = fields.String(required=True)
    grounds = fields.List(fields.String(), required=True)
    exposure = money(required=True)
    origin_probability = rate(required=True)
    default_probability = rate(required=True)
    loss_given_default = rate(required=True)
    expected_loss = money(required=True, metadata={"description": "12 months in stage 1, else over the life"})
    coefficients = fields.String(required=True)


class ClassesResponse(Base):
    """Every class a loan passed through, oldest first."""

    items = fields.List(fields.Nested(ClassEntry()), required=True)


class WarningsQuery(Base):
    """How many warnings to show."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class WarningEntry(Base):
    """A loan that needs a look."""

    loan_id = fields.UUID(required=True)
    state = fields.String(required=True)
    balance = money(required=True)
    loan_to_value = rate(required=True)
    margin_call_loan_to_value = rate(required=True)
    shortfall = money(required=True, metadata={"description": "The way back to the cure level"})
    fresh_until = fields.Date(required=True, allow_none=True)
    cover_until = fields.Date(required=True, allow_none=True)
    days_past_due = fields.Integer(required=True)
    stage = fields.Integer(required=True)
    cure_by = Moment(required=True, allow_none=True)
    at_risk = money(required=True)
    grounds = fields.List(fields.Nested(ReasonSchema()), required=True)


class GroundEntry(Base):
    """How many loans have a ground of warning."""

    ground = fields.String(required=True)
    loans = fields.Integer(required=True)


class WarningsResponse(Base):
    """Warnings, the most money at risk first, and how many there are in all."""

    loans = fields.Integer(required=True)
    at_risk = money(required=True)
    by_ground = fields.List(fields.Nested(GroundEntry()), required=True)
    items = fields.List(fields.Nested(WarningEntry()), required=True)


class LevelEntry(Base):
    """Loans between two levels of loan to value; of those whose ratio is not known there are no levels."""

    known = fields.Boolean(required=True)
    above = rate(required=True)
    to = rate(required=True)
    loans = fields.Integer(required=True)
    balance = money(required=True)


class ConcentrationEntry(Base):
    """How much of the book stands in one place or on one party."""

    dimension = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    loans = fields.Integer(required=True)
    balance = money(required=True)
    share = rate(required=True)
    cap = rate(required=True)


class StageEntry(Base):
    """Loans of one stage, class and bucket; `loss_unknown` counts those whose expected loss is not known."""

    stage = fields.Integer(required=True, allow_none=True)
    five_class = fields.String(required=True, allow_none=True)
    bucket = fields.String(required=True, allow_none=True)
    loans = fields.Integer(required=True)
    balance = money(required=True)
    expected_loss = money(required=True)
    loss_unknown = fields.Integer(required=True)


class PortfolioResponse(Base):
    """What the book of loans that are out is made of."""

    loans = fields.Integer(required=True)
    balance = money(required=True)
    called = fields.Integer(required=True)
    shortfall = money(required=True)
    loan_to_value = fields.List(fields.Nested(LevelEntry()), required=True)
    concentrations = fields.List(fields.Nested(ConcentrationEntry()), required=True)
    classes = fields.List(fields.Nested(StageEntry()), required=True)


class StressRequest(Base):
    """A carbon price that moves, a county that burns, or both."""

    price_change = Quantity(
        places=4, minimum="-1", maximum="10", required=True, metadata={"description": "-0.35: falls by 35 %"}
    )
    burnt_county = Text(load_default=None, allow_none=True, max_length=64)
    fire_loss = Quantity(
        places=4,
        minimum="0",
        maximum="1",
        load_default=None,
        allow_none=True,
        metadata={"description": "Share of its carbon value that a burnt forest loses; that of policy if not given"},
    )


class StressSide(Base):
    """The book before or after."""

    broken = fields.Integer(required=True)
    shortfall = money(required=True)
    uncovered = money(required=True, metadata={"description": "Owed beyond the value of the pledges"})
    loan_to_value = fields.List(fields.Nested(LevelEntry()), required=True)


class StressedLoan(Base):
    """A loan whose covenants the stress breaks."""

    loan_id = fields.UUID(required=True)
    balance = money(required=True)
    loan_to_value = rate(required=True)
    stressed_loan_to_value = rate(required=True)
    shortfall = money(required=True)


class StressResponse(Base):
    """What a stress does to the book; the worst loans one by one."""

    price_change = rate(required=True)
    burnt_county = fields.String(required=True, allow_none=True)
    fire_loss = rate(required=True)
    burnt_forests = fields.Integer(required=True)
    before = fields.Nested(StressSide(), required=True)
    after = fields.Nested(StressSide(), required=True)
    newly_broken = fields.Integer(required=True)
    worst = fields.List(fields.Nested(StressedLoan()), required=True)


class TopUpRequest(Base):
    """A further forest to be pledged."""

    asset_id = fields.UUID(required=True)
    tonnes = Quantity(places=3, minimum="0.001", required=True)


class ReleaseRequest(Base):
    """Tonnes of a lien that are no longer needed."""

    asset_id = fields.UUID(required=True)
    tonnes = Quantity(places=3, minimum="0.001", required=True)

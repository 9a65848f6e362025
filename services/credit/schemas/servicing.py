"""Money of a loan: what comes in, what fell due."""

from marshmallow import fields, validate

from services.credit.schemas.common import money
from services.credit.tables import FEES
from services.credit.tables.loans import CHARGES
from shared.fields import Base, Money, Text


class RepaymentRequest(Base):
    """Money from the borrower."""

    amount = Money(required=True)


class FeeRequest(Base):
    """A fee of the tariff, charged to the borrower."""

    kind = fields.String(required=True, validate=validate.OneOf(FEES))
    amount = Money(required=True)
    comment = Text(required=True, max_length=1000)


class DefaultRequest(Base):
    """On what ground the loan is in default."""

    ground = fields.String(
        required=True,
        validate=validate.OneOf(["overdue", "insolvency", "misuse", "cross_default", "unlikely_to_pay"]),
    )
    comment = Text(required=True, max_length=1000)


class RecoveryRequest(Base):
    """Money recovered after default, and what recovering it cost."""

    amount = Money(required=True)
    costs = Money(required=True, minimum="0.00")
    source = fields.String(required=True, validate=validate.OneOf(["carbon", "insurance", "borrower"]))


class PaymentEntry(Base):
    """Money that came in."""

    id = fields.UUID(required=True)
    source = fields.String(required=True, metadata={"enum": ["borrower", "insurance", "guarantee", "recovery"]})
    origin = fields.String(required=True)
    reference = fields.UUID(required=True)
    received_on = fields.Date(required=True)
    amount = money(required=True)
    costs = money(required=True)
    principal = money(required=True)
    interest = money(required=True)
    charges = money(required=True, metadata={"description": "Of late charges and fees"})
    surplus = money(required=True)
    bank_part = money(required=True)
    balance = money(required=True)


class ChargeEntry(Base):
    """What was charged beside the interest."""

    kind = fields.String(required=True, metadata={"enum": list(CHARGES)})
    from_day = fields.Date(required=True)
    until_day = fields.Date(required=True)
    on_amount = money(required=True, metadata={"description": "What was late between these days"})
    amount = money(required=True)
    comment = fields.String(required=True)


class PaymentsResponse(Base):
    """The ledger of a loan, oldest first."""

    items = fields.List(fields.Nested(PaymentEntry()), required=True)
    charges = fields.List(
        fields.Nested(ChargeEntry()),
        required=True,
        metadata={"description": "Up to the last movement of money; what has run since stands in the loan's balance"},
    )


class InstalmentEntry(Base):
    """One instalment as agreed."""

    number = fields.Integer(required=True)
    due_on = fields.Date(required=True)
    principal = money(required=True)
    interest = money(required=True)
    balance = money(required=True)


class ScheduleResponse(Base):
    """Instalments of a loan by month; principal sums to the amount."""

    repayment = fields.String(required=True)
    grace_months = fields.Integer(required=True)
    day_count = fields.String(required=True, allow_none=True)
    calendar = fields.String(required=True, metadata={"description": "Which days are worked, and how a due day moves"})
    calendar_known_until = fields.Integer(
        required=True, metadata={"description": "Last year whose holidays are known; later days move off weekends only"}
    )
    days_to_be_confirmed = fields.Boolean(
        required=True, metadata={"description": "Some due day lies in a year whose holidays are not known yet"}
    )
    indicative = fields.Boolean(required=True, metadata={"description": "As if it were paid out today"})
    items = fields.List(fields.Nested(InstalmentEntry()), required=True)

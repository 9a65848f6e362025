"""What goes in and out of credit over HTTP. Requests never carry a state, a decision or an institution."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.credit.tables import STATES
from shared.fields import Base, Moment, Money, Names, PageQuery, Quantity, ReasonSchema, Text, Versioned, Whole, page_of

#: Who borrows. A machine may not have the last word on a natural person.
BORROWER_KINDS = ("enterprise", "individual_business", "cooperative", "collective", "natural_person")
REPAYMENTS = ("equal_principal", "equal_instalment", "interest_only")
CODE = validate.Regexp(r"[a-z0-9][a-z0-9-]{1,62}\Z", error="A code of lower-case letters, digits and hyphens.")
HASH = validate.Regexp(r"[0-9a-f]{64}\Z", error="A SHA-256 in lower-case hexadecimal.")


class Flag(fields.Boolean):
    """True or false, never a number or a word."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def rate(**more: Any) -> Quantity:
    """A share or rate with eight decimals."""
    return Quantity(places=8, minimum=None, allow_none=True, **more)


def money(**more: Any) -> Money:
    """An amount in a response; may be unknown."""
    return Money(allow_none=True, **more)


# -- applications -----------------------------------------------------------------------------------------------------


class AssetRequest(Base):
    """A forest to be pledged, and how many tonnes of it."""

    asset_id = fields.UUID(required=True)
    tonnes = Quantity(places=3, minimum="0.001", required=True)


class ScoreRequest(Base):
    """What a score needs: the borrower's features, the loan, the forests behind it if they are known yet."""

    borrower_kind = fields.String(required=True, validate=validate.OneOf(BORROWER_KINDS))
    industry = fields.String(
        required=True,
        validate=validate.Regexp(r"[0-9]{3,4}\Z", error="A group or class of GB/T 4754: three or four digits."),
        metadata={"description": "Group or class of GB/T 4754", "example": "022"},
    )
    employees = Whole(minimum=0, maximum=1_000_000, allow_none=True, load_default=None)
    new_business = Flag(allow_none=True, load_default=None)
    revolving = Flag(load_default=False)
    low_doc = Flag(load_default=False, metadata={"description": "Kept on file; the present card does not read it"})
    amount = Money(required=True, minimum="1000.00")
    term_months = Whole(required=True, minimum=1, maximum=360)
    guaranteed_share = Quantity(places=4, maximum="1", allow_none=True, load_default=None)
    assets = fields.List(fields.Nested(AssetRequest()), load_default=list, validate=validate.Length(max=50))

    @validates_schema(skip_on_field_errors=True)
    def refuse_twice(self, data: dict[str, Any], **_: Any) -> None:
        """An asset stands once in a loan."""
        ids = [asset["asset_id"] for asset in data["assets"]]
        if len(set(ids)) != len(ids):
            raise ValidationError("An asset stands here twice.", "assets")


class LoanRequest(ScoreRequest):
    """An application for a loan on pledged forests."""

    borrower_reference = Text(
        required=True,
        max_length=64,
        checks=[
            validate.Regexp(
                r"[0-9A-Za-z][0-9A-Za-z._/-]{2,63}\Z", error="An organisation code or a file number, never a name."
            )
        ],
        metadata={"description": "Organisation code or internal file number", "example": "FILE-2026-0001"},
    )
    small_or_farmer = Flag(required=True)
    assets = fields.List(fields.Nested(AssetRequest()), required=True, validate=validate.Length(min=1, max=50))
    insurer = fields.String(required=True, validate=CODE)
    guarantor = fields.String(required=True, validate=CODE)
    scheme = Text(required=True, max_length=64, metadata={"example": "4-3-2-1"})
    repayment = fields.String(load_default="equal_principal", validate=validate.OneOf(REPAYMENTS))
    grace_months = Whole(minimum=0, maximum=359, load_default=0)

    @validates_schema(skip_on_field_errors=True)
    def refuse_endless_grace(self, data: dict[str, Any], **_: Any) -> None:
        """Principal is repaid within the term."""
        if data["grace_months"] >= data["term_months"]:
            raise ValidationError("Grace must end before the term does.", "grace_months")


class LoanQuery(PageQuery):
    """Which loans to list."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    county = fields.String(load_default=None)
    insurer = fields.String(load_default=None)
    guarantor = fields.String(load_default=None)


class ValuationQuery(PageQuery):
    """Which valuations to list."""

    county = fields.String(load_default=None)


class ReferralRequest(Base):
    """What a person decided about a referred application, and why."""

    decision = fields.String(required=True, validate=validate.OneOf(["proceed", "decline"]))
    comment = Text(required=True, max_length=1000)


class ApprovalRequest(Base):
    """A second person's word on exactly the offer they saw."""

    payload_hash = fields.String(required=True, validate=HASH)
    approve = Flag(required=True)
    comment = Text(max_length=1000, load_default="")


class EmptyRequest(Base):
    """Nothing to say beyond the address."""


class WithdrawalRequest(Base):
    """Why the loan is not wanted any more."""

    reason = Text(required=True, max_length=200)


class RepaymentRequest(Base):
    """Money from the borrower."""

    amount = Money(required=True)


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


# -- scores and decisions ---------------------------------------------------------------------------------------------


class ModelResponse(Base):
    """Which card scored, and what it may not be used for."""

    name = fields.String(required=True)
    version = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    note = fields.String(required=True)


class ScoreResponse(Base):
    """A what-if: nothing of it is kept."""

    outcome = fields.String(required=True, metadata={"enum": ["approve", "refer", "decline"]})
    score = fields.Integer(required=True)
    points = fields.Dict(keys=fields.String(), values=fields.Float(), required=True)
    default_probability = rate(required=True, metadata={"description": "Yearly, over fire and no fire"})
    default_probability_low = rate(required=True)
    default_probability_high = rate(required=True)
    loan_to_value = fields.Dict(
        keys=fields.String(), values=rate(), required=True, allow_none=True, metadata={"description": "By quantile"}
    )
    pledge_rate = rate(required=True)
    value = money(required=True, metadata={"description": "Counted for the pledge, after haircuts"})
    maximum_amount = money(required=True, metadata={"description": "The largest loan this pledge carries"})
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    flags = Names(required=True)
    model = fields.Nested(ModelResponse(), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)


class DecisionResponse(ScoreResponse):
    """A decision as it was stored, with everything needed to make it again."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": ["application", "referral", "offer"]})
    decided_at = Moment(required=True)
    annual_rate = rate(required=True, metadata={"description": "Rate that pays every cost, up to the basis point"})
    loss_given_default = rate(required=True, metadata={"description": "The bank's, after every leg"})
    loss_given_default_before_legs = rate(required=True)
    expected_losses = fields.Dict(keys=fields.String(), values=money(), required=True, allow_none=True)
    worth_bp = fields.Dict(keys=fields.String(), values=fields.Float(), required=True, allow_none=True)
    inputs = fields.Dict(required=True)
    inputs_hash = fields.String(required=True)
    result_hash = fields.String(required=True)


class ReplayResponse(Base):
    """Whether a decision, made again from what was stored, is the same to the byte."""

    decision_id = fields.UUID(required=True)
    decided_at = Moment(required=True)
    same = fields.Boolean(required=True)
    same_artefact = fields.Boolean(required=True)
    same_parameters = fields.Boolean(required=True)
    same_inputs = fields.Boolean(required=True)
    result_hash = fields.String(required=True)
    replayed_hash = fields.String(required=True)


# -- loans ------------------------------------------------------------------------------------------------------------


class FeaturesResponse(Base):
    """The borrower's features as given."""

    industry = fields.String(required=True)
    employees = fields.Integer(required=True, allow_none=True)
    new_business = fields.Boolean(required=True, allow_none=True)
    revolving = fields.Boolean(required=True)
    low_doc = fields.Boolean(required=True)


class LoanAssetResponse(Base):
    """A forest behind the loan."""

    asset_id = fields.UUID(required=True)
    tonnes = Quantity(places=3, required=True)
    county = fields.String(required=True, allow_none=True)
    valuation_id = fields.UUID(required=True, allow_none=True)
    valuation_version = fields.Integer(required=True, allow_none=True)
    value = money(required=True)
    pledge_state = fields.String(required=True, metadata={"enum": ["none", "placed", "released", "frozen", "enforced"]})
    pledge_id = fields.UUID(required=True, allow_none=True)
    rank = fields.Integer(required=True, allow_none=True)


class CoverResponse(Base):
    """The insurance leg."""

    state = fields.String(required=True, metadata={"enum": ["none", "asked", "quoted", "refused", "bound", "lapsed"]})
    cover_id = fields.UUID(required=True, allow_none=True)
    policy_id = fields.UUID(required=True, allow_none=True)
    sum_insured = money(required=True)
    annual_premium = money(required=True)
    owner_premium = money(required=True)
    deductible = rate(required=True)
    perils = fields.List(fields.String(), required=True)
    expires_at = Moment(required=True, allow_none=True)
    inception = fields.Date(required=True, allow_none=True)
    expiry = fields.Date(required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)


class GuaranteeResponse(Base):
    """The guarantee leg."""

    state = fields.String(
        required=True,
        metadata={"enum": ["none", "asked", "reserved", "refused", "issued", "released", "called", "paid"]},
    )
    guarantee_id = fields.UUID(required=True, allow_none=True)
    call_id = fields.UUID(required=True, allow_none=True)
    fee = money(required=True)
    shares = fields.Dict(keys=fields.String(), values=money(), required=True, allow_none=True)
    expires_at = Moment(required=True, allow_none=True)
    claim_until = fields.Date(required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)


class OfferResponse(Base):
    """The offer, exactly as a second person approves it."""

    payload = fields.Dict(required=True)
    payload_hash = fields.String(required=True)
    annual_rate = rate(required=True)
    expires_at = Moment(required=True)
    proposed_by = fields.String(required=True)
    approved_by = fields.String(required=True, allow_none=True)


class DeadlinesResponse(Base):
    """By when something must happen."""

    legs_by = Moment(required=True, allow_none=True)
    offer_expires_at = Moment(required=True, allow_none=True)
    bind_by = Moment(required=True, allow_none=True)
    drawdown_by = Moment(required=True, allow_none=True)
    cure_by = Moment(required=True, allow_none=True)


class CovenantsResponse(Base):
    """The covenants of the contract and their last test."""

    quantile = fields.String(required=True)
    margin_call_loan_to_value = rate(required=True)
    cure_loan_to_value = rate(required=True)
    loan_to_value = rate(required=True)
    shortfall = money(required=True)
    margin_value = money(required=True, metadata={"description": "Value of the pledge at which a margin call follows"})
    break_even_price = money(required=True, metadata={"description": "Carbon price of a tonne at which it follows"})
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    tested_at = Moment(required=True, allow_none=True)


class BalanceResponse(Base):
    """What flowed and what is owed."""

    disbursed = money(required=True)
    principal = money(required=True, metadata={"description": "Principal the debtor owes"})
    interest = money(required=True, metadata={"description": "Interest owed up to today"})
    owed = money(required=True)
    principal_repaid = money(required=True)
    interest_paid = money(required=True)
    guarantee_received = money(required=True)
    recovered = money(required=True, metadata={"description": "After default, net of costs, before sharing"})
    recovered_by_bank = money(required=True)
    surplus = money(required=True, metadata={"description": "Received beyond what was owed: the borrower's"})
    bank_surplus = money(required=True)
    written_off = money(required=True)
    unrecovered = money(required=True)


class RiskResponse(Base):
    """How the loan is classed; the two scales are kept apart."""

    days_past_due = fields.Integer(required=True)
    stage = fields.Integer(required=True, metadata={"description": "IFRS 9"})
    ecl_horizon = fields.String(required=True)
    five_class = fields.String(required=True, metadata={"description": "The best class that the days alone allow"})


class LoanSummary(Versioned):
    """A line in a list of loans."""

    state = fields.String(required=True)
    borrower_reference = fields.String(required=True)
    amount = money(required=True)
    term_months = fields.Integer(required=True)
    county = fields.String(required=True, allow_none=True)
    insurer = fields.String(required=True)
    guarantor = fields.String(required=True)
    annual_rate = rate(required=True)
    balance = money(required=True)
    loan_to_value = rate(required=True)
    applied_at = Moment(required=True)
    updated_at = Moment(required=True)


class LoanResponse(Versioned):
    """A loan whole: where it stands, why, its legs, its offer, its money."""

    state = fields.String(required=True)
    blocked_by = fields.String(required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    borrower_reference = fields.String(required=True)
    borrower_kind = fields.String(required=True)
    obligor = fields.String(required=True)
    features = fields.Nested(FeaturesResponse(), required=True)
    small_or_farmer = fields.Boolean(required=True)
    amount = money(required=True)
    term_months = fields.Integer(required=True)
    repayment = fields.String(required=True)
    grace_months = fields.Integer(required=True)
    insurer = fields.String(required=True)
    guarantor = fields.String(required=True)
    scheme = fields.String(required=True)
    guaranteed_share = Quantity(places=4, required=True)
    county = fields.String(required=True, allow_none=True)
    applied_by = fields.String(required=True)
    applied_at = Moment(required=True)
    updated_at = Moment(required=True)
    assets = fields.List(fields.Nested(LoanAssetResponse()), required=True)
    cover = fields.Nested(CoverResponse(), required=True)
    guarantee = fields.Nested(GuaranteeResponse(), required=True)
    decision = fields.Nested(DecisionResponse(), required=True)
    offer = fields.Nested(OfferResponse(), required=True, allow_none=True)
    deadlines = fields.Nested(DeadlinesResponse(), required=True)
    covenants = fields.Nested(CovenantsResponse(), required=True, allow_none=True)
    risk = fields.Nested(RiskResponse(), required=True, allow_none=True)
    annual_rate = rate(required=True)
    disbursed_on = fields.Date(required=True, allow_none=True)
    matures_on = fields.Date(required=True, allow_none=True)
    defaulted_on = fields.Date(required=True, allow_none=True)
    outcome = fields.String(required=True, allow_none=True)
    balance = fields.Nested(BalanceResponse(), required=True)


class HistoryEntry(Base):
    """One change of state."""

    number = fields.Integer(required=True)
    from_state = fields.String(required=True, allow_none=True)
    to_state = fields.String(required=True)
    at = Moment(required=True)
    actor = fields.String(required=True)
    reason = fields.String(required=True)
    comment = fields.String(required=True)


class HistoryResponse(Base):
    """The trail of a loan, oldest first."""

    items = fields.List(fields.Nested(HistoryEntry()), required=True)


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
    surplus = money(required=True)
    bank_part = money(required=True)
    balance = money(required=True)


class PaymentsResponse(Base):
    """The ledger of a loan, oldest first."""

    items = fields.List(fields.Nested(PaymentEntry()), required=True)


class InstalmentEntry(Base):
    """One instalment as agreed."""

    number = fields.Integer(required=True)
    due_on = fields.Date(required=True, allow_none=True)
    principal = money(required=True)
    interest = money(required=True)
    balance = money(required=True)


class ScheduleResponse(Base):
    """Instalments of a loan by month; principal sums to the amount."""

    repayment = fields.String(required=True)
    items = fields.List(fields.Nested(InstalmentEntry()), required=True)


# -- valuations and approvals -----------------------------------------------------------------------------------------


class ValuationResponse(Base):
    """Our copy of the latest valuation of a forest."""

    asset_id = fields.UUID(required=True)
    valuation_id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    as_of = fields.Date(required=True)
    valid_until = fields.Date(required=True)
    county = fields.String(required=True)
    area_ha = rate(required=True)
    title_until = fields.Date(required=True)
    crediting_until = fields.Date(required=True)
    hazards = fields.Dict(required=True)
    forecast_tonnes = Quantity(places=3, required=True)
    free_tonnes = Quantity(places=3, required=True)
    pledged_tonnes = Quantity(places=3, required=True)
    spot_price = money(required=True)
    pv_mean = money(required=True)
    pv_p05 = money(required=True)
    pv_p10 = money(required=True)
    pv_p50 = money(required=True)
    pv_p90 = money(required=True)
    pv_p95 = money(required=True)
    liquidity_haircut = rate(required=True)
    unverified_parameters = Names(required=True)
    received_at = Moment(required=True)


class ApprovalResponse(Base):
    """Something that waits for a second person."""

    id = fields.UUID(required=True)
    action = fields.String(required=True)
    subject = fields.UUID(required=True)
    payload = fields.Dict(required=True)
    payload_hash = fields.String(required=True)
    maker = fields.String(required=True)
    state = fields.String(required=True)
    expires_at = Moment(required=True)


LOAN_PAGE = page_of(LoanSummary(), "LoanPage")
VALUATION_PAGE = page_of(ValuationResponse(), "ValuationPage")
APPROVAL_PAGE = page_of(ApprovalResponse(), "ApprovalPage")

"""Loans: the application, its life, how they are shown."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.credit.actions.schedules import DAY_COUNTS
from services.credit.schemas.common import CODE, HASH, Flag, money, rate
from services.credit.schemas.decisions import DecisionResponse
from services.credit.schemas.parties import FinancesRequest
from services.credit.schemas.scores import BORROWER_KINDS, INDUSTRY, REPAYMENTS, AssetRequest, ScoreRequest
from services.credit.tables import COVER_STATES, STATES
from services.credit.tables.reviews import PERSONS_REASONS
from shared.fields import Base, Moment, PageQuery, Quantity, ReasonSchema, Text, Versioned, Whole, page_of

#: What the money is for.
PURPOSES = (
    "planting",
    "tending",
    "forest_protection",
    "forest_roads",
    "equipment",
    "processing",
    "understorey_economy",
    "working_capital",
    "carbon_project",
    "refinancing",
)
#: What an application says of a borrower that is not registered.
_DESCRIBED = ("borrower_reference", "borrower_kind", "industry", "small_or_farmer")


class PledgeRequest(AssetRequest):
    """A forest to be pledged: which lien is wanted, and which valuation was seen."""

    rank = Whole(minimum=1, maximum=9, load_default=None, metadata={"description": "Of the lien; any if not given"})
    valuation_version = Whole(
        minimum=1,
        maximum=1_000_000_000,
        load_default=None,
        metadata={"description": "The one that was seen; the application is refused if there is a newer one"},
    )


class LoanRequest(ScoreRequest):
    """An application for a loan on pledged forests, by a registered borrower or by one that it describes itself."""

    borrower_id = fields.UUID(
        load_default=None, metadata={"description": "A registered party; what is known of it is then not given here"}
    )
    purpose = fields.String(
        load_default=None, validate=validate.OneOf(PURPOSES), metadata={"description": "Needed of a registered party"}
    )
    finances = fields.Nested(
        FinancesRequest(), load_default=None, metadata={"description": "In place of those on the borrower's file"}
    )
    borrower_kind = fields.String(load_default=None, validate=validate.OneOf(BORROWER_KINDS))
    industry = fields.String(
        load_default=None, validate=INDUSTRY, metadata={"description": "Group or class of GB/T 4754", "example": "022"}
    )
    borrower_reference = Text(
        load_default=None,
        max_length=64,
        checks=[
            validate.Regexp(
                r"[0-9A-Za-z][0-9A-Za-z._/-]{2,63}\Z", error="An organisation code or a file number, never a name."
            )
        ],
        metadata={"description": "Organisation code or internal file number", "example": "FILE-2026-0001"},
    )
    small_or_farmer = Flag(load_default=None)
    assets = fields.List(fields.Nested(PledgeRequest()), required=True, validate=validate.Length(min=1, max=50))
    insurer = fields.String(required=True, validate=CODE)
    guarantor = fields.String(required=True, validate=CODE)
    scheme = Text(required=True, max_length=64, metadata={"example": "4-3-2-1"})
    repayment = fields.String(load_default="equal_principal", validate=validate.OneOf(REPAYMENTS))
    grace_months = Whole(minimum=0, maximum=359, load_default=0)
    grace_to_first_issuance = Flag(
        load_default=False, metadata={"description": "Interest only until the carbon's first income; sets grace_months"}
    )
    day_count = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf(tuple(DAY_COUNTS)),
        metadata={"description": "The bank's own if not given"},
    )

    @validates_schema(skip_on_field_errors=False)
    def refuse_two_borrowers(self, data: dict[str, Any], **_: Any) -> None:
        """A borrower is either registered or described."""
        if "borrower_id" not in data:
            return
        registered = data["borrower_id"] is not None
        names = (*_DESCRIBED, "employees", "new_business") if registered else _DESCRIBED
        # A field that is not there at all was refused for what it holds.
        wrong = [name for name in names if name in data and (data[name] is not None) == registered]
        errors = {name: ["Give either this or borrower_id."] for name in wrong}
        if registered and data.get("purpose", "") is None:
            errors["purpose"] = ["Give at least a purpose."]
        if errors:
            raise ValidationError(errors)

    @validates_schema(skip_on_field_errors=True)
    def refuse_endless_grace(self, data: dict[str, Any], **_: Any) -> None:
        """Principal is repaid within the term."""
        if data["grace_months"] >= data["term_months"]:
            raise ValidationError("Grace must end before the term does.", "grace_months")
        if data["grace_months"] and data["grace_to_first_issuance"]:
            raise ValidationError("Give either this or grace_to_first_issuance.", "grace_months")
        if data["repayment"] == "issuance_matched" and (data["grace_months"] or data["grace_to_first_issuance"]):
            raise ValidationError("Principal follows the issuances; there is no other grace.", "grace_months")


class LoanQuery(PageQuery):
    """Which loans to list."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    county = fields.String(load_default=None)
    insurer = fields.String(load_default=None)
    guarantor = fields.String(load_default=None)


class ApprovalRequest(Base):
    """A second person's word on exactly the offer they saw."""

    payload_hash = fields.String(required=True, validate=HASH)
    approve = Flag(required=True)
    comment = Text(max_length=1000, load_default="")
    reason_code = fields.String(
        load_default="other", validate=validate.OneOf(PERSONS_REASONS), metadata={"description": "Why it is rejected"}
    )


class WithdrawalRequest(Base):
    """Why the loan is not wanted any more."""

    reason = Text(required=True, max_length=200)


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
    asked_rank = fields.Integer(required=True, allow_none=True)


class CoverResponse(Base):
    """The insurance leg."""

    state = fields.String(required=True, metadata={"enum": list(COVER_STATES)})
    cover_id = fields.UUID(required=True, allow_none=True)
    policy_id = fields.UUID(required=True, allow_none=True)
    sum_insured = money(required=True)
    claimed = money(required=True)
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
    charges = money(required=True, metadata={"description": "Late charges and fees owed up to today"})
    owed = money(required=True)
    principal_repaid = money(required=True)
    interest_paid = money(required=True)
    charges_paid = money(required=True)
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
    bucket = fields.String(required=True, metadata={"description": "Days past due, first and last of the bucket"})
    stage = fields.Integer(required=True, metadata={"description": "IFRS 9"})
    ecl_horizon = fields.String(required=True)
    five_class = fields.String(
        required=True, metadata={"description": "By days past due, not better than other facts allow"}
    )


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


class FindingResponse(ReasonSchema):
    """Something in the file that a person must look at."""

    stands = fields.Boolean(required=True, metadata={"description": "No person may pass over it while it stands"})


class LoanResponse(Versioned):
    """A loan whole: where it stands, why, its legs, its offer, its money."""

    state = fields.String(required=True)
    blocked_by = fields.String(required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    findings = fields.List(fields.Nested(FindingResponse()), required=True)
    party_id = fields.UUID(required=True, allow_none=True)
    purpose = fields.String(required=True, allow_none=True)
    finances = fields.Dict(
        required=True, allow_none=True, metadata={"description": "The year and the debts at the application"}
    )
    borrower_reference = fields.String(required=True)
    borrower_kind = fields.String(required=True)
    obligor = fields.String(required=True)
    features = fields.Nested(FeaturesResponse(), required=True)
    small_or_farmer = fields.Boolean(required=True)
    amount = money(required=True)
    term_months = fields.Integer(required=True)
    repayment = fields.String(required=True)
    grace_months = fields.Integer(required=True)
    day_count = fields.String(required=True, allow_none=True, metadata={"enum": [*DAY_COUNTS, None]})
    insurer = fields.String(required=True)
    guarantor = fields.String(required=True)
    scheme = fields.String(required=True)
    guaranteed_share = Quantity(places=4, required=True)
    county = fields.String(required=True, allow_none=True)
    fire_zone = fields.String(required=True, allow_none=True)
    verifier = fields.String(required=True, allow_none=True)
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


LOAN_PAGE = page_of(LoanSummary(), "LoanPage")

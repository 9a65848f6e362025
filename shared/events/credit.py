"""What happens to a loan. Credit owns the loan and coordinates the legs by these events."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Event, Money, Rate, Tonnes, declared
from shared.events.parts import PledgedAsset, PrincipalDue, Reason


@dataclass(frozen=True, kw_only=True)
class LoanEvent(Event):
    """Anything that happens to one loan; names the institutions of its three legs."""

    TOPIC: ClassVar[str] = "credit.events"
    KEY: ClassVar[str] = "loan_id"

    loan_id: UUID
    bank: str
    insurer: str
    guarantor: str


@declared
@dataclass(frozen=True, kw_only=True)
class LoanApplied(LoanEvent):
    """An officer entered an application."""

    amount: Money
    term_months: int
    pledges: tuple[PledgedAsset, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class LoanScored(LoanEvent):
    """The application was scored, with reasons."""

    score: int
    default_probability: Rate
    loan_to_value: Rate | None
    outcome: Literal["approve", "refer", "decline"]
    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class ReviewRequested(LoanEvent):
    """A natural person wants a person to look at a decline or a referral, until a day."""

    grounds: str
    due_at: datetime


@declared
@dataclass(frozen=True, kw_only=True)
class ReviewDecided(LoanEvent):
    """Another person looked at the decision; an overturned decline goes on as a new application."""

    outcome: Literal["upheld", "overturned"]
    reason_code: str
    new_loan_id: UUID | None


@declared
@dataclass(frozen=True, kw_only=True)
class LegsRequested(LoanEvent):
    """The loan passed credit's own test: insurance and guarantee are asked, in parallel, until a deadline.

    The schedule is as if the money went out on the day of asking, at the rate as estimated without the legs.
    """

    obligor: str
    amount: Money
    term_months: int
    default_probability: Rate
    loss_given_default: Rate
    small_or_farmer: bool
    scheme: str
    county: str
    pledges: tuple[PledgedAsset, ...]
    answer_by: datetime
    schedule: tuple[PrincipalDue, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class LoanOffered(LoanEvent):
    """A second person approved the offer; it stands until it expires."""

    amount: Money
    term_months: int
    annual_rate: Rate
    expires_at: datetime
    terms_hash: str


@declared
@dataclass(frozen=True, kw_only=True)
class LoanAccepted(LoanEvent):
    """The borrower accepted: sink places the pledges, insurance binds, guarantee issues, until a deadline."""

    amount: Money
    term_months: int
    cover_id: UUID
    guarantee_id: UUID
    pledges: tuple[PledgedAsset, ...]
    bind_by: datetime


@declared
@dataclass(frozen=True, kw_only=True)
class LoanDeclined(LoanEvent):
    """No loan: whatever the legs hold for it is to be undone."""

    blocked_by: Literal["credit", "sink", "insurance", "guarantee", "approver"]
    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class LoanWithdrawn(LoanEvent):
    """The borrower or the bank stepped back before money flowed: the legs are to be undone."""

    reason: str


@declared
@dataclass(frozen=True, kw_only=True)
class LoanExpired(LoanEvent):
    """A deadline passed before money flowed: the legs are to be undone."""

    deadline: str


@declared
@dataclass(frozen=True, kw_only=True)
class LoanDisbursed(LoanEvent):
    """Money flowed, to be repaid by this schedule."""

    amount: Money
    disbursed_on: date
    matures_on: date
    schedule: tuple[PrincipalDue, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class LoanRepaid(LoanEvent):
    """Money came back; the balance is what is still owed as principal."""

    repayment_id: UUID
    source: Literal["borrower", "insurance", "guarantee", "recovery"]
    amount: Money
    principal: Money
    interest: Money
    balance: Money


@declared
@dataclass(frozen=True, kw_only=True)
class MarginCalled(LoanEvent):
    """The collateral no longer carries the loan; the shortfall is to be cured by a date."""

    balance: Money
    loan_to_value: Rate | None
    shortfall: Money
    cure_by: datetime
    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class MarginCured(LoanEvent):
    """The collateral carries the loan again."""

    balance: Money
    loan_to_value: Rate


@declared
@dataclass(frozen=True, kw_only=True)
class TopUpOrdered(LoanEvent):
    """A live loan gets further collateral: sink places these pledges beside those it has, or refuses them."""

    term_months: int
    pledges: tuple[PledgedAsset, ...]
    place_by: datetime


@declared
@dataclass(frozen=True, kw_only=True)
class PledgeReductionOrdered(LoanEvent):
    """The bank lets go of a part of a lien that the loan no longer needs."""

    asset_id: UUID
    tonnes: Tonnes
    reason: str


@declared
@dataclass(frozen=True, kw_only=True)
class LoanDefaulted(LoanEvent):
    """The loan is in default: the guarantee is called, the pledges are frozen."""

    balance: Money
    defaulted_on: date
    reason: Reason


@declared
@dataclass(frozen=True, kw_only=True)
class EnforcementOrdered(LoanEvent):
    """The bank orders the pledged units taken over."""

    balance: Money


@declared
@dataclass(frozen=True, kw_only=True)
class RecoveryReceived(LoanEvent):
    """Money recovered after default, to be shared by those who bore the loss."""

    recovery_id: UUID
    source: Literal["carbon", "insurance", "borrower"]
    amount: Money
    costs: Money


@declared
@dataclass(frozen=True, kw_only=True)
class LoanClosed(LoanEvent):
    """Nothing is owed any more, or the rest was written off: the legs may let go."""

    outcome: Literal["repaid", "recovered", "written_off"]
    written_off: Money

"""What the insurer tells about the cover behind a loan."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Event, Money, Rate, declared
from shared.events.parts import Reason
from shared.events.sink import Peril


@dataclass(frozen=True, kw_only=True)
class CoverEvent(Event):
    """Anything that happens to the cover of one loan."""

    TOPIC: ClassVar[str] = "insurance.events"
    KEY: ClassVar[str] = "loan_id"

    loan_id: UUID
    bank: str
    insurer: str


@declared
@dataclass(frozen=True, kw_only=True)
class CoverQuoted(CoverEvent):
    """A price for covering the pledged forests, good until it expires."""

    cover_id: UUID
    sum_insured: Money
    annual_premium: Money
    owner_premium: Money
    expected_annual_loss: Money
    deductible: Rate
    perils: tuple[Peril, ...]
    expires_at: datetime
    unverified_parameters: tuple[str, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class CoverRefused(CoverEvent):
    """No cover: refused when asked for a quote, or when the quote could no longer be bound."""

    stage: Literal["quote", "bind"]
    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class PolicyBound(CoverEvent):
    """The policy is in force, with the bank as first loss payee."""

    policy_id: UUID
    cover_id: UUID
    sum_insured: Money
    inception: date
    expiry: date
    interest: Money


@declared
@dataclass(frozen=True, kw_only=True)
class PolicyLapsed(CoverEvent):
    """The cover ended; told before it takes effect."""

    policy_id: UUID
    reason: str
    ends_on: date
    return_premium: Money


@declared
@dataclass(frozen=True, kw_only=True)
class PolicyEndorsed(CoverEvent):
    """A policy in force was changed: another sum after a revaluation, or a longer term."""

    policy_id: UUID
    number: int
    kind: Literal["revaluation", "renewal"]
    effective_on: date
    expiry: date
    sum_insured: Money
    annual_premium: Money


@declared
@dataclass(frozen=True, kw_only=True)
class PolicyReinstated(CoverEvent):
    """What claims took of a forest's sum is insured again, for the premium of the days left."""

    policy_id: UUID
    asset_id: UUID
    reinstated: Money
    premium: Money


@declared
@dataclass(frozen=True, kw_only=True)
class PolicyBreached(CoverEvent):
    """The owner broke the policy: whether the bank is still paid is what the clause says."""

    policy_id: UUID
    clause: Literal["lender", "simple"]
    reason: str


@declared
@dataclass(frozen=True, kw_only=True)
class ClaimOpened(CoverEvent):
    """A loss on an insured forest: what was lost and what is payable after the policy's terms."""

    claim_id: UUID
    policy_id: UUID
    asset_id: UUID
    reversal_id: UUID
    peril: Peril
    loss: Money
    payable: Money


@declared
@dataclass(frozen=True, kw_only=True)
class ClaimPaid(CoverEvent):
    """Money paid on a claim: the bank up to its live interest, then the owner; the two sum to the total."""

    claim_id: UUID
    policy_id: UUID
    total: Money
    to_bank: Money
    to_owner: Money


@declared
@dataclass(frozen=True, kw_only=True)
class IndexTriggered(CoverEvent):
    """An index cover crossed its threshold."""

    policy_id: UUID
    index: str
    observed: Rate
    threshold: Rate

"""What the guarantee firm tells about its share of a loan's risk."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Event, Money, declared
from shared.events.parts import Reason, Shares


@dataclass(frozen=True, kw_only=True)
class GuaranteeEvent(Event):
    """Anything that happens to the guarantee of one loan."""

    TOPIC: ClassVar[str] = "guarantee.events"
    KEY: ClassVar[str] = "loan_id"

    loan_id: UUID
    bank: str
    guarantor: str


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteeReserved(GuaranteeEvent):
    """Capacity is held for the loan until it is issued or expires."""

    guarantee_id: UUID
    scheme: str
    shares: Shares
    fee: Money
    expires_at: datetime


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteeRefused(GuaranteeEvent):
    """No guarantee: a limit binds, or the reservation could no longer be issued."""

    stage: Literal["reserve", "issue"]
    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteeIssued(GuaranteeEvent):
    """The guarantee is in force."""

    guarantee_id: UUID
    scheme: str
    shares: Shares
    issued_on: date
    claim_until: date


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteeReleased(GuaranteeEvent):
    """The capacity is free again."""

    guarantee_id: UUID
    reason: str


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteeCalled(GuaranteeEvent):
    """The bank's claim on the guarantee was opened."""

    guarantee_id: UUID
    call_id: UUID
    balance: Money
    shares: Shares


@declared
@dataclass(frozen=True, kw_only=True)
class GuaranteePaid(GuaranteeEvent):
    """The primary guarantor paid the bank everything but the bank's own share."""

    guarantee_id: UUID
    call_id: UUID
    paid: Money
    shares: Shares


@declared
@dataclass(frozen=True, kw_only=True)
class RecoveryShared(GuaranteeEvent):
    """A recovery was shared back by the same shares; the parts sum to the net amount."""

    guarantee_id: UUID
    recovery_id: UUID
    net: Money
    shares: Shares

"""Pieces that several events are made of."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from shared.events.base import Money, Tonnes


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why: a stable code, and a sentence in Chinese and in English that an officer can read out."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, kw_only=True)
class PledgedAsset:
    """One forest behind a loan: the valuation it was judged on, the tonnes pledged and the value counted for them."""

    asset_id: UUID
    valuation_version: int
    county: str
    tonnes: Tonnes
    value: Money


@dataclass(frozen=True, kw_only=True)
class PrincipalDue:
    """Principal due at the end of a month of a loan's term, counted from 1; those of a schedule sum to its amount."""

    month: int
    due_on: date
    principal: Money


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Who bears what, to the fen; the parts sum to the whole. The pool reimburses and is never cover to the bank."""

    primary: Money
    province: Money
    national: Money
    bank: Money
    pool: Money

    @property
    def total(self) -> Decimal:
        """Sum of the five shares. [CNY]"""
        return self.primary + self.province + self.national + self.bank + self.pool

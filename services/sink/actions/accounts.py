"""Zero-carbon accounts: emissions of a year on one side, allowances and retired units on the other, each used once."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions.kilograms import kilograms
from services.sink.actions.plantings import grown_kg
from services.sink.actions.refusals import invalid
from services.sink.formulas.balance import yearly_balance, zero_carbon
from services.sink.formulas.planting import claimable_allowance
from services.sink.tables import AccountEntry, Adoption, CompensationOrder, Footprint, Planting, ZeroCarbonAccount
from shared import audit, clock
from shared.db import found, locked, tenant
from shared.errors import ConflictError, StateError
from shared.events.parts import Reason
from shared.ids import uuid7

KINDS = ("village", "community", "campus", "enterprise", "person")
ENTRIES = ("emission", "reduction", "allowance", "retirement")


@dataclass(frozen=True)
class EntryFacts:
    """One line: a footprint or counted tonnes, an allowance of an adoption, or units of a retired order."""

    kind: str
    year: int
    tonnes: Decimal | None = None
    footprint_id: UUID | None = None
    adoption_id: UUID | None = None
    order_id: UUID | None = None
    note: str | None = None


@dataclass(frozen=True)
class Balance:
    """A year of an account."""

    year: int
    emissions: Decimal
    reductions: Decimal
    allowances: Decimal
    retired: Decimal
    uncovered: Decimal
    surplus: Decimal
    zero_carbon: bool
    #: Whether the cover rests on trees that are still to grow.
    ex_ante: bool
    reasons: tuple[Reason, ...]


def open_account(session: Session, kind: str, name: str, county: str) -> ZeroCarbonAccount:
    """Open an account of the caller's institution."""
    if session.scalar(select(ZeroCarbonAccount.id).where(ZeroCarbonAccount.name == name)):
        raise ConflictError("an account has this name already", errors=[{"pointer": "/name", "detail": "taken"}])
    account = ZeroCarbonAccount(
        id=uuid7(), institution=tenant(session), kind=kind, name=name, county=county, opened_at=clock.now()
    )
    session.add(account)
    audit.record(session, "open_account", account.id, kind=kind)
    session.flush()
    return account


def enter(session: Session, account_id: UUID, facts: EntryFacts) -> AccountEntry:
    """Enter a line; what it draws on is drawn on once."""
    account = locked(session, ZeroCarbonAccount, account_id)
    if facts.year > clock.today().year:
        raise invalid("/year", "lies in the future")
    tonnes = _drawn(session, facts)
    entry = AccountEntry(
        id=uuid7(),
        institution=account.institution,
        account_id=account.id,
        year=facts.year,
        kind=facts.kind,
        tonnes=tonnes,
        footprint_id=facts.footprint_id,
        adoption_id=facts.adoption_id,
        order_id=facts.order_id,
        note=facts.note,
        entered_at=clock.now(),
        voided_at=None,
        void_reason=None,
    )
    session.add(entry)
    audit.record(session, "enter_account_line", entry.id, kind=facts.kind, year=facts.year, tonnes=str(tonnes))
    session.flush()
    return entry


def void(session: Session, entry_id: UUID, reason: str) -> AccountEntry:
    """Strike a wrong line; what it drew on is free again."""
    entry = locked(session, AccountEntry, entry_id)
    if entry.voided_at is not None:
        raise StateError("the line is struck already")
    if entry.order_id is not None:
        locked(session, CompensationOrder, entry.order_id).claimed_tonnes -= entry.tonnes
    if entry.adoption_id is not None:
        locked(session, Adoption, entry.adoption_id).claimed_tonnes -= entry.tonnes
    entry.voided_at, entry.void_reason = clock.now(), reason
    audit.record(session, "void_account_line", entry.id, tonnes=str(entry.tonnes))
    session.flush()
    return entry


def balances(session: Session, account_id: UUID) -> list[Balance]:
    """Each year of an account, latest first."""
    found(session, ZeroCarbonAccount, account_id)
    sums = session.execute(
        select(AccountEntry.year, AccountEntry.kind, func.sum(AccountEntry.tonnes))
        .where(AccountEntry.account_id == account_id, AccountEntry.voided_at.is_(None))
        .group_by(AccountEntry.year, AccountEntry.kind)
    )
    years: dict[int, dict[str, Decimal]] = {}
    for year, kind, tonnes in sums:
        years.setdefault(year, {})[kind] = tonnes
    return [_balance(year, years[year]) for year in sorted(years, reverse=True)]


def _balance(year: int, sums: dict[str, Decimal]) -> Balance:
    emissions, reductions, allowances, retired = (sums.get(kind, Decimal(0)) for kind in ENTRIES)
    masses = (kilograms(emissions), kilograms(allowances), kilograms(retired))
    left = Decimal(yearly_balance(*masses)) / 1000
    reached = zero_carbon(*masses)
    return Balance(
        year=year,
        emissions=emissions,
        reductions=reductions,
        allowances=allowances,
        retired=retired,
        uncovered=max(Decimal(0), left),
        surplus=max(Decimal(0), -left),
        zero_carbon=reached,
        ex_ante=allowances > 0,
        reasons=_reasons(emissions, allowances, left),
    )


def _reasons(emissions: Decimal, allowances: Decimal, left: Decimal) -> tuple[Reason, ...]:
    reasons = []
    if emissions == 0:
        reasons.append(
            Reason(
                code="no_emissions",
                zh="该年度未登记排放,无法认定零碳",
                en="no emissions were entered for the year, so nothing can be said of it",
            )
        )
    elif left > 0:
        reasons.append(
            Reason(
                code="uncovered",
                zh=f"尚有 {left} 吨排放未被抵消",
                en=f"{left} t of emissions are not covered",
            )
        )
    if allowances > 0:
        reasons.append(
            Reason(
                code="ex_ante",
                zh=f"其中 {allowances} 吨为预估的植树抵消额,不是已签发的碳汇",
                en=f"{allowances} t of the cover are forecast growth of planted trees, no issued credits",
            )
        )
    return tuple(reasons)


def _drawn(session: Session, facts: EntryFacts) -> Decimal:
    """Tonnes of a line, after what it draws on gave them."""
    sources = {"emission": facts.footprint_id, "allowance": facts.adoption_id, "retirement": facts.order_id}
    if any(source is not None for kind, source in sources.items() if kind != facts.kind):
        raise invalid("/kind", f"give either a line of another kind or one that is of {facts.kind} alone")
    if facts.footprint_id is not None:
        if facts.tonnes is not None:
            raise invalid("/tonnes", "give either tonnes or a footprint")
        return _emitted(session, facts.footprint_id, facts.year)
    if facts.tonnes is None:
        raise invalid("/tonnes", "give either tonnes or, for an emission, a footprint")
    if facts.kind in ("emission", "reduction"):
        if facts.note is None:
            raise invalid("/note", "give at least the ground on which tonnes were counted")
        return facts.tonnes
    source = sources[facts.kind]
    if source is None:
        name = "adoption_id" if facts.kind == "allowance" else "order_id"
        raise invalid(f"/{name}", f"give at least {name}: what covers an emission comes from somewhere")
    if facts.kind == "allowance":
        _claim_allowance(session, source, facts.year, facts.tonnes)
    else:
        _claim_retired(session, source, facts.tonnes)
    return facts.tonnes


def _emitted(session: Session, footprint_id: UUID, year: int) -> Decimal:
    footprint = found(session, Footprint, footprint_id)
    if not footprint.period_from.year <= year <= footprint.period_until.year:
        raise invalid("/year", "lies outside of the footprint's period")
    entered = select(AccountEntry.id).where(AccountEntry.footprint_id == footprint.id, AccountEntry.voided_at.is_(None))
    if session.scalar(entered):
        raise ConflictError("this footprint is in an account already")
    return footprint.tonnes


def _claim_retired(session: Session, order_id: UUID, tonnes: Decimal) -> None:
    order = locked(session, CompensationOrder, order_id)
    if order.institution != tenant(session):
        raise ConflictError("the units of an order cover the emissions of its buyer")
    if order.state != "retired":
        raise StateError(f"the order is {order.state}; only retired units cover emissions")
    left = order.tonnes - order.claimed_tonnes
    if tonnes > left:
        raise ConflictError(f"{left} t of this order cover nothing yet")
    order.claimed_tonnes += tonnes


def _claim_allowance(session: Session, adoption_id: UUID, year: int, tonnes: Decimal) -> None:
    adoption = locked(session, Adoption, adoption_id)
    if adoption.institution != tenant(session):
        raise ConflictError("an adoption covers the emissions of its holder")
    planting = found(session, Planting, adoption.planting_id)
    grown = grown_kg(planting, adoption.trees)
    at = year - planting.first_year
    claims = session.execute(
        select(AccountEntry.year, AccountEntry.tonnes).where(
            AccountEntry.adoption_id == adoption.id, AccountEntry.voided_at.is_(None)
        )
    )
    claimed = _running([(claim_year - planting.first_year, mass) for claim_year, mass in claims], len(grown))
    room = Decimal(int(claimable_allowance(grown, claimed)[min(at, len(grown) - 1)])) / 1000 if at >= 0 else Decimal(0)
    if tonnes > room:
        raise ConflictError(f"{max(room, Decimal(0))} t of this adoption can be claimed for {year}")
    adoption.claimed_tonnes += tonnes


def _running(claims: Sequence[tuple[int, Decimal]], years: int) -> NDArray[np.int64]:
    """Running total of claims; one after the last year of growth counts in that year. [kgCO2e]"""
    masses = np.zeros(years, dtype=np.int64)
    for at, mass in claims:
        masses[min(at, years - 1)] += kilograms(mass)
    return np.cumsum(masses)

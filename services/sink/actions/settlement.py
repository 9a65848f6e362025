"""Once an order or a land use is paid: its units are retired, whole or not at all, and certified."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.actions.certificates import issue
from services.sink.actions.units import retire_credits
from services.sink.tables import (
    Asset,
    Certificate,
    CompensationRetirement,
    Retirement,
    UnitEntry,
    locked_in_order,
    unspent,
)
from shared import clock
from shared.db import tenant
from shared.errors import ConflictError, ForbiddenError

#: Assets locked in one statement; few hold issued units at all.
_AT_ONCE = 50


class ShortError(ConflictError):
    """There are not enough free issued units."""

    kind, title = "units-short", "There are not enough free units"


@dataclass(frozen=True)
class Settled:
    """Whose paid order or land use is settled, as the certificate tells it."""

    institution: str
    kind: str
    subject: UUID
    beneficiary: str
    purpose: str
    tonnes: Decimal
    unverified: Sequence[str]


def settle(session: Session, one: Settled) -> Certificate:
    """Retire the units out of the caller's register and certify it; refused whole when they do not suffice."""
    plan = _plan(session, one.tonnes)
    reason = f"compensation, {one.kind} {one.subject}"
    retirements = [(asset, retire_credits(session, asset.id, part, reason)) for asset, part in plan]
    for asset, retirement in retirements:
        session.add(
            CompensationRetirement(
                retirement_id=retirement.id,
                institution=one.institution,
                registrar=asset.registrar,
                order_id=one.subject if one.kind == "purchase" else None,
                land_use_id=one.subject if one.kind == "land_use" else None,
                asset_id=asset.id,
                tonnes=retirement.tonnes,
            )
        )
    return _certify(session, one, retirements)


def free_issued(session: Session, asset: Asset) -> Decimal:
    """Whole units of an asset that are issued and nobody has a claim on. [tCO2e]"""
    return min(ledger.total(ledger.blocks(session, asset, "free")), asset.free_tonnes.to_integral_value(ROUND_FLOOR))


def own_register(session: Session, registrar: str) -> None:
    """Refuse what only the registrar may do."""
    if registrar != tenant(session):
        raise ForbiddenError("only the registrar may do this")


def _plan(session: Session, tonnes: Decimal) -> list[tuple[Asset, Decimal]]:
    """Which assets give how much, oldest in the register first; they stay locked, so the plan holds."""
    plan: list[tuple[Asset, Decimal]] = []
    missing, last = tonnes, UUID(int=0)
    while missing > 0:
        statement = select(Asset).where(
            Asset.registrar == tenant(session), Asset.issued_tonnes > Asset.retired_tonnes, Asset.id > last
        )
        batch = locked_in_order(session, statement.limit(_AT_ONCE))
        if not batch:
            raise ShortError(
                f"{tonnes - missing} t are issued and free; {tonnes} t are asked for, and nothing is retired"
            )
        for asset in batch:
            part = min(missing, free_issued(session, asset))
            if part > 0:
                plan.append((asset, part))
                missing -= part
        last = batch[-1].id
    return plan


def _certify(session: Session, one: Settled, retirements: Sequence[tuple[Asset, Retirement]]) -> Certificate:
    content = {
        "kind": one.kind,
        "subject": str(one.subject),
        "registrar": tenant(session),
        "beneficiary": one.beneficiary,
        "purpose": one.purpose,
        "tonnes": str(one.tonnes),
        "retired_on": clock.today().isoformat(),
        "retirements": [
            {
                "retirement_id": str(retirement.id),
                "asset_id": str(asset.id),
                "asset": asset.name,
                "county": asset.county,
                "tonnes": str(retirement.tonnes),
                "serials": list(retirement.serials),
            }
            for asset, retirement in retirements
        ],
        "unverified_parameters": list(one.unverified),
    }
    return issue(session, one.kind, one.institution, tenant(session), one.subject, content)


def available(session: Session, registrar: str) -> Decimal:
    """Free issued units of a registrar now; a moment later there may be fewer. [tCO2e]"""
    standing = (
        select(UnitEntry.asset_id, func.sum(UnitEntry.tonnes).label("tonnes"))
        .where(UnitEntry.account == "free", UnitEntry.holder.is_(None), unspent())
        .group_by(UnitEntry.asset_id)
        .subquery()
    )
    statement = select(Asset, standing.c.tonnes).join(standing, standing.c.asset_id == Asset.id)
    rows = session.execute(statement.where(Asset.registrar == registrar))
    return sum(
        (min(tonnes, asset.free_tonnes.to_integral_value(ROUND_FLOOR)) for asset, tonnes in rows), Decimal("0.000")
    )

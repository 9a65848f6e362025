"""Once an order or a land use is paid: its units are retired, whole or not at all, and certified."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink import certificates
from services.sink.actions.units import retire_credits
from services.sink.certificates import Fact
from services.sink.tables import (
    Asset,
    CompensationCertificate,
    CompensationRetirement,
    Retirement,
    locked_in_order,
)
from shared import audit, clock
from shared.db import tenant
from shared.errors import ConflictError, ForbiddenError, NotFoundError
from shared.ids import uuid7

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


def settle(session: Session, one: Settled) -> CompensationCertificate:
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


def free_issued(asset: Asset) -> Decimal:
    """Units of an asset that are issued, not retired and nobody's. [tCO2e]"""
    return min(asset.issued_tonnes - asset.retired_tonnes, asset.free_tonnes)


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
            part = min(missing, free_issued(asset))
            if part > 0:
                plan.append((asset, part))
                missing -= part
        last = batch[-1].id
    return plan


def _certify(
    session: Session, one: Settled, retirements: Sequence[tuple[Asset, Retirement]]
) -> CompensationCertificate:
    code = certificates.new_code()
    text = certificates.written(
        {
            "code": code,
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
                }
                for asset, retirement in retirements
            ],
            "unverified_parameters": list(one.unverified),
        }
    )
    row = CompensationCertificate(
        id=uuid7(),
        institution=one.institution,
        registrar=tenant(session),
        code=code,
        content=text,
        content_hash=certificates.digest(text),
        issued_at=clock.now(),
    )
    session.add(row)
    audit.record(session, "certify_compensation", one.subject, content_hash=row.content_hash, tonnes=str(one.tonnes))
    return row


@dataclass(frozen=True)
class Verified:
    """A certificate, and whether it holds."""

    code: str
    valid: bool
    content: dict[str, Any]
    content_hash: str

    @property
    def page(self) -> str:
        """The certificate as a page to print."""
        content = self.content
        purchase = content["kind"] == "purchase"
        remarks = [
            ("所列碳汇单位已注销,不得再次使用。", "The units named are retired and cannot be used again."),
        ]
        if content["unverified_parameters"]:
            names = ", ".join(content["unverified_parameters"])
            remarks.append(
                (f"估算使用了未经核实的参数:{names}。", f"The estimate rests on parameters nobody verified: {names}.")
            )
        return certificates.render(
            ("碳汇补偿证书", "Certificate of carbon compensation")
            if purchase
            else ("占用林地碳汇补偿证书", "Certificate of compensation for forest land"),
            [
                Fact("受益人", "Beneficiary", content["beneficiary"]),
                Fact("用途", "Purpose", content["purpose"]),
                Fact("注销数量", "Units retired", f"{content['tonnes']} tCO2e"),
                Fact("注销日期", "Retired on", content["retired_on"]),
                Fact("登记机构", "Registrar", content["registrar"]),
            ],
            [("林地", "Forest"), ("县区", "County"), ("数量 tCO2e", "Tonnes"), ("注销编号", "Retirement")],
            [[r["asset"], r["county"], r["tonnes"], r["retirement_id"]] for r in content["retirements"]],
            remarks,
            code=self.code,
            content_hash=self.content_hash,
            valid=self.valid,
        )


def verify(session: Session, code: str) -> Verified:
    """Find a certificate by its code, and see that its text is unchanged and its retirements stand in the register."""
    row = session.scalars(select(CompensationCertificate).where(CompensationCertificate.code == code)).first()
    if row is None:
        raise NotFoundError("no certificate has this code")
    content: dict[str, Any] = json.loads(row.content)
    valid = certificates.digest(row.content) == row.content_hash and _stands(session, content)
    return Verified(row.code, valid, content, row.content_hash)


def _stands(session: Session, content: Mapping[str, Any]) -> bool:
    named = {UUID(one["retirement_id"]): Decimal(one["tonnes"]) for one in content["retirements"]}
    rows = session.scalars(select(Retirement).where(Retirement.id.in_(named)))
    return {row.id: row.tonnes for row in rows} == named and sum(named.values()) == Decimal(content["tonnes"])


def available(session: Session, registrar: str) -> Decimal:
    """Free issued units of a registrar now; a moment later there may be fewer. [tCO2e]"""
    spoken_for = Asset.pledged_tonnes + Asset.enforced_tonnes
    free = Asset.forecast_tonnes + Asset.issued_tonnes - Asset.retired_tonnes - spoken_for
    standing = func.least(Asset.issued_tonnes - Asset.retired_tonnes, func.greatest(free, 0))
    total = session.scalar(select(func.coalesce(func.sum(standing), 0)).where(Asset.registrar == registrar))
    return Decimal(total or 0).quantize(Decimal("0.001"))

"""Units after the forest: the programme issues credits for a vintage, and credits are used up for a reason."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.valuations import own_asset
from services.sink.tables import Issuance, Retirement
from shared import audit, clock, outbox
from shared.errors import ConflictError, InvalidError
from shared.events.sink import CreditsIssued, CreditsRetired
from shared.ids import uuid7


class OriginError(ConflictError):
    """An origin issues once."""

    kind, title = "issued-before", "This origin has issued already"


def issue_credits(
    session: Session, asset_id: UUID, origin: str, vintage_from: date, vintage_to: date, tonnes: Decimal
) -> Issuance:
    """Turn forecast units into issued ones for a vintage; growth of that vintage can be issued no more."""
    asset = own_asset(session, asset_id)
    if session.scalar(
        select(Issuance.id).where(Issuance.registrar == asset.registrar, Issuance.origin == origin).limit(1)
    ):
        raise OriginError(f"the origin {origin} has issued already")
    if not asset.crediting_from <= vintage_from <= vintage_to <= min(clock.today(), asset.crediting_until):
        raise InvalidError("a vintage lies between the start of crediting and today", errors=[_VINTAGE])
    overlapping = select(Issuance.id).where(
        Issuance.asset_id == asset.id, Issuance.vintage_from <= vintage_to, Issuance.vintage_to >= vintage_from
    )
    if session.scalar(overlapping.limit(1)):
        raise ConflictError("credits were issued for a part of this vintage already")
    if tonnes > asset.forecast_tonnes:
        raise ConflictError(f"the forecast holds {asset.forecast_tonnes} t; {tonnes} t cannot be issued out of it")
    asset.forecast_tonnes -= tonnes
    asset.issued_tonnes += tonnes
    if vintage_to > asset.verified_on:
        asset.verified_on, asset.verified_live_share = vintage_to, asset.live_share
    asset.settle()
    row = Issuance(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        origin=origin,
        vintage_from=vintage_from,
        vintage_to=vintage_to,
        tonnes=tonnes,
        issued_at=clock.now(),
    )
    session.add(row)
    outbox.put(
        session,
        CreditsIssued(
            asset_id=asset.id, issuance_id=row.id, vintage_from=vintage_from, vintage_to=vintage_to, tonnes=tonnes
        ),
    )
    audit.record(session, "issue_credits", asset.id, origin=origin, tonnes=str(tonnes))
    session.flush()
    return row


def retire_credits(session: Session, asset_id: UUID, tonnes: Decimal, reason: str) -> Retirement:
    """Use up issued units that nobody has a claim on."""
    asset = own_asset(session, asset_id)
    standing = asset.issued_tonnes - asset.retired_tonnes
    if tonnes > standing:
        raise ConflictError(f"{standing} t are issued and not retired; a forecast cannot be retired")
    if tonnes > asset.free_tonnes:
        raise ConflictError(f"{asset.free_tonnes} t are free; the rest stands behind loans")
    asset.retired_tonnes += tonnes
    asset.settle()
    row = Retirement(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        tonnes=tonnes,
        reason=reason,
        retired_at=clock.now(),
    )
    session.add(row)
    outbox.put(session, CreditsRetired(asset_id=asset.id, retirement_id=row.id, tonnes=tonnes, reason=reason))
    audit.record(session, "retire_credits", asset.id, retirement=str(row.id), tonnes=str(tonnes))
    session.flush()
    return row


_VINTAGE = {"pointer": "/vintage_from", "detail": "outside of the crediting period, or in the future"}

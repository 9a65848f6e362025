"""Issued tonnes that a loss undid: the buffer gives units for them, and the registrar replaces what it cannot give."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.actions.ledger import ZERO, Entry, whole
from services.sink.actions.units import retire_credits
from services.sink.actions.valuations import live_stock, verified_level
from services.sink.formulas.issuance import reversed_tonnes, units_to_cover
from services.sink.formulas.reversal import buffer_shortfall
from services.sink.tables import Asset, Issuance, ReplacementDuty
from shared import audit, clock, outbox
from shared.db import found, locked, tenant
from shared.errors import ConflictError, ForbiddenError
from shared.events.sink import CreditsCancelled
from shared.ids import uuid7


def cover_reversal(
    session: Session, asset: Asset, reversal_id: UUID, inputs: Mapping[str, Any]
) -> ReplacementDuty | None:
    """Cancel buffer units for issued tonnes that stand no more; what the buffer cannot give is the registrar's duty."""
    verified = select(func.max(Issuance.issued_at)).where(Issuance.asset_id == asset.id)
    duties = select(
        func.coalesce(func.sum(ReplacementDuty.buffer_tonnes), 0),
        func.coalesce(
            func.sum(ReplacementDuty.reversed_tonnes).filter(ReplacementDuty.recorded_at > verified.scalar_subquery()),
            0,
        ),
    ).where(ReplacementDuty.asset_id == asset.id)
    cancelled, covered = session.execute(duties).one()
    # Every unit that was ever minted and not taken back: a retired one too stands for a tonne in the forest.
    minted = asset.issued_tonnes + asset.buffer_tonnes + cancelled - asset.cancelled_tonnes
    undone = reversed_tonnes(float(minted), verified_level(inputs), live_stock(inputs))
    lost = Decimal(int(units_to_cover(float(undone), float(covered))))
    if not lost:
        return None
    shortfall = Decimal(int(buffer_shortfall(float(minted), float(minted - lost), float(asset.buffer_tonnes))))
    given = lost - shortfall
    serials: list[str] = []
    if given:
        reason = "reversal: issued tonnes that stand no more"
        entry = Entry(session, asset, "reverse", subject_id=reversal_id, reason=reason)
        entry.take(ledger.blocks(session, asset, "buffer"), whole(given)).to("buffer_cancelled")
        serials = entry.post()
        outbox.put(
            session,
            CreditsCancelled(
                asset_id=asset.id,
                posting_id=entry.posting.id,
                account="buffer",
                tonnes=given,
                reason=reason,
                serials=tuple(serials),
            ),
        )
    duty = ReplacementDuty(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        reversal_id=reversal_id,
        reversed_tonnes=lost,
        buffer_tonnes=given,
        duty_tonnes=shortfall,
        discharged_tonnes=ZERO,
        serials=serials,
        recorded_at=clock.now(),
    )
    session.add(duty)
    audit.record(session, "cover_reversal", asset.id, lost=str(lost), buffer=str(given), duty=str(shortfall))
    return duty


def discharge_duty(
    session: Session, duty_id: UUID, asset_id: UUID, tonnes: Decimal, holder: str | None = None
) -> ReplacementDuty:
    """Retire units of a standing forest, free or bought, in place of issued ones that a loss undid."""
    if found(session, ReplacementDuty, duty_id).registrar != tenant(session):
        raise ForbiddenError("only the registrar who owes the replacement may do this")
    duty = locked(session, ReplacementDuty, duty_id)
    left = duty.duty_tonnes - duty.discharged_tonnes
    if tonnes > left:
        raise ConflictError(f"{left} t are still to be replaced, not {tonnes} t")
    if asset_id == duty.asset_id:
        raise ConflictError("units of the forest that burned replace nothing; take them from another one")
    retire_credits(session, asset_id, tonnes, f"replacement of units reversed, duty {duty.id}", holder)
    duty.discharged_tonnes += tonnes
    audit.record(session, "discharge_duty", duty.id, tonnes=str(tonnes), asset=str(asset_id))
    session.flush()
    return duty

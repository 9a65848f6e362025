"""Issued tonnes that a loss undid: the pooled buffer gives units for them, the registrar replaces what it does not.

The buffer is pooled over a registrar's forests of one programme: each issuance gives to it by its share, any loss takes
from it. A loss that care would have prevented takes no more than its forest gave; nobody else pays for it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.actions.ledger import ZERO, Entry, whole
from services.sink.actions.units import retire_credits
from services.sink.actions.valuations import live_stock, verified_level
from services.sink.formulas.buffer import pool_share
from services.sink.formulas.issuance import reversed_tonnes, units_to_cover
from services.sink.formulas.reversal import buffer_shortfall
from services.sink.tables import Asset, BufferPool, Issuance, ReplacementDuty, Reversal
from shared import audit, clock, outbox
from shared.db import found, locked, tenant
from shared.errors import ConflictError, ForbiddenError
from shared.events.sink import CreditsCancelled
from shared.ids import uuid7

_POOL_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('sink.pool'), hashtext(:pool))")


def lock_pools(session: Session, assets: Iterable[Asset]) -> None:
    """Let losses take from a pool one after the other; to be called before a loss tells of anything.

    Cancelled units are told on the forests that gave them. Whoever has told of a forest and then waits for the pool
    would keep the one who has the pool from telling of that forest.
    """
    issued = {f"{asset.registrar} {asset.programme}" for asset in assets if asset.issued_tonnes or asset.buffer_tonnes}
    for pool in sorted(issued):
        session.execute(_POOL_LOCK, {"pool": pool})


def cover_reversal(
    session: Session, asset: Asset, reversal: Reversal, inputs: Mapping[str, Any]
) -> ReplacementDuty | None:
    """Cancel pooled units for issued tonnes that stand no more; what the pool does not give is the registrar's duty.

    The caller has the pool's lock.
    """
    verified = select(func.max(Issuance.issued_at)).where(Issuance.asset_id == asset.id)
    duties = select(
        func.coalesce(func.sum(ReplacementDuty.buffer_tonnes), 0),
        func.coalesce(
            func.sum(ReplacementDuty.reversed_tonnes).filter(ReplacementDuty.recorded_at > verified.scalar_subquery()),
            0,
        ),
    ).where(ReplacementDuty.asset_id == asset.id)
    drawn, covered = session.execute(duties).one()
    # Every unit that was ever minted and not taken back: a retired one too stands for a tonne in the forest.
    minted = asset.issued_tonnes + asset.buffer_tonnes - asset.cancelled_tonnes
    undone = reversed_tonnes(float(minted), verified_level(inputs), live_stock(inputs))
    lost = Decimal(int(units_to_cover(float(undone), float(covered))))
    if not lost:
        return None
    pool = select(BufferPool.tonnes).where(
        BufferPool.registrar == asset.registrar, BufferPool.programme == asset.programme
    )
    left = float(session.scalar(pool) or 0)
    open_to_it = float(pool_share(left, float(asset.buffer_tonnes), float(drawn), avoidable=reversal.avoidable))
    shortfall = Decimal(int(buffer_shortfall(float(minted), float(minted - lost), open_to_it)))
    given = lost - shortfall
    serials = _take(session, asset, reversal, whole(given))
    duty = ReplacementDuty(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        reversal_id=reversal.id,
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


def _take(session: Session, asset: Asset, reversal: Reversal, count: int) -> list[str]:
    """Cancel so many units of the pool, the forest's own first: one posting on each forest that gave them."""
    reason = "reversal: issued tonnes that stand no more"
    serials: list[str] = []
    blocks = ledger.pooled(session, asset, count)
    for asset_id in dict.fromkeys(block.asset_id for block in blocks):
        given = [block for block in blocks if block.asset_id == asset_id]
        part = min(count, whole(ledger.total(given)))
        if not part:
            break
        entry = Entry(session, found(session, Asset, asset_id), "reverse", subject_id=reversal.id, reason=reason)
        entry.take(given, part).to("buffer_cancelled")
        taken = entry.post()
        outbox.put(
            session,
            CreditsCancelled(
                asset_id=asset_id,
                posting_id=entry.posting.id,
                account="buffer",
                tonnes=Decimal(part),
                reason=reason,
                serials=tuple(taken),
            ),
        )
        serials += taken
        count -= part
    return serials


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

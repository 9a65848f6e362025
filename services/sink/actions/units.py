"""Units after the forest: whole ones, issued by the programme for a vintage, then transferred, used or taken back."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions import geometry, ledger
from services.sink.actions.assets import same_ground
from services.sink.actions.certificates import liens_moved
from services.sink.actions.ledger import Entry, whole
from services.sink.actions.projects import demand_reductions, issued_for
from services.sink.actions.valuations import own_asset
from services.sink.formulas.issuance import buffer_beside
from services.sink.tables import Asset, Issuance, Posting, Project, Retirement, latest_valuation
from shared import audit, clock, outbox
from shared.errors import ConflictError, InvalidError
from shared.events.sink import CreditsCancelled, CreditsIssued, CreditsRetired, CreditsTransferred
from shared.ids import uuid7

#: Issuances queue up on this: serial numbers run through the whole register, and no ground issues twice at once.
_ISSUANCE_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sink.serials'))"


class OriginError(ConflictError):
    """An origin issues once."""

    kind, title = "issued-before", "This origin has issued already"


class GroundError(ConflictError):
    """The same ground issues a vintage once, whoever registered it."""

    kind, title = "ground-issued-before", "This ground has issued for this vintage already"


def issue_credits(
    session: Session, asset_id: UUID, origin: str, vintage_from: date, vintage_to: date, tonnes: Decimal
) -> Issuance:
    """Turn forecast units into issued ones for a vintage; growth of that vintage can be issued no more.

    `tonnes` go to the owner, or to the liens on the forecast by their rank; the buffer's part is minted beside them.
    """
    asset = own_asset(session, asset_id)
    session.connection().exec_driver_sql(_ISSUANCE_LOCK)
    _demand_whole(tonnes)
    if session.scalar(
        select(Issuance.id).where(Issuance.registrar == asset.registrar, Issuance.origin == origin).limit(1)
    ):
        raise OriginError(f"the origin {origin} has issued already")
    if not asset.crediting_from <= vintage_from <= vintage_to <= min(clock.today(), asset.crediting_until):
        raise InvalidError("a vintage lies between the start of crediting and today", errors=[_VINTAGE])
    _demand_unissued_ground(session, asset, vintage_from, vintage_to)
    if tonnes > asset.forecast_tonnes:
        raise ConflictError(f"the forecast holds {asset.forecast_tonnes} t; {tonnes} t cannot be issued out of it")
    project = demand_reductions(session, asset, vintage_from, vintage_to)
    valuation = latest_valuation(session, asset)
    buffer = Decimal(int(buffer_beside(float(tonnes), float(valuation.buffer if valuation else 0))))
    first = (session.scalar(select(func.max(Issuance.last_serial))) or 0) + 1
    row = Issuance(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        origin=origin,
        vintage_from=vintage_from,
        vintage_to=vintage_to,
        tonnes=tonnes,
        buffer_tonnes=buffer,
        batch=_batch(session, asset, project, vintage_from, vintage_to),
        first_serial=first,
        last_serial=first + whole(tonnes + buffer) - 1,
        issued_at=clock.now(),
    )
    session.add(row)
    session.flush()
    asset.forecast_tonnes -= tonnes
    if vintage_to > asset.verified_on:
        asset.verified_on, asset.verified_live_share = vintage_to, asset.live_share
    if ledger.mint(session, asset, row):
        liens_moved(session, asset)
    if project is not None:
        issued_for(session, project, origin)
    outbox.put(
        session,
        CreditsIssued(
            asset_id=asset.id,
            issuance_id=row.id,
            vintage_from=vintage_from,
            vintage_to=vintage_to,
            tonnes=tonnes,
            serials=tuple(row.serials),
        ),
    )
    audit.record(session, "issue_credits", asset.id, origin=origin, tonnes=str(tonnes), serials=row.serials)
    session.flush()
    return row


def retire_credits(
    session: Session, asset_id: UUID, tonnes: Decimal, reason: str, holder: str | None = None
) -> Retirement:
    """Use up issued units that nobody has a claim on: the owner's, or those of another holder."""
    asset = own_asset(session, asset_id)
    retirement_id = uuid7()
    entry = Entry(session, asset, "retire", subject_id=retirement_id, reason=reason, holder=holder)
    _take(session, asset, entry, tonnes, holder, "retired").to("retired", holder=holder)
    serials = entry.post()
    row = Retirement(
        id=retirement_id,
        asset_id=asset.id,
        registrar=asset.registrar,
        tonnes=tonnes,
        reason=reason,
        serials=serials,
        retired_at=clock.now(),
    )
    session.add(row)
    outbox.put(
        session,
        CreditsRetired(
            asset_id=asset.id, retirement_id=row.id, tonnes=tonnes, reason=reason, serials=tuple(row.serials)
        ),
    )
    audit.record(session, "retire_credits", asset.id, retirement=str(row.id), tonnes=str(tonnes), serials=serials)
    session.flush()
    return row


def cancel_credits(
    session: Session, asset_id: UUID, tonnes: Decimal, reason: str, holder: str | None = None
) -> Posting:
    """Take issued units back that nobody has a claim on; they are used for nothing."""
    asset = own_asset(session, asset_id)
    entry = Entry(session, asset, "cancel", reason=reason, holder=holder)
    _take(session, asset, entry, tonnes, holder, "cancelled").to("cancelled", holder=holder)
    serials = entry.post()
    outbox.put(
        session,
        CreditsCancelled(
            asset_id=asset.id,
            posting_id=entry.posting.id,
            account="free" if holder is None else "transferred",
            tonnes=tonnes,
            reason=reason,
            serials=tuple(serials),
        ),
    )
    audit.record(session, "cancel_credits", asset.id, posting=str(entry.posting.id), serials=serials)
    return entry.posting


def transfer_credits(session: Session, asset_id: UUID, tonnes: Decimal, to: str, holder: str | None = None) -> Posting:
    """Write issued units over to another holder: the owner's free ones, another holder's, or a bank's enforced ones."""
    asset = own_asset(session, asset_id)
    if to == holder:
        raise InvalidError("the units are with this holder already", errors=[{"pointer": "/to", "detail": "the same"}])
    entry = Entry(session, asset, "transfer", holder=to)
    _take(session, asset, entry, tonnes, holder, "transferred").to("transferred", holder=to)
    serials = entry.post()
    outbox.put(
        session,
        CreditsTransferred(
            asset_id=asset.id, posting_id=entry.posting.id, holder=to, tonnes=tonnes, serials=tuple(serials)
        ),
    )
    audit.record(session, "transfer_credits", asset.id, posting=str(entry.posting.id), to=to, serials=serials)
    return entry.posting


def _take(session: Session, asset: Asset, entry: Entry, tonnes: Decimal, holder: str | None, done: str) -> ledger.Units:
    """Take free units of a holder out of their account, or say why they cannot be taken."""
    _demand_whole(tonnes)
    if holder is not None:
        # What a bank took over under a lien it can pass on; to use it up, it writes it over to itself first.
        accounts = ("transferred", "enforced") if done == "transferred" else ("transferred",)
        held = ledger.blocks(session, asset, *accounts, holder=holder)
        if tonnes > ledger.total(held):
            raise ledger.HolderError(f"{holder} holds {ledger.total(held)} t that can be {done}, not {tonnes} t")
        return entry.take(held, whole(tonnes))
    standing = asset.issued_tonnes - asset.retired_tonnes - asset.cancelled_tonnes - asset.transferred_tonnes
    if tonnes > standing:
        raise ConflictError(f"{standing} t are issued and not used up; a forecast cannot be {done}")
    held = ledger.blocks(session, asset, "free")
    free = min(ledger.total(held), asset.free_tonnes)
    if tonnes > free:
        raise ConflictError(f"{free} t are free; the rest stands behind loans")
    return entry.take(held, whole(tonnes))


def _demand_whole(tonnes: Decimal) -> None:
    if tonnes != whole(tonnes) or tonnes <= 0:
        raise InvalidError(
            "/tonnes: issued units are whole tonnes", errors=[{"pointer": "/tonnes", "detail": "a whole number"}]
        )


def _demand_unissued_ground(session: Session, asset: Asset, vintage_from: date, vintage_to: date) -> None:
    """Refuse a vintage that this ground has issued for, under this asset or under another one."""
    overlapping = select(Issuance.asset_id).where(
        Issuance.vintage_from <= vintage_to, Issuance.vintage_to >= vintage_from
    )
    if session.scalar(overlapping.where(Issuance.asset_id == asset.id).limit(1)):
        raise ConflictError("credits were issued for a part of this vintage already")
    near = select(Asset.geometry).where(
        Asset.id != asset.id,
        Asset.id.in_(overlapping),
        Asset.min_longitude < asset.max_longitude,
        Asset.max_longitude > asset.min_longitude,
        Asset.min_latitude < asset.max_latitude,
        Asset.max_latitude > asset.min_latitude,
    )
    mine = geometry.stored_parcel(asset.geometry)
    for stored in session.scalars(near):
        if same_ground(mine, geometry.stored_parcel(stored)):
            # Whose parcel it is, and where it lies, is nobody else's business.
            raise GroundError("credits were issued for this vintage on ground that this parcel shares")


def _batch(session: Session, asset: Asset, project: Project | None, vintage_from: date, vintage_to: date) -> str:
    """The name of a batch: programme, project or forest, both dates of the vintage, sequence."""
    ground = f"P{project.number:05d}" if project else f"F{asset.id.hex[-10:].upper()}"
    stem = f"{asset.programme.upper()}-{ground}-{vintage_from:%Y%m%d}-{vintage_to:%Y%m%d}"
    before = session.scalar(select(func.count()).where(Issuance.batch.startswith(f"{stem}-", autoescape=True))) or 0
    return f"{stem}-{before + 1:03d}"


_VINTAGE = {"pointer": "/vintage_from", "detail": "outside of the crediting period, or in the future"}

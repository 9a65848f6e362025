"""Units after the forest: whole ones, issued by the programme for a vintage, then transferred, used or taken back.

What moves units that a forest's value counts values it anew in the same transaction, so that no underwriter holds more
than there is. An issuance is refused where the forest cannot be valued; units are used all the same, the valuation in
force stands and the audit says why.
"""

from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions import geometry, ledger
from services.sink.actions.assets import same_ground
from services.sink.actions.certificates import liens_moved
from services.sink.actions.consents import demand_consent, use_consent
from services.sink.actions.ledger import Entry, whole
from services.sink.actions.projects import demand_reductions, issued_for
from services.sink.actions.ratings import rating_in_force
from services.sink.actions.valuations import (
    Basis,
    Growth,
    basis,
    buffer_share,
    growth_by,
    inputs_of,
    own_asset,
    rated_above,
    value_again,
    value_asset,
)
from services.sink.formulas.issuance import buffer_beside, credited_stock, issuable_units
from services.sink.tables import LIENS, Asset, Issuance, Posting, Project, Retirement
from shared import audit, clock, outbox
from shared.errors import ConflictError, InvalidError, RefusalError
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


class GrowthError(ConflictError):
    """No unit without a tonne that has grown."""

    kind, title = "not-grown", "Not so much has grown by the end of the vintage"


class Issuable(NamedTuple):
    """What an issuance rests on."""

    asset: Asset
    project: Project | None
    on: Basis
    growth: Growth


def demand_issuable(
    session: Session, asset_id: UUID, origin: str, vintage_from: date, vintage_to: date, tonnes: Decimal
) -> Issuable:
    """Lock an asset of the caller's register and refuse what cannot be issued for it."""
    asset = own_asset(session, asset_id)
    _demand_whole(tonnes)
    before = select(Issuance.id).where(Issuance.registrar == asset.registrar, Issuance.origin == origin)
    if session.scalar(before.limit(1)):
        raise OriginError(f"the origin {origin} has issued already", errors=_at("/origin", "has issued already"))
    _demand_vintage(asset, vintage_from, vintage_to)
    _demand_unissued_ground(session, asset, vintage_from, vintage_to)
    project = demand_reductions(session, asset, vintage_from, vintage_to)
    on = basis(session, asset.registrar)
    growth = growth_by(inputs_of(asset, on), vintage_to)
    _demand_grown(tonnes, growth, buffer_share(asset, on.p), vintage_to)
    return Issuable(asset, project, on, growth)


def issue_credits(
    session: Session, asset_id: UUID, origin: str, vintage_from: date, vintage_to: date, tonnes: Decimal
) -> Issuance:
    """Issue units for what has grown by the end of a vintage and no unit stands on yet; the forecast falls by them.

    `tonnes` go to the owner, or to the liens on the forecast by their rank; the buffer's part is minted beside them.
    """
    session.connection().exec_driver_sql(_ISSUANCE_LOCK)
    asset, project, on, growth = demand_issuable(session, asset_id, origin, vintage_from, vintage_to, tonnes)
    set_aside = buffer_share(asset, on.p)
    buffer = Decimal(int(buffer_beside(float(tonnes), set_aside)))
    rating = rating_in_force(session, asset) if rated_above(asset, on.p) else None
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
        buffer_share=Decimal(str(set_aside)).quantize(Decimal("0.0001")),
        rating_id=None if rating is None else rating.id,
        batch=_batch(session, asset, project, vintage_from, vintage_to),
        first_serial=first,
        last_serial=first + whole(tonnes + buffer) - 1,
        issued_at=clock.now(),
    )
    session.add(row)
    session.flush()
    stands_on = credited_stock(float(tonnes + buffer), growth.deduction, growth.leakage_share)
    asset.credited_tonnes += Decimal(str(stands_on)).quantize(_TONNES, ROUND_CEILING)
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
    value_asset(session, asset, "issuance", on)
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
    _value_what_is_left(session, asset, "retirement")
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
    _value_what_is_left(session, asset, "cancellation")
    return entry.posting


def transfer_credits(session: Session, asset_id: UUID, tonnes: Decimal, to: str, holder: str | None = None) -> Posting:
    """Write issued units over to another holder: the owner's free ones, another holder's, or a bank's enforced ones if
    the bank agreed to just that.
    """
    asset = own_asset(session, asset_id)
    if to == holder:
        raise InvalidError("the units are with this holder already", errors=_at("/to", "the same"))
    entry = Entry(session, asset, "transfer", holder=to)
    taken = _take(session, asset, entry, tonnes, holder, "transferred")
    consent = demand_consent(session, asset, holder, tonnes, to) if holder and entry.from_("enforced") else None
    taken.to("transferred", holder=to)
    serials = entry.post()
    if consent is not None:
        use_consent(session, consent, entry.posting)
    outbox.put(
        session,
        CreditsTransferred(
            asset_id=asset.id, posting_id=entry.posting.id, holder=to, tonnes=tonnes, serials=tuple(serials)
        ),
    )
    audit.record(session, "transfer_credits", asset.id, posting=str(entry.posting.id), to=to, serials=serials)
    _value_what_is_left(session, asset, "transfer")
    return entry.posting


def _take(session: Session, asset: Asset, entry: Entry, tonnes: Decimal, holder: str | None, done: str) -> ledger.Units:
    """Take free units of a holder out of their account, or say why they cannot be taken."""
    _demand_whole(tonnes)
    if holder is not None:
        # What a bank took over under a lien it can pass on; to use it up, it writes it over to itself first.
        accounts = ("transferred", "enforced") if done == "transferred" else ("transferred",)
        held = ledger.blocks(session, asset, *accounts, holder=holder)
        if tonnes > ledger.total(held):
            detail = f"{holder} holds {ledger.total(held)} t that can be {done}, not {tonnes} t"
            raise ledger.HolderError(detail, errors=_at("/tonnes", detail))
        return entry.take(held, whole(tonnes))
    standing = asset.issued_tonnes - asset.retired_tonnes - asset.cancelled_tonnes - asset.transferred_tonnes
    if tonnes > standing:
        detail = f"{standing} t are issued and not used up; a forecast cannot be {done}"
        raise ConflictError(detail, errors=_at("/tonnes", detail))
    held = ledger.blocks(session, asset, "free")
    free = min(ledger.total(held), asset.free_tonnes)
    if tonnes > free:
        under = {line.account for line in ledger.liens(session, asset)}
        named = " and ".join(account for account in LIENS if account in under)
        detail = f"{free} t are free; the rest is {named} behind loans, and goes nowhere without the bank"
        raise ConflictError(detail, errors=_at("/tonnes", detail))
    return entry.take(held, whole(tonnes))


def _value_what_is_left(session: Session, asset: Asset, cause: str) -> None:
    """Value a forest after units of it went; those of other holders are no part of its value."""
    try:
        value_again(session, asset, cause, basis(session, asset.registrar))
    except RefusalError as refusal:
        audit.record(session, "leave_valuation", asset.id, cause=cause, detail=refusal.detail)


def _demand_grown(tonnes: Decimal, growth: Growth, set_aside: float, vintage_to: date) -> None:
    """Refuse more than has grown by the end of the vintage, after what was issued, the discount and the buffer."""
    most = int(issuable_units(growth.removal, growth.deduction, set_aside))
    if tonnes > most:
        detail = (
            f"by {vintage_to} {max(0.0, growth.removal):.3f} t have grown beyond what was issued; after a discount of"
            f" {growth.deduction:.4f} and a buffer of {set_aside:.4f} that is {most} t, not {tonnes} t"
        )
        raise GrowthError(detail, errors=_at("/tonnes", f"at most {most}"))


def _demand_whole(tonnes: Decimal) -> None:
    if tonnes != whole(tonnes) or tonnes <= 0:
        raise InvalidError("/tonnes: issued units are whole tonnes", errors=_at("/tonnes", "a whole number"))


def _demand_vintage(asset: Asset, vintage_from: date, vintage_to: date) -> None:
    """Refuse a vintage that lies outside of the crediting period, ends before it begins, or has not ended yet."""
    wrong = None
    if vintage_from < asset.crediting_from:
        wrong = "/vintage_from", f"crediting began on {asset.crediting_from}"
    elif vintage_to < vintage_from:
        wrong = "/vintage_to", "a vintage ends after it began"
    elif vintage_to > clock.today():
        wrong = "/vintage_to", "lies in the future: what has not grown yet is not issued"
    elif vintage_to > asset.crediting_until:
        wrong = "/vintage_to", f"crediting ended on {asset.crediting_until}"
    if wrong:
        pointer, detail = wrong
        raise InvalidError(f"{pointer}: no such vintage; {detail}", errors=_at(pointer, detail))


def _at(pointer: str, detail: str) -> list[dict[str, str]]:
    return [{"pointer": pointer, "detail": detail}]


def _demand_unissued_ground(session: Session, asset: Asset, vintage_from: date, vintage_to: date) -> None:
    """Refuse a vintage that this ground has issued for, under this asset or under another one."""
    overlapping = select(Issuance.asset_id).where(
        Issuance.vintage_from <= vintage_to, Issuance.vintage_to >= vintage_from
    )
    if session.scalar(overlapping.where(Issuance.asset_id == asset.id).limit(1)):
        detail = "credits were issued for a part of this vintage already"
        raise ConflictError(detail, errors=_at("/vintage_from", detail))
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
            detail = "credits were issued for this vintage on ground that this parcel shares"
            raise GroundError(detail, errors=_at("/vintage_from", detail))


def _batch(session: Session, asset: Asset, project: Project | None, vintage_from: date, vintage_to: date) -> str:
    """The name of a batch: programme, project or forest, both dates of the vintage, sequence."""
    ground = f"P{project.number:05d}" if project else f"F{asset.id.hex[-10:].upper()}"
    stem = f"{asset.programme.upper()}-{ground}-{vintage_from:%Y%m%d}-{vintage_to:%Y%m%d}"
    before = session.scalar(select(func.count()).where(Issuance.batch.startswith(f"{stem}-", autoescape=True))) or 0
    return f"{stem}-{before + 1:03d}"


_TONNES = Decimal("0.001")

"""Consents: what a bank took over under its lien goes nowhere before the bank has agreed to it."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.tables import Asset, Consent, Pledge, Posting
from shared import audit, clock, outbox
from shared.db import found, locked, tenant
from shared.errors import ConflictError, InvalidError, StateError
from shared.events.sink import TransferAgreed
from shared.ids import uuid7


class ConsentError(ConflictError):
    """No unit of a bank moves without it."""

    kind, title = "bank-consent-missing", "The bank has not agreed to this"


def agree_to_transfer(session: Session, pledge_id: UUID, actor: str, tonnes: Decimal, to: str) -> Consent:
    """Let the registrar write so many of the caller's enforced units over to somebody, once."""
    pledge = locked(session, Pledge, pledge_id)
    if pledge.state != "enforced":
        raise StateError(f"the lien is {pledge.state}; only what was enforced is the bank's to give")
    if tonnes > pledge.tonnes:
        detail = f"the lien took {pledge.tonnes} t over"
        raise InvalidError(f"/tonnes: {detail}", errors=[{"pointer": "/tonnes", "detail": detail}])
    asset = found(session, Asset, pledge.asset_id)
    row = Consent(
        id=uuid7(),
        institution=tenant(session),
        registrar=asset.registrar,
        pledge_id=pledge.id,
        asset_id=asset.id,
        tonnes=tonnes,
        to=to,
        given_by=actor,
        given_at=clock.now(),
        posting_id=None,
    )
    session.add(row)
    outbox.put(
        session,
        TransferAgreed(
            asset_id=asset.id,
            loan_id=pledge.loan_id,
            bank=pledge.institution,
            pledge_id=pledge.id,
            consent_id=row.id,
            tonnes=tonnes,
            to=to,
        ),
    )
    audit.record(session, "agree_to_transfer", pledge.id, consent=str(row.id), tonnes=str(tonnes))
    session.flush()
    return row


def demand_consent(session: Session, asset: Asset, bank: str, tonnes: Decimal, to: str) -> Consent:
    """The bank's unused consent to exactly this, locked."""
    open_ = select(Consent).where(
        Consent.asset_id == asset.id,
        Consent.institution == bank,
        Consent.tonnes == tonnes,
        Consent.to == to,
        Consent.posting_id.is_(None),
    )
    consent = session.scalars(open_.order_by(Consent.id).limit(1).with_for_update()).first()
    if consent is None:
        detail = f"{bank} took these units over and has not agreed that {tonnes} t go to {to}"
        raise ConsentError(detail, errors=[{"pointer": "/holder", "detail": "the bank's consent is missing"}])
    return consent


def use_consent(session: Session, consent: Consent, posting: Posting) -> None:
    """Let a consent serve for a transfer, and for no other."""
    consent.posting_id = posting.id
    audit.record(session, "use_consent", consent.id, posting=str(posting.id))

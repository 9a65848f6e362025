"""Orders for units: quoted at the market's spot, paid to the registrar, then retired whole and certified."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.prices import market
from services.sink.actions.refusals import invalid
from services.sink.actions.settlement import Settled, ShortError, available, own_register, settle
from services.sink.tables import Asset, CompensationOrder, Footprint
from shared import audit, clock, money
from shared.db import found, locked, tenant
from shared.errors import ConflictError, ForbiddenError, StateError
from shared.ids import uuid7


@dataclass(frozen=True)
class OrderFacts:
    """What somebody wants made up for: a footprint, or tonnes."""

    registrar: str
    beneficiary: str
    purpose: str
    footprint_id: UUID | None = None
    tonnes: Decimal | None = None


def quote(session: Session, facts: OrderFacts) -> CompensationOrder:
    """Quote an order at today's spot price and the margin in force, for units that are there; none is set aside."""
    tonnes, unverified = _tonnes(session, facts)
    if session.scalar(select(Asset.id).where(Asset.registrar == facts.registrar).limit(1)) is None:
        raise invalid("/registrar", "nobody keeps a register under this name")
    if tonnes > (left := available(session, facts.registrar)):
        raise ShortError(f"{left} t are issued and free; {tonnes} t cannot be quoted")
    p = PARAMETERS.at(clock.today())
    in_force, _ = market(session, facts.registrar, p)
    spot, margin = Decimal(in_force.spot_price), Decimal(str(p["compensation.margin"]))
    unit_price = money.yuan(spot * (1 + margin))
    valid_until = clock.now() + timedelta(days=p["compensation.quote_days"])
    order = CompensationOrder(
        id=uuid7(),
        institution=tenant(session),
        registrar=facts.registrar,
        footprint_id=facts.footprint_id,
        beneficiary=facts.beneficiary,
        purpose=facts.purpose,
        tonnes=tonnes,
        price_curve=in_force.name,
        spot_price=spot,
        margin=margin,
        unit_price=unit_price,
        amount=max(money.FEN, money.yuan(tonnes * unit_price)),
        parameters_hash=p.digest,
        unverified_parameters=sorted({*unverified, *p.unverified}),
        state="quoted",
        payment_reference=None,
        refund_reference=None,
        certificate_code=None,
        claimed_tonnes=Decimal(0),
        quoted_at=clock.now(),
        valid_until=valid_until,
        paid_at=None,
        retired_at=None,
    )
    session.add(order)
    audit.record(session, "quote_compensation", order.id, tonnes=str(tonnes), amount=str(order.amount))
    session.flush()
    return order


def _tonnes(session: Session, facts: OrderFacts) -> tuple[Decimal, list[str]]:
    if (facts.footprint_id is None) == (facts.tonnes is None):
        raise invalid("/tonnes", "give either tonnes or a footprint")
    if facts.footprint_id is None:
        return facts.tonnes or Decimal(0), []
    footprint = found(session, Footprint, facts.footprint_id)
    # Locked, so that of two orders for one footprint the second sees the first.
    session.refresh(footprint, with_for_update=True)
    standing = select(CompensationOrder.id).where(
        CompensationOrder.footprint_id == footprint.id, CompensationOrder.state.in_(("quoted", "paid", "retired"))
    )
    if session.scalar(standing.limit(1)):
        raise ConflictError("this footprint has an order already; cancel it first")
    return footprint.tonnes, list(footprint.unverified_parameters)


def record_receipt(session: Session, order_id: UUID, amount: Decimal, reference: str) -> CompensationOrder:
    """Record that the registrar was paid the quoted amount, while the quote holds."""
    order = _own(session, order_id, "quoted")
    if clock.now() > order.valid_until:
        raise StateError("the quote has run out; cancel the order and ask for a new one")
    if amount != order.amount:
        raise invalid("/amount", f"the order is for {order.amount} CNY")
    order.state, order.payment_reference, order.paid_at = "paid", reference, clock.now()
    audit.record(session, "record_compensation_receipt", order.id, amount=str(amount), reference=reference)
    session.flush()
    return order


def retire_order(session: Session, order_id: UUID) -> CompensationOrder:
    """Retire the units of a paid order, all of them or none, and certify it."""
    order = _own(session, order_id, "paid")
    certificate = settle(
        session,
        Settled(
            order.institution,
            "purchase",
            order.id,
            order.beneficiary,
            order.purpose,
            order.tonnes,
            order.unverified_parameters,
        ),
    )
    order.state, order.certificate_code, order.retired_at = "retired", certificate.code, clock.now()
    session.flush()
    return order


def refund_order(session: Session, order_id: UUID, reference: str) -> CompensationOrder:
    """Record that a paid order was paid back: its units were not to be had."""
    order = _own(session, order_id, "paid")
    order.state, order.refund_reference = "refunded", reference
    audit.record(session, "refund_compensation", order.id, amount=str(order.amount), reference=reference)
    session.flush()
    return order


def cancel_order(session: Session, order_id: UUID) -> CompensationOrder:
    """Take back an order that is not paid."""
    order = locked(session, CompensationOrder, order_id)
    if order.institution != tenant(session):
        raise ForbiddenError("only the buyer cancels an order")
    if order.state != "quoted":
        raise StateError(f"the order is {order.state}")
    order.state = "cancelled"
    audit.record(session, "cancel_compensation", order.id)
    session.flush()
    return order


def _own(session: Session, order_id: UUID, state: str) -> CompensationOrder:
    """Lock an order at the caller's register that is in the state a step begins with."""
    order = locked(session, CompensationOrder, order_id)
    own_register(session, order.registrar)
    if order.state != state:
        raise StateError(f"the order is {order.state}")
    return order

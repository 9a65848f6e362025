"""Orders for units: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import orders
from services.sink.actions.orders import OrderFacts
from services.sink.schemas.orders import (
    OrderRequest,
    OrderResponse,
    ReceiptRequest,
    RefundRequest,
)
from services.sink.tables import CompensationOrder
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("orders", __name__, url_prefix="/v1", description="Units bought and used up for somebody")


@blp.command("POST", "/compensation-orders", scope="sink:compensate")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(OrderRequest())
@blp.response(201, OrderResponse())
def post_compensation_order(session: Session, body: dict[str, Any]) -> tuple[CompensationOrder, dict[str, str]]:
    """Ask for a quote of the units of a footprint, or of tonnes."""
    order = orders.quote(session, OrderFacts(**body))
    return order, {"Location": f"/v1/compensation-orders/{order.id}"}


@blp.query("/compensation-orders", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(OrderResponse(), "OrderPage"))
def get_compensation_orders(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the orders that the caller placed or that are placed with it, newest first."""
    return page(session, select(CompensationOrder), CompensationOrder.id, query)


@blp.query("/compensation-orders/<uuid:order_id>", scope="sink:read")
@blp.response(200, OrderResponse())
def get_compensation_order(session: Session, order_id: UUID) -> CompensationOrder:
    """Show an order."""
    return found(session, CompensationOrder, order_id)


@blp.command("POST", "/compensation-orders/<uuid:order_id>/receipt", scope="sink:register", if_match=True)
@blp.arguments(ReceiptRequest())
@blp.response(200, OrderResponse())
def post_order_receipt(session: Session, body: dict[str, Any], order_id: UUID) -> CompensationOrder:
    """Record the payment of an order, as its registrar."""
    return orders.record_receipt(session, order_id, body["amount"], body["reference"])


@blp.command("POST", "/compensation-orders/<uuid:order_id>/retirement", scope="sink:register", if_match=True)
@blp.response(200, OrderResponse())
def post_order_retirement(session: Session, order_id: UUID) -> CompensationOrder:
    """Retire the units of a paid order, all or none, and certify it."""
    return orders.retire_order(session, order_id)


@blp.command("POST", "/compensation-orders/<uuid:order_id>/refund", scope="sink:register", if_match=True)
@blp.arguments(RefundRequest())
@blp.response(200, OrderResponse())
def post_order_refund(session: Session, body: dict[str, Any], order_id: UUID) -> CompensationOrder:
    """Record that a paid order was paid back, as its registrar."""
    return orders.refund_order(session, order_id, body["reference"])


@blp.command("POST", "/compensation-orders/<uuid:order_id>/cancellation", scope="sink:compensate", if_match=True)
@blp.response(200, OrderResponse())
def post_order_cancellation(session: Session, order_id: UUID) -> CompensationOrder:
    """Take back an order that is not paid, as its buyer."""
    return orders.cancel_order(session, order_id)

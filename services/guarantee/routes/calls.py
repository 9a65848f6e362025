"""Calls, their payment, recoveries and journal."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import calls
from services.guarantee.schemas.calls import (
    CALLS,
    RECOVERIES,
    CallQuery,
    CallResponse,
    JournalQuery,
    JournalResponse,
    PaymentRequest,
)
from services.guarantee.tables import Call, Recovery
from shared.db import found
from shared.fields import PageQuery
from shared.web import Blueprint, page

blp = Blueprint("calls", __name__, url_prefix="/v1", description="Calls, their payment, recoveries and journal")


@blp.query("/calls", scope="guarantee:read")
@blp.arguments(CallQuery(), location="query")
@blp.response(200, CALLS)
def get_calls(session: Session, query: dict[str, Any]) -> object:
    """List calls, newest first."""
    statement = select(Call)
    if query["state"] is not None:
        statement = statement.where(Call.state == query["state"])
    if query["loan_id"] is not None:
        statement = statement.where(Call.loan_id == query["loan_id"])
    return page(session, statement, Call.id, query, state=query["state"], loan_id=query["loan_id"])


@blp.query("/calls/<uuid:call_id>", scope="guarantee:read")
@blp.response(200, CallResponse())
def get_call(session: Session, call_id: UUID) -> Call:
    """Show a call."""
    return found(session, Call, call_id)


@blp.command("POST", "/calls/<uuid:call_id>/payment", scope="guarantee:pay", if_match=True)
@blp.arguments(PaymentRequest())
@blp.response(200, CallResponse())
def post_payment(session: Session, body: dict[str, Any], call_id: UUID) -> Call:
    """Pay the bank everything but its own share."""
    return calls.pay_call(session, call_id, body["reference"])


@blp.query("/calls/<uuid:call_id>/recoveries", scope="guarantee:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, RECOVERIES)
def get_recoveries(session: Session, query: dict[str, Any], call_id: UUID) -> object:
    """List the recoveries shared on a call, newest first."""
    found(session, Call, call_id)
    return page(session, select(Recovery).where(Recovery.call_id == call_id), Recovery.id, query)


@blp.query("/calls/<uuid:call_id>/journal", scope="guarantee:read")
@blp.arguments(JournalQuery(), location="query")
@blp.response(200, JournalResponse())
def get_journal(session: Session, query: dict[str, Any], call_id: UUID) -> object:
    """Show the double-entry journal of a call and the balance of each account, now or at a moment."""
    whole = calls.journal(session, call_id)
    rows = [row for row in whole if query["at"] is None or row.booked_at <= query["at"]]
    sums = calls.balances(rows)
    return {
        "rows": rows,
        "balances": [{"account": name, "balance": sums[name]} for name in sorted(sums)],
        "intact": calls.intact(whole),
    }

"""The HTTP door of the guarantee service."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import calls, profile, schemes
from services.guarantee.schemas import (
    BUCKETS,
    CALLS,
    GUARANTEES,
    RECOVERIES,
    BucketQuery,
    CallQuery,
    CallResponse,
    GuaranteeQuery,
    GuaranteeResponse,
    JournalResponse,
    PaymentRequest,
    ProfileRequest,
    ProfileResponse,
    SchemeList,
)
from services.guarantee.tables import Bucket, Call, Guarantee, Profile, Recovery
from shared.db import found
from shared.fields import PageQuery
from shared.web import Blueprint, page

blp = Blueprint("guarantee", __name__, url_prefix="/v1", description="Capacity of guarantors, guarantees and calls")


@blp.query("/profile", scope="guarantee:read")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.response(200, ProfileResponse())
def get_profile(session: Session) -> Profile:
    """Show the guarantor's own profile."""
    return profile.profile_of(session)


@blp.command("POST", "/profile", scope="guarantee:manage", if_match=True)
@blp.arguments(ProfileRequest())
@blp.response(200, ProfileResponse())
def post_profile(session: Session, body: dict[str, Any]) -> Profile:
    """Set the guarantor's whole profile; If-Match is "v0" for the first.

    Caps move with it at once. A cap below its use is kept as an over-limit state that blocks new use.
    """
    return profile.set_profile(session, body)


@blp.query("/headroom", scope="guarantee:read")
@blp.arguments(BucketQuery(), location="query")
@blp.response(200, BUCKETS)
def get_headroom(session: Session, query: dict[str, Any]) -> object:
    """Show every limit with what is taken, held and left."""
    statement = select(Bucket)
    if query["kind"] is not None:
        statement = statement.where(Bucket.kind == query["kind"])
    if query["key"] is not None:
        statement = statement.where(Bucket.key == query["key"])
    if query["over_limit"] is not None:
        over = Bucket.cap_effective > Bucket.cap_legal
        statement = statement.where(over if query["over_limit"] else ~over)
    chosen = [query[name] for name in ("kind", "key", "over_limit")]
    return page(session, statement, Bucket.id, query, chosen=chosen)


@blp.query("/guarantees", scope="guarantee:read")
@blp.arguments(GuaranteeQuery(), location="query")
@blp.response(200, GUARANTEES)
def get_guarantees(session: Session, query: dict[str, Any]) -> object:
    """List guarantees and refusals, newest first."""
    statement = select(Guarantee)
    if query["state"] is not None:
        statement = statement.where(Guarantee.state == query["state"])
    if query["loan_id"] is not None:
        statement = statement.where(Guarantee.loan_id == query["loan_id"])
    return page(session, statement, Guarantee.id, query, state=query["state"], loan_id=query["loan_id"])


@blp.query("/guarantees/<uuid:guarantee_id>", scope="guarantee:read")
@blp.response(200, GuaranteeResponse())
def get_guarantee(session: Session, guarantee_id: UUID) -> Guarantee:
    """Show a guarantee with the limits and reasons behind the decision."""
    return found(session, Guarantee, guarantee_id)


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
@blp.response(200, JournalResponse())
def get_journal(session: Session, call_id: UUID) -> object:
    """Show the double-entry journal of a call and the balance of each account."""
    rows = calls.journal(session, call_id)
    sums = calls.balances(rows)
    return {"rows": rows, "balances": [{"account": name, "balance": sums[name]} for name in sorted(sums)]}


@blp.query("/schemes", scope="guarantee:read")
@blp.response(200, SchemeList())
def get_schemes(session: Session) -> object:
    """List the sharing schemes in force."""
    return {"items": schemes.schemes()}

"""The ledger of units: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions import replacements, units
from services.sink.schemas.units import (
    BlockQuery,
    BlockResponse,
    CancellationRequest,
    DischargeRequest,
    DutyResponse,
    PoolResponse,
    PostingQuery,
    PostingResponse,
    TransferRequest,
    UnitsQuery,
)
from services.sink.tables import Block, BufferPool, Issuance, Posting, ReplacementDuty
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("ledger", __name__, url_prefix="/v1", description="Every unit, where it stands and how it came there")


@blp.query("/blocks", scope="sink:read")
@blp.arguments(BlockQuery(), location="query")
@blp.response(200, page_of(BlockResponse(), "BlockPage"))
def get_blocks(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """Find issued units by serial number, batch, asset, account or holder. Under whose lien they are stays unsaid."""
    statement = select(Block)
    filters = {name: query[name] for name in ("asset_id", "account", "holder", "serial")}
    for name in ("asset_id", "account", "holder"):
        if query[name]:
            statement = statement.where(getattr(Block, name) == query[name])
    if query["serial"]:
        batch, _, numbers = query["serial"].rpartition(":") if ":" in query["serial"] else ("", "", query["serial"])
        if not batch and not numbers.isdecimal():
            batch, numbers = numbers, ""
        if batch:
            statement = statement.where(Block.batch == batch)
        if numbers:
            first, _, last = numbers.partition("-")
            wanted = func.int8range(int(first), int(last or first), "[]")
            # By way of the issuance, whose ranges have an index.
            issued = func.int8range(Issuance.first_serial, Issuance.last_serial, "[]").op("&&")(wanted)
            statement = statement.where(
                Block.issuance_id.in_(select(Issuance.id).where(issued)),
                Block.first_serial <= int(last or first),
                Block.last_serial >= int(first),
            )
    return page(session, statement, Block.id, query, **filters)


@blp.query("/postings", scope="sink:read")
@blp.arguments(PostingQuery(), location="query")
@blp.response(200, page_of(PostingResponse(), "PostingPage"))
def get_postings(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List movements of units, newest first."""
    statement = select(Posting)
    if query["asset_id"]:
        statement = statement.where(Posting.asset_id == query["asset_id"])
    if query["kind"]:
        statement = statement.where(Posting.kind == query["kind"])
    return page(session, statement, Posting.id, query, asset_id=query["asset_id"], kind=query["kind"])


@blp.command("POST", "/cancellations", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(CancellationRequest())
@blp.response(201, PostingResponse())
def post_cancellation_of_units(session: Session, body: dict[str, Any]) -> Posting:
    """Take issued, free credits back for a stated reason, unused."""
    return units.cancel_credits(session, **body)


@blp.command("POST", "/transfers", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(TransferRequest())
@blp.response(201, PostingResponse())
def post_transfer(session: Session, body: dict[str, Any]) -> Posting:
    """Write issued, free credits over to another holder."""
    return units.transfer_credits(session, **body)


@blp.query("/buffer-pools", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(PoolResponse(), "PoolPage"))
def get_pools(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the pooled buffers."""
    return page(session, select(BufferPool), BufferPool.id, query)


@blp.query("/replacement-duties", scope="sink:read")
@blp.arguments(UnitsQuery(), location="query")
@blp.response(200, page_of(DutyResponse(), "DutyPage"))
def get_duties(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List what reversals undid of issued units, newest first."""
    statement = select(ReplacementDuty)
    if query["asset_id"]:
        statement = statement.where(ReplacementDuty.asset_id == query["asset_id"])
    return page(session, statement, ReplacementDuty.id, query, asset_id=query["asset_id"])


@blp.query("/replacement-duties/<uuid:duty_id>", scope="sink:read")
@blp.response(200, DutyResponse())
def get_duty(session: Session, duty_id: UUID) -> ReplacementDuty:
    """Show what a reversal undid of issued units, and what is still to be replaced."""
    return found(session, ReplacementDuty, duty_id)


@blp.command("POST", "/replacement-duties/<uuid:duty_id>/discharges", scope="sink:register")
@blp.arguments(DischargeRequest())
@blp.response(201, DutyResponse())
def post_discharge(session: Session, body: dict[str, Any], duty_id: UUID) -> ReplacementDuty:
    """Retire units of another forest in place of lost ones."""
    return replacements.discharge_duty(session, duty_id, **body)

"""The book's bad years."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import accumulations
from services.insurance.schemas.accumulations import (
    AccumulationItem,
    AccumulationRequest,
    AccumulationResponse,
    BalanceSheetsResponse,
    ExchangeQuery,
    PictureQuery,
)
from services.insurance.schemas.bulk_pricing import SpreadsheetQuery
from services.insurance.tables import Accumulation
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.spreadsheets import FORMATS
from shared.web import Blueprint, caller, download, downloads, page

blp = Blueprint("insurance-accumulations", __name__, url_prefix="/v1", description="The book's bad years.")


@blp.command("POST", "/accumulations", scope="insurance:underwrite")
@blp.arguments(AccumulationRequest())
@blp.response(202, AccumulationResponse())
def post_accumulation(session: Session, body: dict[str, Any]) -> Any:
    """Strike today's book with the events of so many years; a job of the same id goes through them."""
    made = accumulations.start(session, body["years"], body["seed"], caller().subject)
    session.flush()
    return made, {"Location": f"/v1/accumulations/{made.id}"}


@blp.query("/accumulations", scope="insurance:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(AccumulationItem(), "AccumulationPage"))
def get_accumulations(session: Session, query: dict[str, Any]) -> Any:
    """List the runs, newest first."""
    return page(session, select(Accumulation), Accumulation.id, query)


@blp.query("/accumulations/<uuid:accumulation_id>", scope="insurance:read")
@blp.response(200, AccumulationResponse())
def get_accumulation(session: Session, accumulation_id: UUID) -> Any:
    """Show a run: average and bad years of the book by peril, county, bank and guarantor."""
    return found(session, Accumulation, accumulation_id)


@blp.query("/accumulations/<uuid:accumulation_id>/years", scope="insurance:read")
@blp.arguments(SpreadsheetQuery(), location="query")
@blp.doc(responses=downloads(*FORMATS))
def get_accumulation_years(session: Session, query: dict[str, Any], accumulation_id: UUID) -> Response:
    """Download the year loss table."""
    table = accumulations.years_file(session, accumulation_id, query["format"])
    return download(table, f"years-{accumulation_id}.{query['format']}")


@blp.query("/accumulations/<uuid:accumulation_id>/exchange", scope="insurance:read")
@blp.arguments(ExchangeQuery(), location="query")
@blp.doc(responses=downloads("csv"))
def get_accumulation_exchange(session: Session, query: dict[str, Any], accumulation_id: UUID) -> Response:
    """Download the book as open exposure data (OED), or the results as open results data (ORD), as CSV."""
    table = query["table"]
    return download(accumulations.exchange_file(session, accumulation_id, table), f"{table}.csv")


@blp.query("/accumulations/<uuid:accumulation_id>/balance-sheets", scope="insurance:read")
@blp.response(200, BalanceSheetsResponse())
def get_accumulation_balance_sheets(session: Session, accumulation_id: UUID) -> Any:
    """Show what the worst years and events do to insurer, bank and guarantor together, and what is assumed."""
    return accumulations.balance_sheets(session, accumulation_id)


@blp.query("/accumulations/<uuid:accumulation_id>/picture", scope="insurance:read")
@blp.arguments(PictureQuery(), location="query")
@blp.doc(responses=downloads("svg"))
def get_accumulation_picture(session: Session, query: dict[str, Any], accumulation_id: UUID) -> Response:
    """Draw a run: exceedance curves, the waterfall of a mean year from ground-up to net, or the map of sums insured."""
    return download(accumulations.picture(session, accumulation_id, query["of"]).encode(), f"{query['of']}.svg")

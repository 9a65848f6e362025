"""Many would-be applications at once."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import prescreens
from services.credit.schemas.prescreens import PrescreenQuery, PrescreenResponse, SpreadsheetQuery
from services.credit.tables import Prescreen
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.spreadsheets import FORMATS
from shared.web import Blueprint, caller, download, downloads, page, uploaded

blp = Blueprint("prescreens", __name__, url_prefix="/v1", description="Many would-be applications at once")
_FILE = downloads(*FORMATS)


@blp.upload("/prescreens", scope="credit:apply", largest=prescreens.MAX_FILE)
@blp.arguments(PrescreenQuery(), location="query")
@blp.response(202, PrescreenResponse())
def post_prescreen(session: Session, query: dict[str, Any]) -> Any:
    """Score and price a file of would-be applications, CSV or Excel; a job of the same id goes through it.

    Nothing personal is taken. With dry_run the rows are only checked.
    """
    made = prescreens.start(
        session,
        uploaded().file,
        format_=query["format"],
        charset=query["charset"],
        dry_run=query["dry_run"] == "true",
        officer=caller().subject,
    )
    session.flush()
    return made, {"Location": f"/v1/prescreens/{made.id}"}


@blp.query("/prescreens/template", scope="credit:read")
@blp.arguments(SpreadsheetQuery(), location="query")
@blp.doc(responses=_FILE)
def get_prescreen_template(session: Session, query: dict[str, Any]) -> Response:
    """Download a file with every column and one example row."""
    return download(prescreens.template(query["format"]), f"prescreen.{query['format']}")


@blp.query("/prescreens", scope="credit:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(PrescreenResponse(), "PrescreenPage"))
def get_prescreens(session: Session, query: dict[str, Any]) -> Any:
    """List the files that were screened, newest first."""
    return page(session, select(Prescreen), Prescreen.id, query)


@blp.query("/prescreens/<uuid:prescreen_id>", scope="credit:read")
@blp.response(200, PrescreenResponse())
def get_prescreen(session: Session, prescreen_id: UUID) -> Any:
    """Show how far the screening of a file has come."""
    return found(session, Prescreen, prescreen_id)


@blp.query("/prescreens/<uuid:prescreen_id>/results", scope="credit:read")
@blp.arguments(SpreadsheetQuery(), location="query")
@blp.doc(responses=_FILE)
def get_prescreen_results(session: Session, query: dict[str, Any], prescreen_id: UUID) -> Response:
    """Download what became of each row so far: outcome, score, reasons, an estimate of the rate, or what is wrong."""
    table = prescreens.results(session, prescreen_id, query["format"])
    return download(table, f"prescreen-{prescreen_id}.{query['format']}")

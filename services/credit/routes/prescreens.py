"""Many would-be applications at once."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import prescreens
from services.credit.schemas.prescreens import PrescreenQuery, PrescreenResponse
from services.credit.tables import Prescreen
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page, uploaded

blp = Blueprint("prescreens", __name__, url_prefix="/v1", description="Many would-be applications at once")
_CSV = {200: {"description": "The file", "content": {"text/csv": {"schema": {"type": "string"}}}}}


@blp.upload("/prescreens", scope="credit:apply", largest=prescreens.MAX_FILE)
@blp.arguments(PrescreenQuery(), location="query")
@blp.response(202, PrescreenResponse())
def post_prescreen(session: Session, query: dict[str, Any]) -> Any:
    """Score and price a CSV file of would-be applications; a job of the same id goes through it.

    Nothing personal is taken. With dry_run the rows are only checked.
    """
    made = prescreens.start(session, uploaded().file, query["dry_run"] == "true", caller().subject)
    session.flush()
    return made, {"Location": f"/v1/prescreens/{made.id}"}


@blp.query("/prescreens/template", scope="credit:read")
@blp.doc(responses=_CSV)
def get_prescreen_template(session: Session) -> Response:
    """Download a file with every column and one example row."""
    return _file(prescreens.template(), "prescreen.csv")


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
@blp.doc(responses=_CSV)
def get_prescreen_results(session: Session, prescreen_id: UUID) -> Response:
    """Download what became of each row so far: outcome, score, reasons, an estimate of the rate, or what is wrong."""
    return _file(prescreens.results_as_csv(session, prescreen_id), f"prescreen-{prescreen_id}.csv")


def _file(text: str, name: str) -> Response:
    # With the mark, Excel reads it as UTF-8.
    response = Response(text.encode("utf-8-sig"), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

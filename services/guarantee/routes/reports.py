"""The report for regulator and board."""

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from services.guarantee.actions import portfolio_risk, reports
from services.guarantee.schemas.portfolio_risk import PortfolioRiskResponse
from services.guarantee.schemas.reports import ROW_PAGE, ReportQuery, ReportResponse, RowQuery
from shared.spreadsheets import FORMATS
from shared.web import Blueprint, download, downloads, page

blp = Blueprint("guarantee-reports", __name__, url_prefix="/v1", description="The report for regulator and board")


@blp.query("/reports/supervision", scope="guarantee:read")
@blp.arguments(ReportQuery(), location="query")
@blp.doc(responses={404: "NOT_FOUND", **downloads(*FORMATS)})
@blp.response(200, ReportResponse())
def get_supervision(session: Session, query: dict[str, Any]) -> dict[str, Any] | Response:
    """Show liability, concentration, compensation and support as of now, each counted twice and traced to its rule."""
    made = reports.report(session)
    if query["format"] is None:
        return reports.view(made)
    return download(reports.table(made, query["format"]), f"supervision.{query['format']}")


@blp.query("/reports/supervision/rows", scope="guarantee:read")
@blp.arguments(RowQuery(), location="query")
@blp.response(200, ROW_PAGE)
def get_supervision_rows(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the rows behind a figure as they are now, newest first; their values sum to it."""
    rows = reports.rows_of(session, query["figure"])
    some = page(session, rows.statement, rows.table.id, query, figure=query["figure"])
    return some | {"items": [reports.shown(rows, row) for row in some["items"]]}


@blp.query("/reports/portfolio-risk", scope="guarantee:read")
@blp.response(200, PortfolioRiskResponse())
def get_portfolio_risk(session: Session) -> portfolio_risk.Risk:
    """Show what the book in force may lose in a year: expected loss, and capital by two models and by county."""
    return portfolio_risk.risk(session)

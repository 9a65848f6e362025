"""Many prices at once."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import bulk_pricing
from services.insurance.schemas.bulk_pricing import (
    BulkPricingResponse,
    PricingFileQuery,
    RenewalsRequest,
    RepricingRequest,
    SpreadsheetQuery,
)
from services.insurance.tables import BulkPricing
from shared import clock
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.spreadsheets import FORMATS
from shared.web import Blueprint, caller, download, downloads, page, uploaded

blp = Blueprint("insurance-pricings", __name__, url_prefix="/v1", description="Many prices at once.")
_FILE = downloads(*FORMATS)


@blp.upload("/pricings", scope="insurance:underwrite", largest=bulk_pricing.MAX_FILE)
@blp.arguments(PricingFileQuery(), location="query")
@blp.response(202, BulkPricingResponse())
def post_pricing(session: Session, query: dict[str, Any]) -> Any:
    """Price a file of forests, CSV or Excel, each as a cover of its own; a job of the same id goes through it."""
    made = bulk_pricing.start_file(session, uploaded().file, query["format"], query["charset"], caller().subject)
    session.flush()
    return made, {"Location": f"/v1/pricings/{made.id}"}


@blp.command("POST", "/repricings", scope="insurance:underwrite")
@blp.arguments(RepricingRequest())
@blp.response(202, BulkPricingResponse())
def post_repricing(session: Session, body: dict[str, Any]) -> Any:
    """Price the book anew on a day's rates and today's valuations; no policy is changed."""
    made = bulk_pricing.start_book(session, body["on"] or clock.today(), caller().subject)
    session.flush()
    return made, {"Location": f"/v1/pricings/{made.id}"}


@blp.command("POST", "/renewals", scope="insurance:underwrite")
@blp.arguments(RenewalsRequest())
@blp.response(202, BulkPricingResponse())
def post_renewals(session: Session, body: dict[str, Any]) -> Any:
    """Renew the policies that expire by a day, each priced anew; what cannot be renewed is told with its reason."""
    made = bulk_pricing.start_renewal(session, body["expiring_by"], body["months"], caller().subject)
    session.flush()
    return made, {"Location": f"/v1/pricings/{made.id}"}


@blp.query("/pricings/template", scope="insurance:read")
@blp.arguments(SpreadsheetQuery(), location="query")
@blp.doc(responses=_FILE)
def get_pricing_template(session: Session, query: dict[str, Any]) -> Response:
    """Download a file with every column and one example row."""
    return download(bulk_pricing.template(query["format"]), f"pricing.{query['format']}")


@blp.query("/pricings", scope="insurance:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(BulkPricingResponse(), "BulkPricingPage"))
def get_pricings(session: Session, query: dict[str, Any]) -> Any:
    """List the files and books that were priced, newest first."""
    return page(session, select(BulkPricing), BulkPricing.id, query)


@blp.query("/pricings/<uuid:pricing_id>", scope="insurance:read")
@blp.response(200, BulkPricingResponse())
def get_pricing(session: Session, pricing_id: UUID) -> Any:
    """Show how far the pricing of a file or of the book has come."""
    return found(session, BulkPricing, pricing_id)


@blp.query("/pricings/<uuid:pricing_id>/results", scope="insurance:read")
@blp.arguments(SpreadsheetQuery(), location="query")
@blp.doc(responses=_FILE)
def get_pricing_results(session: Session, query: dict[str, Any], pricing_id: UUID) -> Response:
    """Download what each row costs so far, or what is wrong with it."""
    table = bulk_pricing.results(session, pricing_id, query["format"])
    return download(table, f"pricing-{pricing_id}.{query['format']}")

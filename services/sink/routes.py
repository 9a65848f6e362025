"""The sink's HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import assets, prices, reversals, units, valuations
from services.sink.actions.assets import AssetFacts
from services.sink.actions.reversals import Loss
from services.sink.actions.valuations import Reproduction
from services.sink.schemas import (
    ApprovalRequest,
    AssetQuery,
    AssetRequest,
    AssetResponse,
    ImportRequest,
    IssuanceRequest,
    IssuanceResponse,
    PledgeQuery,
    PledgeResponse,
    PriceCurveRequest,
    PriceCurveResponse,
    ReproductionResponse,
    RetirementRequest,
    RetirementResponse,
    ReversalQuery,
    ReversalRequest,
    ReversalResponse,
    ReversalsResponse,
    UnitsQuery,
    ValuationResponse,
)
from services.sink.tables import Asset, Issuance, Pledge, PriceCurve, Retirement, Reversal, Valuation
from shared import jobs
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.job_routes import JobResponse
from shared.jobs import Job
from shared.web import Blueprint, caller, page

blp = Blueprint("sink", __name__, url_prefix="/v1", description="Forests, what they are worth, and who has a lien")


# -- assets -----------------------------------------------------------------------------------------------------------


@blp.command("POST", "/assets", scope="sink:register")
@blp.arguments(AssetRequest())
@blp.response(201, AssetResponse())
def post_asset(session: Session, body: dict[str, Any]) -> tuple[Asset, dict[str, str]]:
    """Register a forest."""
    asset = assets.register_asset(session, AssetFacts(**body))
    return asset, {"Location": f"/v1/assets/{asset.id}"}


@blp.query("/assets", scope="sink:read")
@blp.arguments(AssetQuery(), location="query")
@blp.response(200, page_of(AssetResponse(), "AssetPage"))
def get_assets(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the register, newest first."""
    statement = select(Asset)
    if query["county"]:
        statement = statement.where(Asset.county == query["county"])
    if query["kind"]:
        statement = statement.where(Asset.kind == query["kind"])
    return page(session, statement, Asset.id, query, county=query["county"], kind=query["kind"])


@blp.query("/assets/<uuid:asset_id>", scope="sink:read")
@blp.response(200, AssetResponse())
def get_asset(session: Session, asset_id: UUID) -> Asset:
    """Show a forest and the balance of its units."""
    return found(session, Asset, asset_id)


@blp.command("POST", "/asset-imports", scope="sink:register")
@blp.arguments(ImportRequest())
@blp.response(202, JobResponse())
def post_asset_import(session: Session, body: dict[str, Any]) -> tuple[Job, dict[str, str]]:
    """Register and value many forests; each row that cannot go in is told in the job's log."""
    job = jobs.start(session, "import", len(body["rows"]), rows=body["rows"])
    session.flush()
    return job, {"Location": f"/v1/jobs/{job.id}"}


# -- valuations -------------------------------------------------------------------------------------------------------


@blp.command("POST", "/assets/<uuid:asset_id>/valuations", scope="sink:value")
@blp.response(201, ValuationResponse())
def post_valuation(session: Session, asset_id: UUID) -> tuple[Valuation, dict[str, str]]:
    """Value a forest today and tell every underwriter."""
    valuation = valuations.request_valuation(session, asset_id)
    return valuation, {"Location": f"/v1/valuations/{valuation.id}"}


@blp.query("/assets/<uuid:asset_id>/valuations", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ValuationResponse(), "ValuationPage"))
def get_valuations(session: Session, query: dict[str, Any], asset_id: UUID) -> dict[str, Any]:
    """List a forest's valuations, newest first."""
    found(session, Asset, asset_id)
    statement = select(Valuation).where(Valuation.asset_id == asset_id)
    return page(session, statement, Valuation.id, query)


@blp.query("/valuations/<uuid:valuation_id>", scope="sink:read")
@blp.response(200, ValuationResponse())
def get_valuation(session: Session, valuation_id: UUID) -> Valuation:
    """Show a valuation with its inputs, outputs and their hashes."""
    return found(session, Valuation, valuation_id)


@blp.command("POST", "/valuations/<uuid:valuation_id>/reproduction", scope="sink:read")
@blp.response(200, ReproductionResponse())
def post_reproduction(session: Session, valuation_id: UUID) -> Reproduction:
    """Derive a valuation again from its inputs and compare the bytes."""
    return valuations.reproduce(session, valuation_id)


# -- price curves -----------------------------------------------------------------------------------------------------


@blp.command("POST", "/price-curves", scope="sink:value")
@blp.arguments(PriceCurveRequest())
@blp.response(201, PriceCurveResponse())
def post_price_curve(session: Session, body: dict[str, Any]) -> tuple[PriceCurve, dict[str, str]]:
    """Propose a price curve; a second person approves it."""
    curve = prices.propose_curve(session, body, caller().subject)
    return curve, {"Location": f"/v1/price-curves/{curve.id}"}


@blp.query("/price-curves", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(PriceCurveResponse(), "PriceCurvePage"))
def get_price_curves(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List price curves, newest first."""
    return page(session, select(PriceCurve), PriceCurve.id, query)


@blp.query("/price-curves/<uuid:curve_id>", scope="sink:read")
@blp.response(200, PriceCurveResponse())
def get_price_curve(session: Session, curve_id: UUID) -> PriceCurve:
    """Show a price curve."""
    return found(session, PriceCurve, curve_id)


@blp.command("POST", "/price-curves/<uuid:curve_id>/approval", scope="sink:approve")
@blp.arguments(ApprovalRequest())
@blp.response(200, PriceCurveResponse())
def post_price_curve_approval(session: Session, body: dict[str, Any], curve_id: UUID) -> PriceCurve:
    """Approve or reject a price curve as a second person; approval values the register anew."""
    return prices.decide_curve(session, curve_id, body["payload_hash"], caller().subject, body["approve"])


# -- reversals --------------------------------------------------------------------------------------------------------


@blp.command("POST", "/reversals", scope="sink:report")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(ReversalRequest())
@blp.response(201, ReversalsResponse())
def post_reversal(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Report a fire or another peril that took carbon; each forest it hit is valued anew."""
    event = (body["peril"], body["occurred_on"], body["event_area_ha"])
    if body["assets"] is None:
        rows = reversals.report_county_reversal(session, *event, body["county"], body["severity"])
    else:
        rows = reversals.report_reversal(session, *event, [Loss(**loss) for loss in body["assets"]])
    return {"event_id": rows[0].event_id, "items": rows}


@blp.query("/reversals", scope="sink:read")
@blp.arguments(ReversalQuery(), location="query")
@blp.response(200, page_of(ReversalResponse(), "ReversalPage"))
def get_reversals(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List reversals, newest first."""
    statement = select(Reversal)
    if query["asset_id"]:
        statement = statement.where(Reversal.asset_id == query["asset_id"])
    return page(session, statement, Reversal.id, query, asset_id=query["asset_id"])


# -- pledges and units ------------------------------------------------------------------------------------------------


@blp.query("/pledges", scope="sink:read")
@blp.arguments(PledgeQuery(), location="query")
@blp.response(200, page_of(PledgeResponse(), "PledgePage"))
def get_pledges(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own liens, newest first."""
    statement = select(Pledge)
    if query["loan_id"]:
        statement = statement.where(Pledge.loan_id == query["loan_id"])
    if query["asset_id"]:
        statement = statement.where(Pledge.asset_id == query["asset_id"])
    return page(session, statement, Pledge.id, query, loan_id=query["loan_id"], asset_id=query["asset_id"])


@blp.query("/pledges/<uuid:pledge_id>", scope="sink:read")
@blp.response(200, PledgeResponse())
def get_pledge(session: Session, pledge_id: UUID) -> Pledge:
    """Show one of the caller's own liens."""
    return found(session, Pledge, pledge_id)


@blp.command("POST", "/issuances", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(IssuanceRequest())
@blp.response(201, IssuanceResponse())
def post_issuance(session: Session, body: dict[str, Any]) -> Issuance:
    """Enter credits that the programme issued for a vintage."""
    return units.issue_credits(session, **body)


@blp.query("/issuances", scope="sink:read")
@blp.arguments(UnitsQuery(), location="query")
@blp.response(200, page_of(IssuanceResponse(), "IssuancePage"))
def get_issuances(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List issuances, newest first."""
    statement = select(Issuance)
    if query["asset_id"]:
        statement = statement.where(Issuance.asset_id == query["asset_id"])
    return page(session, statement, Issuance.id, query, asset_id=query["asset_id"])


@blp.command("POST", "/retirements", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(RetirementRequest())
@blp.response(201, RetirementResponse())
def post_retirement(session: Session, body: dict[str, Any]) -> Retirement:
    """Use up issued, free credits for a stated reason."""
    return units.retire_credits(session, **body)


@blp.query("/retirements", scope="sink:read")
@blp.arguments(UnitsQuery(), location="query")
@blp.response(200, page_of(RetirementResponse(), "RetirementPage"))
def get_retirements(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List retirements, newest first."""
    statement = select(Retirement)
    if query["asset_id"]:
        statement = statement.where(Retirement.asset_id == query["asset_id"])
    return page(session, statement, Retirement.id, query, asset_id=query["asset_id"])

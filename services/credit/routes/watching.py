"""The watch over live loans."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import pledging, portfolio, reading
from services.credit.schemas.loans import LoanResponse
from services.credit.schemas.watching import (
    ClassesResponse,
    CovenantTestsResponse,
    PortfolioResponse,
    ReleaseRequest,
    StressRequest,
    StressResponse,
    TopUpRequest,
    WarningsQuery,
    WarningsResponse,
)
from shared.web import Blueprint

blp = Blueprint("watching", __name__, url_prefix="/v1", description="Covenants, classes, warnings, the book, stress")


@blp.query("/loans/<uuid:loan_id>/covenants", scope="credit:read")
@blp.response(200, CovenantTestsResponse())
def get_covenants(session: Session, loan_id: UUID) -> Any:
    """Show each covenant of a loan as last tested, and the tests before, newest first."""
    return portfolio.covenants_of(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/classes", scope="credit:read")
@blp.response(200, ClassesResponse())
def get_classes(session: Session, loan_id: UUID) -> Any:
    """Show every stage, class and bucket of arrears that a loan passed through, with the loss then expected."""
    return portfolio.trail_of_classes(session, loan_id)


@blp.command("POST", "/loans/<uuid:loan_id>/top-up", scope="credit:service")
@blp.arguments(TopUpRequest())
@blp.response(200, LoanResponse())
def post_top_up(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Ask the register to pledge a further forest for a live loan; it counts once it is placed, and may cure a call."""
    return reading.show(session, pledging.top_up(session, loan_id, body["asset_id"], body["tonnes"]))


@blp.command("POST", "/loans/<uuid:loan_id>/release", scope="credit:service")
@blp.arguments(ReleaseRequest())
@blp.response(200, LoanResponse())
def post_release(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Let go of a part of a lien, if what is left carries the loan at the caps that a new loan must keep."""
    return reading.show(session, pledging.release(session, loan_id, body["asset_id"], body["tonnes"]))


@blp.query("/warnings", scope="credit:read")
@blp.arguments(WarningsQuery(), location="query")
@blp.response(200, WarningsResponse())
def get_warnings(session: Session, query: dict[str, Any]) -> Any:
    """List live loans that need a look, the most money at risk first."""
    return portfolio.warnings(session, query["limit"])


@blp.query("/portfolio", scope="credit:read")
@blp.response(200, PortfolioResponse())
def get_portfolio(session: Session) -> Any:
    """Show the book: loan to value, concentrations against their caps, stages, classes and arrears."""
    return portfolio.portfolio(session)


@blp.disclosure("/stress", scope="credit:read")
@blp.arguments(StressRequest())
@blp.response(200, StressResponse())
def post_stress(session: Session, body: dict[str, Any]) -> Any:
    """Test every live loan as if the carbon price moved or a county burnt; only that it was asked is kept."""
    return portfolio.stress(session, body["price_change"], body["burnt_county"], body["fire_loss"])

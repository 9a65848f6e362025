"""How the models do."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import monitoring, shadow
from services.credit.schemas.models import (
    AgreementResponse,
    BacktestResponse,
    FairnessResponse,
    OverrideReportResponse,
    StabilityResponse,
    WindowQuery,
)
from services.credit.tables import StabilityRun
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("monitoring", __name__, url_prefix="/v1", description="How the models of default do")


@blp.query("/models/reports/agreement", scope="credit:read")
@blp.arguments(WindowQuery(), location="query")
@blp.response(200, AgreementResponse())
def get_agreement(session: Session, query: dict[str, Any]) -> Any:
    """Show how far the challenger, which decides nothing, agrees with the champion on the applications of late."""
    return shadow.agreement(session, query["days"])


@blp.command("POST", "/models/reports/stability", scope="credit:govern")
@blp.response(201, StabilityResponse())
def post_stability(session: Session) -> Any:
    """Measure now how far applications have moved from the training loans; from then on it is measured regularly."""
    return monitoring.measure_stability(session)


@blp.query("/models/reports/stability", scope="credit:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(StabilityResponse(), "StabilityPage"))
def get_stability(session: Session, query: dict[str, Any]) -> Any:
    """List the measurements of drift, newest first."""
    return page(session, select(StabilityRun), StabilityRun.id, query)


@blp.query("/models/reports/backtest", scope="credit:read")
@blp.response(200, BacktestResponse())
def get_backtest(session: Session) -> Any:
    """Set the defaults that came true against what was stated, by band. A p-value is small where PD was too low."""
    return monitoring.backtest(session)


@blp.query("/models/reports/fairness", scope="credit:read")
@blp.response(200, FairnessResponse())
def get_fairness(session: Session) -> Any:
    """Show grants and defaults by the groups that the data knows, with the limits of what it can say."""
    return monitoring.fairness(session)


@blp.query("/models/reports/overrides", scope="credit:read")
@blp.arguments(WindowQuery(), location="query")
@blp.response(200, OverrideReportResponse())
def get_override_report(session: Session, query: dict[str, Any]) -> Any:
    """Show what persons decided against the machine, by direction and reason, and what became of the loans."""
    return monitoring.override_report(session, query["days"])

"""What the insurer passes on."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import reinsurance
from services.insurance.schemas.reinsurance import ProgrammeDecisionRequest, ProgrammeRequest, ProgrammeResponse
from services.insurance.tables import ReinsuranceProgramme
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("insurance-reinsurance", __name__, url_prefix="/v1", description="What the insurer passes on.")


@blp.command("POST", "/reinsurance-programmes", scope="insurance:underwrite")
@blp.arguments(ProgrammeRequest())
@blp.response(201, ProgrammeResponse())
def post_reinsurance_programme(session: Session, body: dict[str, Any]) -> Any:
    """Propose the contracts from a day on; overlapping layers and other contradictions are refused."""
    made = reinsurance.propose(session, body["name"], body["starts_on"], body["contracts"], caller().subject)
    return made, {"Location": f"/v1/reinsurance-programmes/{made.id}"}


@blp.query("/reinsurance-programmes", scope="insurance:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ProgrammeResponse(), "ReinsuranceProgrammePage"))
def get_reinsurance_programmes(session: Session, query: dict[str, Any]) -> Any:
    """List programmes, newest first."""
    return page(session, select(ReinsuranceProgramme), ReinsuranceProgramme.id, query)


@blp.query("/reinsurance-programmes/<uuid:programme_id>", scope="insurance:read")
@blp.response(200, ProgrammeResponse())
def get_reinsurance_programme(session: Session, programme_id: UUID) -> Any:
    """Show a programme and the hash a second person has to approve."""
    return found(session, ReinsuranceProgramme, programme_id)


@blp.command("POST", "/reinsurance-programmes/<uuid:programme_id>/approval", scope="insurance:underwrite")
@blp.arguments(ProgrammeDecisionRequest())
@blp.response(200, ProgrammeResponse())
def post_reinsurance_approval(session: Session, body: dict[str, Any], programme_id: UUID) -> Any:
    """Approve or reject a programme as another person who saw exactly it."""
    return reinsurance.decide(session, programme_id, body["payload_hash"], body["approve"], caller().subject)

"""The file of an application: documents by their hashes, and the income of its carbon."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import documents, income
from services.credit.schemas.documents import (
    CarbonIncomeResponse,
    LoanDocumentRequest,
    LoanDocumentResponse,
    LoanDocumentsResponse,
)
from shared.web import Blueprint, caller

blp = Blueprint("documents", __name__, url_prefix="/v1", description="What is on the file of a loan")


@blp.command("POST", "/loans/<uuid:loan_id>/documents", scope="credit:apply")
@blp.arguments(LoanDocumentRequest())
@blp.response(201, LoanDocumentResponse())
def post_document(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Note a document that was seen, by its hash; other loans that showed the same bytes are named."""
    return documents.register(session, loan_id, body, caller().subject)


@blp.query("/loans/<uuid:loan_id>/documents", scope="credit:read")
@blp.response(200, LoanDocumentsResponse())
def get_documents(session: Session, loan_id: UUID) -> Any:
    """List the documents of a loan."""
    return {"items": documents.list_of(session, loan_id)}


@blp.query("/loans/<uuid:loan_id>/carbon-income", scope="credit:read")
@blp.response(200, CarbonIncomeResponse())
def get_carbon_income(session: Session, loan_id: UUID) -> Any:
    """Show what the pledged carbon is expected to earn, issuance by issuance."""
    return income.show(session, loan_id)

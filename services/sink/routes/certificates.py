"""Certificates of lien: the HTTP door."""

from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from services.sink.actions import certificates
from services.sink.actions.certificates import Certificate
from services.sink.schemas.units import CertificateResponse
from shared.web import Blueprint

blp = Blueprint("certificates", __name__, url_prefix="/v1", description="Certificates of lien, and their verification")

#: The page styles itself and needs nothing else.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.command("POST", "/pledges/<uuid:pledge_id>/certificate", scope="sink:read")
@blp.response(201, CertificateResponse())
def post_certificate(session: Session, pledge_id: UUID) -> Certificate:
    """Certify one of the caller's own liens as it stands now."""
    return certificates.certify_again(session, pledge_id)


@blp.query("/pledges/<uuid:pledge_id>/certificate", scope="sink:read")
@blp.response(200, CertificateResponse())
def get_certificate(session: Session, pledge_id: UUID) -> Certificate:
    """Show the last certificate of one of the caller's own liens."""
    return certificates.latest_certificate(session, pledge_id)


@blp.query("/pledges/<uuid:pledge_id>/certificate/page", scope="sink:read")
@blp.response(200, {"type": "string"}, content_type="text/html")
def get_certificate_page(session: Session, pledge_id: UUID) -> Response:
    """Show the last certificate of one of the caller's own liens as a page to print."""
    page = Response(certificates.page(certificates.latest_certificate(session, pledge_id)), mimetype="text/html")
    page.headers["Content-Security-Policy"] = _PAGE_POLICY
    return page


@blp.query("/certificates/<code>", scope="sink:read")
@blp.response(200, CertificateResponse())
def get_certificate_by_code(session: Session, code: str) -> Certificate:
    """Verify a certificate by its code: what it says, and whether the register still says the same."""
    return certificates.certificate(session, code)

"""Certificates: the HTTP door."""

from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from services.sink.actions import certificates
from services.sink.actions.certificates import Shown
from services.sink.schemas.certificates import CertificateResponse
from shared.web import Blueprint

blp = Blueprint("certificates", __name__, url_prefix="/v1", description="Certificates, and their verification")

#: The page styles itself and needs nothing else.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.command("POST", "/pledges/<uuid:pledge_id>/certificate", scope="sink:read")
@blp.response(201, CertificateResponse())
def post_certificate(session: Session, pledge_id: UUID) -> Shown:
    """Certify one of the caller's own liens as it stands now."""
    return certificates.certify_again(session, pledge_id)


@blp.query("/pledges/<uuid:pledge_id>/certificate", scope="sink:read")
@blp.response(200, CertificateResponse())
def get_certificate(session: Session, pledge_id: UUID) -> Shown:
    """Show the last certificate of one of the caller's own liens."""
    return certificates.latest_certificate(session, pledge_id)


@blp.query("/pledges/<uuid:pledge_id>/certificate/page", scope="sink:read")
@blp.response(200, {"type": "string"}, content_type="text/html")
def get_certificate_page(session: Session, pledge_id: UUID) -> Response:
    """Show the last certificate of one of the caller's own liens as a page to print."""
    return _printed(certificates.latest_certificate(session, pledge_id))


@blp.query("/certificates/<code>", scope="sink:read")
@blp.response(200, CertificateResponse())
def get_certificate_by_code(session: Session, code: str) -> Shown:
    """Verify a certificate by its code: what it says, and whether the register still says the same."""
    return certificates.verify(session, code)


@blp.query("/certificates/<code>/page", scope="sink:read")
@blp.response(200, {"type": "string"}, content_type="text/html")
def get_certificate_page_by_code(session: Session, code: str) -> Response:
    """Print a certificate: one page in Chinese and English that needs nothing else."""
    return _printed(certificates.verify(session, code))


def _printed(shown: Shown) -> Response:
    page = Response(shown.page, mimetype="text/html")
    page.headers["Content-Security-Policy"] = _PAGE_POLICY
    return page

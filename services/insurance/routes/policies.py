"""Cover in force, and how it is ended."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import certificates, endorsements, policies
from services.insurance.routes.common import filtered
from services.insurance.schemas.policies import (
    BreachRequest,
    CertificateResponse,
    EndorsementList,
    EndorsementRequest,
    InstalmentList,
    InstalmentResponse,
    InstalmentsRequest,
    LapseRequest,
    PolicyQuery,
    PolicyResponse,
    PremiumPaymentRequest,
    ReinstatementRequest,
    RenewalRequest,
)
from services.insurance.tables import Instalment, Policy
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, caller

blp = Blueprint("insurance-policies", __name__, url_prefix="/v1", description="Cover in force, and how it is ended.")


@blp.query("/policies", scope="insurance:read")
@blp.arguments(PolicyQuery(), location="query")
@blp.response(200, page_of(PolicyResponse(), "PolicyPage"))
def get_policies(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List policies, newest first."""
    return filtered(session, Policy, query, "state", "loan_id")


@blp.query("/policies/<uuid:policy_id>", scope="insurance:read")
@blp.response(200, PolicyResponse())
def get_policy(session: Session, policy_id: UUID) -> Policy:
    """Show a policy."""
    return found(session, Policy, policy_id)


@blp.command("POST", "/policies/<uuid:policy_id>/lapse", scope="insurance:underwrite", if_match=True)
@blp.arguments(LapseRequest())
@blp.response(200, PolicyResponse())
def post_lapse(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """End a policy with the notice its reason demands; the bank is told at once."""
    return policies.lapse_policy(session, policy_id, body["reason"])


@blp.command("POST", "/policies/<uuid:policy_id>/breach", scope="insurance:underwrite", if_match=True)
@blp.arguments(BreachRequest())
@blp.response(200, PolicyResponse())
def post_breach(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """Enter that the owner broke the policy; the lender's clause says who is still paid."""
    return policies.break_policy(session, policy_id, body["reason"])


@blp.command("POST", "/policies/<uuid:policy_id>/endorsements", scope="insurance:underwrite", if_match=True)
@blp.arguments(EndorsementRequest())
@blp.response(200, PolicyResponse())
def post_endorsement(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """Insure forests for other sums from today on; the premium of the days left is paid or given back."""
    sums = {one["asset_id"]: one["sum_insured"] for one in body["assets"]}
    return endorsements.endorse_policy(session, policy_id, sums, caller().subject)


@blp.query("/policies/<uuid:policy_id>/endorsements", scope="insurance:read")
@blp.response(200, EndorsementList())
def get_endorsements(session: Session, policy_id: UUID) -> dict[str, Any]:
    """Show what a policy was before each change."""
    return {"items": endorsements.endorsements_of(session, found(session, Policy, policy_id).id)}


@blp.command("POST", "/policies/<uuid:policy_id>/renewal", scope="insurance:underwrite", if_match=True)
@blp.arguments(RenewalRequest())
@blp.response(200, PolicyResponse())
def post_renewal(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """Let a policy in force last longer, priced anew."""
    return endorsements.renew_policy(session, policy_id, body["months"], caller().subject)


@blp.command("POST", "/policies/<uuid:policy_id>/reinstatement", scope="insurance:underwrite", if_match=True)
@blp.arguments(ReinstatementRequest())
@blp.response(200, PolicyResponse())
def post_reinstatement(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """Insure again what settled claims took of a forest's sum."""
    return endorsements.reinstate_policy(session, policy_id, body["asset_id"], caller().subject)


@blp.command("POST", "/policies/<uuid:policy_id>/instalments", scope="insurance:underwrite", if_match=True)
@blp.arguments(InstalmentsRequest())
@blp.response(200, InstalmentList())
def post_instalments(session: Session, body: dict[str, Any], policy_id: UUID) -> dict[str, Any]:
    """Let the premium of the policy year be paid in parts; after the grace of one that is missed the policy lapses."""
    return {"items": endorsements.plan_instalments(session, policy_id, body["count"])}


@blp.query("/policies/<uuid:policy_id>/instalments", scope="insurance:read")
@blp.response(200, InstalmentList())
def get_instalments(session: Session, policy_id: UUID) -> dict[str, Any]:
    """Show the parts of a premium and which are paid."""
    return {"items": endorsements.instalments_of(session, found(session, Policy, policy_id).id)}


@blp.command("POST", "/policies/<uuid:policy_id>/premium-payments", scope="insurance:underwrite")
@blp.arguments(PremiumPaymentRequest())
@blp.response(200, InstalmentResponse())
def post_premium_payment(session: Session, body: dict[str, Any], policy_id: UUID) -> Instalment:
    """Enter that an instalment was paid, the earliest unpaid one."""
    return endorsements.pay_instalment(session, policy_id, body["number"])


@blp.query("/policies/<uuid:policy_id>/certificate", scope="insurance:read")
@blp.response(200, CertificateResponse())
def get_certificate(session: Session, policy_id: UUID) -> dict[str, Any]:
    """Certify a policy as it stands today."""
    return certificates.certificate(found(session, Policy, policy_id))

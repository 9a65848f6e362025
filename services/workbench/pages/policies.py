"""The insurer's desk: covers asked for, policies in force, and claims from the observation to the payment."""

from typing import Any
from uuid import UUID

from flask import render_template, request

from services.workbench import charts
from services.workbench.acts import possible
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, panel, visitor


@PAGES.get("/policies")
def policies() -> Any:
    """List claims, policies and covers; what waits for the insurer comes first."""
    asked = {
        "claims": panel("insurance", "/claims", limit=20),
        "policies": panel("insurance", "/policies", limit=25, cursor=request.args.get("cursor")),
        "covers": panel("insurance", "/covers", limit=15),
        "capacities": panel("insurance", "/capacities", limit=50),
    }
    return render_template("policies.html", asked=asked)


@PAGES.get("/policy/<uuid:subject_id>")
def policy(subject_id: UUID) -> Any:
    """Show a policy and the claims on it."""
    asked = {
        "claims": panel("insurance", "/claims", policy_id=subject_id),
        "instalments": panel("insurance", f"/policies/{subject_id}/instalments"),
    }
    found = ask("insurance", f"/policies/{subject_id}")
    return render_template("policy.html", policy=found, asked=asked, acts=possible("policy", found, visitor()))


@PAGES.get("/cover/<uuid:subject_id>")
def cover(subject_id: UUID) -> Any:
    """Show what a bank asked for, and how its price came about."""
    found = ask("insurance", f"/covers/{subject_id}")
    pricing, premium = found.get("pricing"), found["annual_premium"]
    steps = charts.premium(pricing["waterfall"], premium["amount"]) if pricing and premium else None
    return render_template("cover.html", cover=found, steps=steps, acts=possible("cover", found, visitor()))


@PAGES.get("/claim/<uuid:subject_id>")
def claim(subject_id: UUID) -> Any:
    """Show a claim: what was reported, each step of the reckoning with its equation, and who gets what."""
    found = ask("insurance", f"/claims/{subject_id}")
    return render_template("claim.html", claim=found, acts=possible("claim", found, visitor()))

"""Getting in and out, changing roles and languages, and the first page of each role."""

from typing import Any

from flask import abort, current_app, g, redirect, render_template, request, session, url_for

from services.workbench.pages import PAGES
from services.workbench.visitors import LANGUAGES, Gate, ask, remember, visitor

#: Where each role begins its day.
FIRST_PAGES = {
    "officer": "pages.loans",
    "credit-approver": "pages.loans",
    "bureau": "pages.forests",
    "bureau-approver": "pages.forests",
    "modeller": "pages.models",
    "model-risk": "pages.models",
    "insurer": "pages.policies",
    "guarantor": "pages.guarantees",
    "member": "pages.forests",
    "auditor": "pages.loans",
}


def _gate() -> Gate:
    found: Gate = current_app.extensions["gate"]
    return found


@PAGES.get("/alive")
def alive() -> Any:
    """Say that the pages are served."""
    return {"alive": True}


@PAGES.get("/sign-in")
def sign_in() -> Any:
    """Show the people that may be chosen."""
    return render_template("sign_in.html", people=_gate().people, next=request.args.get("next", "/"))


@PAGES.post("/sign-in")
def post_sign_in() -> Any:
    """Become one of the people; also the role switch."""
    from services.workbench.app import inside

    chosen = (request.form.get("role"), request.form.get("institution"))
    if chosen not in {(person.role, person.institution) for person in _gate().people}:
        abort(403)
    switched = g.visitor is not None
    remember(_gate().mint(*chosen))
    return redirect("/" if switched else inside(request.form.get("next", "/")), 303)


@PAGES.post("/sign-out")
def sign_out() -> Any:
    """Forget the session."""
    session.pop("token", None)
    return redirect(url_for("pages.sign_in"), 303)


@PAGES.post("/language")
def choose_language() -> Any:
    """Change the language and stay on the page."""
    from services.workbench.app import inside

    chosen = request.form.get("language")
    if chosen not in LANGUAGES:
        abort(400)
    session["language"] = chosen
    return redirect(inside(request.form.get("next", "/")), 303)


@PAGES.get("/")
def home() -> Any:
    """Go to the role's own work list."""
    return redirect(url_for(FIRST_PAGES.get(visitor().role, "pages.forests")))


@PAGES.get("/approvals")
def approvals() -> Any:
    """What waits for a second person: each with exactly what is to be approved."""
    return render_template("approvals.html", page=ask("credit", "/approvals", cursor=request.args.get("cursor")))

"""Loans: the officer's list, the application, and the case page where a loan is seen whole."""

from typing import Any
from uuid import UUID, uuid4

from flask import flash, redirect, render_template, request, url_for

from services.workbench import charts
from services.workbench.acts import money, possible, whole
from services.workbench.api import ApiError
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, do, panel, say, visitor

STATES = (
    "applied", "scored", "referred", "structuring", "proposed", "offered", "binding", "ready",
    "performing", "margin_called", "defaulted", "enforcing", "closed", "declined", "withdrawn", "expired",
)  # fmt: skip
LEGS = ("carbon", "insurer", "guarantor", "reguarantor")


@PAGES.get("/loans")
def loans() -> Any:
    """List the institution's loans, newest first, by state."""
    state = request.args.get("state") or None
    page = ask("credit", "/loans", state=state, cursor=request.args.get("cursor"), limit=25)
    waiting = panel("credit", "/approvals", limit=50)
    return render_template("loans.html", page=page, state=state, states=STATES, waiting=waiting)


@PAGES.get("/loan/<uuid:subject_id>")
def loan(subject_id: UUID) -> Any:
    """Show a case whole: forests, value, legs, price, reasons, path to yes, money, trail, and what to do next."""
    path = f"/loans/{subject_id}"
    asked = {
        "history": panel("credit", f"{path}/history"),
        "schedule": panel("credit", f"{path}/schedule"),
        "payments": panel("credit", f"{path}/payments"),
        "income": panel("credit", f"{path}/carbon-income"),
        "documents": panel("credit", f"{path}/documents"),
    }
    case = ask("credit", path)
    forests = [panel("sink", f"/assets/{one['asset_id']}") for one in case["assets"]]
    values = [panel("sink", f"/assets/{one['asset_id']}/valuations", limit=1) for one in case["assets"]]
    if case["state"] in ("declined", "referred"):
        asked["path"] = panel("credit", f"{path}/path")
    found = [one.shown for one in forests if one.shown]
    valuations = [one.shown["items"][0] for one in values if one.shown and one.shown["items"]]
    return render_template(
        "loan.html",
        case=case,
        asked=asked,
        forests=forests,
        valuations=valuations,
        picture=charts.chart_of(
            found, [1] * len(found), [url_for("pages.forest", subject_id=one["id"]) for one in found]
        ),
        fans=[(one, charts.fan(one["removals"])) for one in valuations],
        price=_price(case),
        acts=possible("loan", case, visitor()),
    )


def _price(case: dict[str, Any]) -> charts.Waterfall | None:
    """From the rate of a bare loan to the offered one, in basis points: what each leg takes off."""
    price = (((case.get("offer") or {}).get("payload")) or {}).get("price")
    if not price:
        return None
    bare, rate = float(price["bare_rate"]) * 10_000, float(price["break_even_rate"]) * 10_000
    taken = {leg: float(price["waterfall_bp"][leg]) for leg in LEGS if leg in price["waterfall_bp"]}
    return charts.waterfall(("bare", bare), [(leg, -worth) for leg, worth in taken.items()], ("rate", rate))


@PAGES.get("/apply")
def apply() -> Any:
    """Ask for a loan: a form that keeps what is typed."""
    return _application(
        {"scheme": "4-3-2-1", "repayment": "equal_principal", "borrower_kind": "cooperative"}, str(uuid4())
    )


@PAGES.post("/apply")
def post_apply() -> Any:
    """Hand the application in and go to its case."""
    typed = request.form.to_dict()
    try:
        answer = do("credit", "/loans", _body(typed), typed.get("key", ""))
    except ApiError as error:
        if error.status == 401:
            raise
        return _application(typed, typed["key"] if error.status == 503 else str(uuid4()), error), error.status
    flash(say("申请已提交。", "The application is in."), "apply")
    return redirect(url_for("pages.loan", subject_id=answer.document["id"]), 303)


def _body(typed: dict[str, str]) -> dict[str, Any]:
    """The request as the service takes it; what cannot be a number goes as it is, and is refused there by name."""

    given = {name: text.strip() for name, text in typed.items()}
    body: dict[str, Any] = {
        name: given.get(name) or None for name in ("borrower_reference", "borrower_kind", "industry")
    }
    body |= {name: given.get(name, "") for name in ("insurer", "guarantor", "scheme", "repayment")}
    body["employees"] = whole(given.get("employees", ""))
    body["term_months"] = whole(given.get("term_months", ""))
    body["amount"] = money(given.get("amount", ""))
    body["small_or_farmer"] = given.get("small_or_farmer") == "yes"
    body["new_business"] = given.get("new_business") == "yes"
    body["assets"] = [{"asset_id": given.get("asset_id", ""), "tonnes": given.get("tonnes", "").replace(",", "")}]
    return body


def _application(typed: dict[str, str], key: str, error: ApiError | None = None) -> str:
    typed = {"asset_id": request.args.get("forest", ""), **typed}
    return render_template("apply.html", typed=typed, key=key, error=error)

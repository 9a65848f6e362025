"""What-if desks: what a loan or a cover would get, answered by the services while one types, and kept nowhere."""

from typing import Any

from flask import render_template, request

from services.workbench import charts
from services.workbench.acts import money, share, whole
from services.workbench.api import ApiError
from services.workbench.pages import PAGES
from services.workbench.visitors import question

LOAN = {"borrower_kind": "cooperative", "industry": "022", "employees": "8", "amount": "300000", "term_months": "36"}
COVER = {"basis": "carbon_value", "quantile": "p50", "forest_class": "commercial", "term_months": "12", "years": "1"}


@PAGES.get("/what-if/loan")
def whatif_loan() -> Any:
    """Show the desk for loans."""
    return desk("whatif_loan", LOAN | request.args.to_dict(), None)


@PAGES.post("/what-if/loan")
def post_whatif_loan() -> Any:
    """Score what was typed; a case that is not approved is told what would be."""
    typed = request.form.to_dict()
    body: dict[str, Any] = {name: typed.get(name, "").strip() for name in ("borrower_kind", "industry")}
    body |= {name: whole(typed.get(name, "").strip()) for name in ("employees", "term_months")}
    body["amount"] = money(typed.get("amount", ""))
    if typed.get("asset_id") and typed.get("tonnes"):
        body["assets"] = [{"asset_id": typed["asset_id"].strip(), "tonnes": typed["tonnes"].replace(",", "").strip()}]

    def answer() -> dict[str, Any]:
        found = question("credit", "/score", body)
        path = question("credit", "/score/path", body) if found["outcome"] != "approve" else None
        return {"found": found, "path": path}

    return answered("whatif_loan", typed, answer)


@PAGES.get("/what-if/cover")
def whatif_cover() -> Any:
    """Show the desk for covers."""
    return desk("whatif_cover", COVER | request.args.to_dict(), None)


@PAGES.post("/what-if/cover")
def post_whatif_cover() -> Any:
    """Price what was typed, with every step from the expected loss to the premium."""
    typed = request.form.to_dict()
    forest: dict[str, Any] = {"asset_id": typed.get("asset_id", "").strip()}
    if typed.get("sum_insured", "").strip():
        forest["sum_insured"] = money(typed["sum_insured"])
    terms: dict[str, Any] = {"years": whole(typed.get("years", "").strip()) or 1}
    if typed.get("deductible_per_cent", "").strip():
        terms["deductible_share"] = share(typed["deductible_per_cent"])
    for name in ("deductible", "franchise", "event_limit", "annual_cap"):
        if typed.get(name, "").strip():
            terms[name] = money(typed[name])
    body = {
        "basis": typed.get("basis", ""),
        "quantile": typed.get("quantile") if typed.get("basis") == "carbon_value" else None,
        "forest_class": typed.get("forest_class", ""),
        "term_months": whole(typed.get("term_months", "").strip()),
        "forests": [forest],
        "terms": terms,
    }

    def answer() -> dict[str, Any]:
        found = question("insurance", "/price", body)
        priced = found["pricing"] and found["annual_premium"]
        steps = charts.premium(found["pricing"]["waterfall"], found["annual_premium"]["amount"]) if priced else None
        return {"found": found, "steps": steps}

    return answered("whatif_cover", typed, answer)


def answered(name: str, typed: dict[str, str], answer: Any, **beside: Any) -> Any:
    """The answer, or the refusal with what was typed: as a part for the script, as the page for everybody else."""
    try:
        result, error, status = answer(), None, 200
    except ApiError as refused:
        if refused.status == 401:
            raise
        result, error, status = {}, refused, refused.status
    if request.headers.get("X-Part") == "result":
        # For the script a refusal is an answer like another: it shows what it is told.
        return render_template(f"{name}_result.html", error=error, **result)
    return desk(name, typed, error, **beside, **result), status


def desk(name: str, typed: dict[str, str], error: ApiError | None, **result: Any) -> str:
    """The page of a what-if desk."""
    return render_template(f"{name}.html", typed=typed, error=error, **result)

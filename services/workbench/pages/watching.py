"""The officer's watch: loans that need a look, sorted by the money at risk, and the book under stress."""

from typing import Any

from flask import render_template, request

from services.workbench.acts import share
from services.workbench.pages import PAGES
from services.workbench.pages.forests import COUNTIES
from services.workbench.pages.whatif import answered, desk
from services.workbench.visitors import ask, panel, question

STRESS = {"price_fall": "35", "burnt_county": ""}


@PAGES.get("/warnings")
def warnings() -> Any:
    """List the loans that need a look, most money at risk first."""
    return render_template(
        "warnings.html", found=ask("credit", "/warnings", limit=100), reviews=panel("credit", "/reviews", state="open")
    )


@PAGES.get("/portfolio")
def portfolio() -> Any:
    """Show the book: loan to value, classes, concentrations; and the desk to stress it."""
    return desk(
        "portfolio", STRESS | request.args.to_dict(), None, book=panel("credit", "/portfolio"), counties=COUNTIES
    )


@PAGES.post("/portfolio")
def post_portfolio() -> Any:
    """Stress the book by a fall of the carbon price and a fire in a county."""
    typed = request.form.to_dict()
    fall = share(typed.get("price_fall", ""))
    body = {"price_change": f"-{fall}" if fall.strip("0.") else "0", "burnt_county": typed.get("burnt_county") or None}
    book = panel("credit", "/portfolio")
    return answered(
        "portfolio", typed, lambda: {"found": question("credit", "/stress", body)}, book=book, counties=COUNTIES
    )

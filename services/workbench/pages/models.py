"""Risk models: which decide, which score in the shadow, and who answers for each."""

from typing import Any
from uuid import UUID

from flask import render_template, request

from services.workbench.acts import possible
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, panel, visitor


@PAGES.get("/models")
def models() -> Any:
    """List the models that are served, and every version in the register."""
    serving = panel("credit", "/models/serving")
    page = ask("credit", "/models", cursor=request.args.get("cursor"), limit=25)
    return render_template("models.html", serving=serving, page=page)


@PAGES.get("/model/<uuid:subject_id>")
def model(subject_id: UUID) -> Any:
    """Show one version with everything that was done with it."""
    found = ask("credit", f"/models/{subject_id}")
    return render_template("model.html", model=found, acts=possible("model", found, visitor()))

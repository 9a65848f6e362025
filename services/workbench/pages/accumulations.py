"""The insurer's bad years: runs of the book, what they say, their pictures and their files."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from flask import Response, abort, flash, redirect, render_template, request, url_for

from services.workbench import charts
from services.workbench.acts import whole
from services.workbench.api import ApiError
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, do, file, file_panel, panel, say

PICTURES = ("exceedance", "waterfall", "map")
PARTS = ("peril", "county", "bank", "guarantor")
#: The files of a run: where the service makes them, and by which question.
FILES = {
    "years.csv": ("years", {"format": "csv"}),
    "years.xlsx": ("years", {"format": "xlsx"}),
    **{
        f"{table}.csv": ("exchange", {"table": table})
        for table in ("oed_location", "oed_account", "ord_summary", "ord_alt", "ord_ept", "ord_splt")
    },
    **{f"{of}.svg": ("picture", {"of": of}) for of in PICTURES},
}


@PAGES.get("/accumulations")
def accumulations() -> Any:
    """List the runs and offer to start one."""
    return _runs({}, str(uuid4()))


@PAGES.post("/accumulations")
def post_accumulations() -> Any:
    """Start a run and go to its page."""
    typed = request.form.to_dict()
    body = {name: whole(typed.get(name, "").strip()) for name in ("years", "seed")}
    try:
        made = do("insurance", "/accumulations", body, typed.get("key", "")).document
    except ApiError as error:
        if error.status == 401:
            raise
        return _runs(typed, typed.get("key", "") if error.status == 503 else str(uuid4()), error), error.status
    return redirect(url_for("pages.accumulation", subject_id=made["id"]), 303)


def _runs(typed: dict[str, str], key: str, error: ApiError | None = None) -> str:
    runs = panel("insurance", "/accumulations", cursor=request.args.get("cursor"), limit=25)
    return render_template("accumulations.html", runs=runs, typed=typed, key=key, error=error)


@PAGES.get("/accumulation/<uuid:subject_id>")
def accumulation(subject_id: UUID) -> Any:
    """Show a run: how far it has come, and once it is through what its years say."""
    path = f"/accumulations/{subject_id}"
    run = ask("insurance", path)
    job = panel("insurance", f"/jobs/{subject_id}")
    if request.headers.get("X-Part") == "progress":
        return render_template("accumulation_progress.html", run=run, job=job, key=str(uuid4()))
    if run["metrics"] is None:
        return render_template("accumulation.html", run=run, job=job, key=str(uuid4()))
    drawn = [(of, file_panel("insurance", f"{path}/picture", of=of)) for of in PICTURES]
    return render_template(
        "accumulation.html",
        run=run,
        parts_of=[(of, [one for one in run["metrics"] if one["of"] == of]) for of in PARTS],
        book={of: next(one for one in run["metrics"] if one["of"] == of) for of in ("all", "net")},
        steps=_steps(run["metrics"]),
        sheets=panel("insurance", f"{path}/balance-sheets"),
        pictures=[(of, one, charts.inline(one.shown.content) if one.shown else None) for of, one in drawn],
        files=FILES,
    )


def _steps(metrics: list[dict[str, Any]]) -> list[tuple[str, Decimal]]:
    """A mean year from gross to net, with what each contract of the reinsurance takes. [CNY]"""
    gross, net = (
        next(Decimal(one["aal"]) for one in metrics if one["of"] == of and not one["name"]) for of in ("all", "net")
    )
    ceded = [(one["name"], -Decimal(one["aal"])) for one in metrics if one["of"] == "ceded"]
    return [(say("毛损失", "gross"), gross), *ceded, (say("净损失", "net"), net)]


@PAGES.post("/accumulation/<uuid:subject_id>/<any(cancellation,resumption):what>")
def post_accumulation_job(subject_id: UUID, what: str) -> Any:
    """Stop a run after its step, or go on with it."""
    try:
        do("insurance", f"/jobs/{subject_id}/{what}", {}, request.form.get("key", ""))
    except ApiError as error:
        if error.status != 409:
            raise
        flash(say("任务已进入下一步，请看当前状态。", "The job has moved on meanwhile; this is how it stands now."))
    return redirect(url_for("pages.accumulation", subject_id=subject_id), 303)


@PAGES.get("/accumulation/<uuid:subject_id>/<name>")
def accumulation_file(subject_id: UUID, name: str) -> Response:
    """Download a file of a run."""
    if name not in FILES:
        abort(404)
    place, query = FILES[name]
    found = file("insurance", f"/accumulations/{subject_id}/{place}", **query)
    answer = Response(found.content, content_type=found.kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer

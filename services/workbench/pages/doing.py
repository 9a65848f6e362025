"""Doing something to a case: a page that says what follows, then the deed, once however often it is sent."""

from typing import Any
from uuid import UUID, uuid4

from flask import abort, flash, redirect, render_template, request, url_for

from services.workbench.acts import ACTS, Act, request_of, standing
from services.workbench.api import ApiError
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, do, say, services, visitor

#: Where each kind of case is read and where it is shown.
SUBJECTS = {
    "loan": ("credit", "/loans/{id}", "pages.loan"),
    "forest": ("sink", "/assets/{id}", "pages.forest"),
    "cover": ("insurance", "/covers/{id}", "pages.cover"),
    "policy": ("insurance", "/policies/{id}", "pages.policy"),
    "model": ("credit", "/models/{id}", "pages.model"),
    "claim": ("insurance", "/claims/{id}", "pages.claim"),
    "allocation": ("guarantee", "/allocations/{id}", "pages.allocation"),
    "call": ("guarantee", "/calls/{id}", "pages.call"),
}


def _act(kind: str, name: str) -> Act:
    found = next((act for act in ACTS.get(kind, ()) if act.name == name), None)
    if found is None or not visitor().may(found.scope):
        abort(404)
    return found


@PAGES.get("/<any(loan,forest,cover,policy,claim,call,model,allocation):kind>/<uuid:subject_id>/do/<name>")
def doing(kind: str, subject_id: UUID, name: str) -> Any:
    """Show what would be done, what is asked for and what follows."""
    act = _act(kind, name)
    service, path, _ = SUBJECTS[kind]
    answer = services().ask(visitor().token, service, path.format(id=subject_id))
    subject = answer.document
    if act.approves:
        waiting = ask(service, "/approvals", limit=100)["items"]
        subject["waiting_hash"] = next(
            (one["payload_hash"] for one in waiting if one["subject"] == str(subject_id)), ""
        )
    if act.states and standing(subject) not in act.states:
        flash(say("此案已进入下一步，请看当前状态。", "The case has moved on meanwhile; this is how it stands now."))
        return redirect(url_for(SUBJECTS[kind][2], subject_id=subject_id))
    seen = {field.name: field.of(subject) for field in act.fields if field.kind == "seen" and field.of}
    return _form(kind, act, subject, seen, answer.etag, str(uuid4()))


@PAGES.post("/<any(loan,forest,cover,policy,claim,call,model,allocation):kind>/<uuid:subject_id>/do/<name>")
def post_doing(kind: str, subject_id: UUID, name: str) -> Any:
    """Do it. What was typed stays on the page when the service refuses, with the reason beside it."""
    act = _act(kind, name)
    service, path, shown = SUBJECTS[kind]
    subject = services().ask(visitor().token, service, path.format(id=subject_id)).document
    typed = request.form.to_dict()
    etag = typed.get("etag") if act.versioned else None
    try:
        do(act.service, act.path.format(id=subject_id), request_of(act, typed, subject), typed.get("key", ""), etag)
    except ApiError as error:
        if error.status == 401:
            raise
        # Only what never reached its transaction may go again under the same key.
        key = typed["key"] if error.status == 503 else str(uuid4())
        return _form(kind, act, subject, typed, etag, key, error), error.status
    flash(say(f"已完成：{act.button[0]}", f"Done: {act.button[1]}"))
    return redirect(url_for(shown, subject_id=subject_id), 303)


def _form(
    kind: str, act: Act, subject: Any, typed: Any, etag: str | None, key: str, error: ApiError | None = None
) -> str:
    return render_template(
        "doing.html", kind=kind, act=act, subject=subject, typed=typed, etag=etag, key=key, error=error,
        back=url_for(SUBJECTS[kind][2], subject_id=subject["id"]),
    )  # fmt: skip

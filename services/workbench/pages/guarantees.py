"""The guarantor's desk: room under each limit, guarantees, and calls from the bank's request to the recovery."""

from typing import Any
from uuid import UUID

from flask import render_template, request

from services.workbench.acts import possible
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, panel, visitor


@PAGES.get("/guarantees")
def guarantees() -> Any:
    """List calls, limits with what is used of each, and guarantees."""
    asked = {
        "calls": panel("guarantee", "/calls", limit=20),
        "headroom": panel("guarantee", "/headroom", limit=100),
        "guarantees": panel("guarantee", "/guarantees", limit=25, cursor=request.args.get("cursor")),
    }
    rooms = asked["headroom"].shown["items"] if asked["headroom"].shown else []
    tightest = sorted(rooms, key=_used, reverse=True)[:20]
    return render_template("guarantees.html", asked=asked, rooms=[(room, _used(room)) for room in tightest])


def _used(room: dict[str, Any]) -> float:
    """The part of a limit that is posted or pending."""
    cap = float(room["cap_effective"]["amount"])
    taken = float(room["posted"]["amount"]) + float(room["pending"]["amount"])
    return taken / cap if cap > 0 else float(taken > 0)


@PAGES.get("/guarantee/<uuid:subject_id>")
def guarantee(subject_id: UUID) -> Any:
    """Show a guarantee: who bears what, and the limits it counts under."""
    found = ask("guarantee", f"/guarantees/{subject_id}")
    return render_template(
        "guarantee.html", guarantee=found, calls=panel("guarantee", "/calls", loan_id=found["loan_id"])
    )


@PAGES.get("/call/<uuid:subject_id>")
def call(subject_id: UUID) -> Any:
    """Show a call: the shares, the journal to the fen, and what came back."""
    asked = {
        "journal": panel("guarantee", f"/calls/{subject_id}/journal"),
        "recoveries": panel("guarantee", f"/calls/{subject_id}/recoveries"),
    }
    found = ask("guarantee", f"/calls/{subject_id}")
    return render_template("call.html", call=found, asked=asked, acts=possible("call", found, visitor()))

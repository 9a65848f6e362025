"""The guarantor's queues: what was placed as a whole, how near to the best, what room is worth, and its acceptance."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response, render_template, request

from services.workbench.acts import possible
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, file, panel, visitor

#: Shades of the heat table.
SHADES = 4


@PAGES.get("/allocations")
def allocations() -> Any:
    """List the queues that were placed, and what a fen of each limit is worth."""
    asked = {
        "queues": panel("guarantee", "/allocations", cursor=request.args.get("cursor"), limit=25),
        "prices": panel("guarantee", "/shadow-prices"),
    }
    prices = asked["prices"].shown["items"] if asked["prices"].shown else []
    dearest = max((Decimal(one["price"]) for one in prices), default=Decimal(0))
    shaded = [(one, shade(one["price"], dearest)) for one in prices]
    return render_template("allocations.html", asked=asked, prices=shaded)


def shade(price: Any, dearest: Decimal) -> int:
    """How warm a price is shown beside the dearest: 0 for nothing, up to SHADES."""
    return min(SHADES, 1 + int(Decimal(price) / dearest * SHADES)) if Decimal(price) > 0 else 0


@PAGES.get("/allocation/<uuid:subject_id>")
def allocation(subject_id: UUID) -> Any:
    """Show a queue: bound and gap, its job, what was placed here, and how far its acceptance is."""
    path = f"/allocations/{subject_id}"
    found = ask("guarantee", path)
    placed = found["finished_at"] is not None
    return render_template(
        "allocation.html",
        queue=found,
        job=panel("guarantee", f"/jobs/{subject_id}"),
        lines=panel("guarantee", f"{path}/acceptance") if placed else None,
        acts=possible("allocation", found, visitor()) if placed else [],
    )


@PAGES.get("/allocation/<uuid:subject_id>/certificate.json")
def allocation_certificate(subject_id: UUID) -> Response:
    """Download the certificate, as `heartwood guarantee verify` reads it."""
    found = file("guarantee", f"/allocations/{subject_id}/certificate")
    answer = Response(found.content, content_type=found.kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="certificate-{subject_id}.json"'
    return answer

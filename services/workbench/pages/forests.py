"""Forests: the register's list and map, and one forest with its value, its units and who holds liens on it."""

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for

from services.workbench import charts
from services.workbench.acts import possible
from services.workbench.pages import PAGES
from services.workbench.visitors import ask, panel, visitor

COUNTIES = ("shuocheng", "pinglu", "shanyin", "yingxian", "youyu", "huairen")
#: Shares of a forest's units under lien, above which the map's colour deepens.
DEPTHS = (0.0, 0.25, 0.5, 0.75)


@PAGES.get("/forests")
def forests() -> Any:
    """List and map a page of forests, coloured by how much of their carbon is pledged."""
    county = request.args.get("county") or None
    page = ask("sink", "/assets", county=county, cursor=request.args.get("cursor"), limit=60)
    items = page["items"]
    picture = charts.chart_of(
        items, [_depth(one) for one in items], [url_for("pages.forest", subject_id=one["id"]) for one in items]
    )
    return render_template("forests.html", page=page, county=county, counties=COUNTIES, picture=picture)


def _depth(forest: dict[str, Any]) -> int:
    """How deep the map's colour is: 0 where nothing is pledged, 4 where nearly all is."""
    units = forest["units"]
    standing = float(units["forecast"]) + float(units["issued"])
    return sum(float(units["pledged"]) > bound * standing for bound in DEPTHS) if standing > 0 else 0


@PAGES.get("/forest/<uuid:subject_id>")
def forest(subject_id: UUID) -> Any:
    """Show a forest: where, what it is worth and why, its units, and the liens on it."""
    path = f"/assets/{subject_id}"
    asked = {
        "valuations": panel("sink", f"{path}/valuations", limit=5),
        "pledges": panel("sink", "/pledges", asset_id=subject_id),
        "reversals": panel("sink", "/reversals", asset_id=subject_id),
    }
    found = ask("sink", path)
    versions = asked["valuations"].shown["items"] if asked["valuations"].shown else []
    latest = versions[0] if versions else None
    return render_template(
        "forest.html",
        forest=found,
        asked=asked,
        latest=latest,
        picture=charts.chart_of([found], [_depth(found)], [""]),
        fan=charts.fan(latest["removals"]) if latest else None,
        segments=charts.shares(latest["variance_shares"]) if latest else (),
        acts=possible("forest", found, visitor()),
    )

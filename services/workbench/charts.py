"""Pictures as plain numbers: where each line, bar and polygon lies. The templates draw them as SVG beside a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH, HEIGHT = 640.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 12.0, 30.0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Fan:
    """Quantiles over dates: the band between the outer two, the middle line, and the axes."""

    band: str
    middle: str
    dots: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT


def fan(removals: Sequence[dict[str, Any]]) -> Fan | None:
    """Net removals of each verification, P10 to P90 and median, in tonnes over the verification dates."""
    if not removals:
        return None
    days = [date.fromisoformat(one["verified_on"]).toordinal() for one in removals]
    low, middle, high = ([float(one[name]) for one in removals] for name in ("p10", "p50", "p90"))
    marks = nice(0.0, max(high))
    first, span = days[0], max(days[-1] - days[0], 1)

    def x(day: int) -> float:
        return _round(LEFT + (WIDTH - LEFT - RIGHT) * ((day - first) / span if len(days) > 1 else 0.5))

    def y(value: float) -> float:
        return _round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / (marks[-1] or 1.0))

    upper = [(x(d), y(v)) for d, v in zip(days, high, strict=True)]
    lower = [(x(d), y(v)) for d, v in zip(days, low, strict=True)]
    centre = [(x(d), y(v)) for d, v in zip(days, middle, strict=True)]
    return Fan(
        band=_path([*upper, *reversed(lower)]) + "Z",
        middle=_path(centre),
        dots=tuple(centre),
        x_ticks=_apart([Tick(x(d), one["verified_on"][:4]) for d, one in zip(days, removals, strict=True)]),
        y_ticks=tuple(Tick(y(mark), f"{mark:,.0f}") for mark in marks),
    )


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall: from where to where, and the amount it stands for."""

    name: str
    value: float
    at: float
    top: float
    size: float
    total: bool = False
    width: float = 0.0

    @property
    def rises(self) -> bool:
        """Whether it adds."""
        return self.value >= 0


@dataclass(frozen=True)
class Waterfall:
    """Steps from a first total to a last one."""

    steps: tuple[Step, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def foot(self) -> float:
        """Where the names under the bars begin."""
        return HEIGHT - 12


def waterfall(
    start: tuple[str, float] | None, changes: Sequence[tuple[str, float]], end: tuple[str, float]
) -> Waterfall:
    """A total (or nothing), what is added to it one by one, and what comes out, in one unit."""
    totals = [start] if start else []
    levels = [(0.0, value) for _, value in totals]
    running = start[1] if start else 0.0
    for _, change in changes:
        levels.append((running, running + change))
        running += change
    levels.append((0.0, end[1]))
    marks = nice(min(0.0, *(min(pair) for pair in levels)), max(max(pair) for pair in levels))
    low, high = marks[0], marks[-1]
    room = (WIDTH - LEFT - RIGHT) / len(levels)

    def y(value: float) -> float:
        return _round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / ((high - low) or 1.0))

    names, values = zip(*totals, *changes, end, strict=True)
    steps = tuple(
        Step(
            name=names[i],
            value=values[i],
            at=_round(LEFT + room * (i + 0.15)),
            top=y(max(pair)),
            size=max(_round(y(min(pair)) - y(max(pair))), 1.0),
            total=i < len(totals) or i == len(levels) - 1,
            width=_round(room * 0.7),
        )
        for i, pair in enumerate(levels)
    )
    # Names of many bars stand aslant and need room below.
    height = HEIGHT + (70.0 if len(steps) > 8 else 0.0)
    return Waterfall(steps, tuple(Tick(y(mark), f"{mark:,.0f}") for mark in marks), height=height)


def premium(steps: Sequence[dict[str, Any]], total: Any) -> Waterfall:
    """The waterfall of a price: each step that moves it, and the premium it comes to. [CNY]"""
    amounts = [(one["step"], float(one["amount"])) for one in steps]
    return waterfall(None, [one for one in amounts if abs(one[1]) >= 0.005], ("premium", float(total)))


@dataclass(frozen=True)
class Segment:
    """A part of a whole, as a piece of one bar."""

    name: str
    share: float
    at: float
    size: float


def shares(parts: dict[str, Any], width: float = WIDTH) -> tuple[Segment, ...]:
    """Parts that sum to one, side by side on one bar, as given."""
    segments, begun = [], 0.0
    for name, share in parts.items():
        size = width * float(share)
        segments.append(Segment(name, float(share), _round(begun), _round(size)))
        begun += size
    return tuple(segments)


@dataclass(frozen=True)
class Plot:
    """One forest's outline on the map."""

    path: str
    label: str
    link: str
    depth: int
    at: tuple[float, float]


@dataclass(frozen=True)
class Map:
    """Outlines on a plain ground with a scale bar: no tiles, nothing from outside."""

    plots: tuple[Plot, ...]
    scale_length: float
    scale_text: str
    width: float = WIDTH
    height: float = 380.0


def chart_of(
    forests: Sequence[dict[str, Any]],
    depth_of: Sequence[int],
    links: Sequence[str],
) -> Map | None:
    """Lay forests' polygons out in an equirectangular picture true to scale at their middle latitude."""
    rings = [_rings(forest["geometry"]) for forest in forests]
    points = [point for outlines in rings for ring in outlines for point in ring]
    if not points:
        return None
    west, east = min(p[0] for p in points), max(p[0] for p in points)
    south, north = min(p[1] for p in points), max(p[1] for p in points)
    squeeze = math.cos(math.radians((south + north) / 2))
    width, height, margin = WIDTH, 380.0, 16.0
    span_x, span_y = max((east - west) * squeeze, 1e-6), max(north - south, 1e-6)
    zoom = min((width - 2 * margin) / span_x, (height - 2 * margin - 20) / span_y)
    left = (width - span_x * zoom) / 2
    top = (height - 20 - span_y * zoom) / 2

    def place(point: Sequence[float]) -> tuple[float, float]:
        return _round(left + (point[0] - west) * squeeze * zoom), _round(top + (north - point[1]) * zoom)

    plots = []
    for forest, outlines, depth, link in zip(forests, rings, depth_of, links, strict=True):
        placed = [[place(point) for point in ring] for ring in outlines]
        flat = [point for ring in placed for point in ring]
        middle = (_round(sum(p[0] for p in flat) / len(flat)), _round(sum(p[1] for p in flat) / len(flat)))
        plots.append(Plot("".join(_path(ring) + "Z" for ring in placed), str(forest["name"]), link, depth, middle))
    metres = nice(0.0, 120.0 / zoom * 111_320.0)[1]
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    return Map(tuple(plots), _round(metres / 111_320.0 * zoom), text)


def _rings(geometry: dict[str, Any] | None) -> list[list[list[float]]]:
    if not geometry:
        return []
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [ring for part in parts for ring in part]


def nice(low: float, high: float, count: int = 4) -> list[float]:
    """Round marks from at most low to at least high."""
    span = max(high - low, 1e-9)
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.floor(low / step)
    return [index * step for index in range(first, math.ceil(high / step) + 1)]


def _apart(ticks: Sequence[Tick], least: float = 40.0) -> tuple[Tick, ...]:
    """The marks whose texts do not run into the one before."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= least:
            kept.append(tick)
    return tuple(kept)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _round(value: float) -> float:
    return round(value, 1)


#: What a service's picture may be made of: shapes and words, nothing that links, loads or runs.
_SHAPES = {"svg", "g", "rect", "circle", "line", "path", "polyline", "text", "title"}
_TRAITS = {
    "viewBox", "width", "height", "role", "aria-label", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d",
    "points", "transform", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "text-anchor",
    "font-family", "font-size", "font-weight",
}  # fmt: skip
#: A larger picture is a file to keep, not a part of a page. [bytes]
_LARGEST = 500_000


def inline(svg: bytes) -> Markup | None:
    """A service's picture as a part of the page; None if it is too large or made of anything but shapes and words."""
    if len(svg) > _LARGEST or b"<!" in svg:
        return None
    try:
        drawn = ElementTree.fromstring(svg)  # noqa: S314 - small, and declares no entities
    except ElementTree.ParseError:
        return None
    for one in drawn.iter():
        one.tag = one.tag.removeprefix("{http://www.w3.org/2000/svg}")
        if one.tag not in _SHAPES or not _TRAITS.issuperset(one.attrib):
            return None
    # Written anew from what was checked, so that nothing else gets through.
    return Markup(ElementTree.tostring(drawn, encoding="unicode"))  # noqa: S704 - checked and escaped

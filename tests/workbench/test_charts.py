"""What the pictures say is what the numbers say."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.workbench import charts
from shared.pictures import line_chart

REMOVALS = [
    {"verified_on": "2031-12-01", "p10": "4000", "p50": "6000", "p90": "9500", "mean": "6100"},
    {"verified_on": "2036-12-01", "p10": "3500", "p50": "5000", "p90": "7500", "mean": "5100"},
    {"verified_on": "2037-01-01", "p10": "300", "p50": "500", "p90": "800", "mean": "510"},
]


def test_a_fan_is_drawn_to_scale() -> None:
    fan = charts.fan(REMOVALS)
    assert fan is not None
    zero, top = fan.y_ticks[0], fan.y_ticks[-1]
    assert (zero.text, top.text) == ("0", "10,000")
    per_tonne = (zero.at - top.at) / 10_000
    for (_, y), one in zip(fan.dots, REMOVALS, strict=True):
        assert zero.at - y == pytest.approx(float(one["p50"]) * per_tonne, abs=0.11)
    assert [tick.text for tick in fan.x_ticks] == ["2031", "2036"], "texts do not run into each other"
    assert fan.band.count("L") == 5, "three points out, three back"


def test_no_verification_is_no_picture() -> None:
    assert charts.fan([]) is None
    assert charts.chart_of([], [], []) is None


@given(st.floats(10, 1000), st.lists(st.floats(-200, 200), max_size=6))
def test_a_waterfall_joins_up(start: float, changes: list[float]) -> None:
    end = start + sum(changes)
    picture = charts.waterfall(("first", start), [(str(i), c) for i, c in enumerate(changes)], ("last", end))
    steps = picture.steps
    level = steps[0].top
    for step in steps[1:-1]:
        begins = step.top + step.size if step.rises else step.top
        assert begins == pytest.approx(level, abs=1.2), "a step begins where the one before ended"
        level = step.top if step.rises else step.top + step.size
    reached = steps[-1].top if end >= 0 else steps[-1].top + steps[-1].size
    assert reached == pytest.approx(level, abs=1.2)


def test_shares_fill_the_bar_in_their_order() -> None:
    segments = charts.shares({"growth": "0.25", "price": "0.75"}, width=400)
    assert [(one.at, one.size) for one in segments] == [(0.0, 100.0), (100.0, 300.0)]


def test_a_map_is_true_to_scale_and_keeps_inside() -> None:
    square = {
        "type": "Polygon",
        "coordinates": [[[112.0, 39.0], [112.1, 39.0], [112.1, 39.1], [112.0, 39.1], [112.0, 39.0]]],
    }
    twin = {
        "type": "MultiPolygon",
        "coordinates": [[[[112.3, 39.2], [112.31, 39.2], [112.31, 39.21], [112.3, 39.2]]]],
    }
    picture = charts.chart_of(
        [{"name": "a", "geometry": square}, {"name": "b", "geometry": twin}], [0, 3], ["/a", "/b"]
    )
    assert picture is not None
    points = [
        tuple(map(float, pair.split())) for plot in picture.plots for pair in re.findall(r"[\d.]+ [\d.]+", plot.path)
    ]
    assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in points)
    first = [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", picture.plots[0].path)]
    wide, high = first[1][0] - first[0][0], first[1][1] - first[2][1]
    assert wide / high == pytest.approx(0.777, abs=0.01), "a degree of longitude is shorter here: cos 39°"
    kilometres = float(picture.scale_text.removesuffix(" km"))
    assert picture.scale_length / high == pytest.approx(kilometres / 11.132, rel=0.03)


@given(st.floats(-1e9, 1e9), st.floats(0.001, 1e9))
def test_marks_enclose_what_they_measure(low: float, span: float) -> None:
    marks = charts.nice(low, low + span)
    assert marks[0] <= low + 1e-6 * span
    assert marks[-1] >= low + span - 1e-6 * span
    assert 2 <= len(marks) <= 7


def test_a_picture_of_a_service_is_drawn_only_if_it_is_shapes_and_words() -> None:
    picture = line_chart("Loss <b>", [("AEP & net", [(0, 1), (2, 3)])], "years", "CNY", diagonal=True)
    drawn = charts.inline(picture.encode())
    assert drawn
    assert drawn.startswith("<svg ")
    assert "AEP &amp; net" in drawn
    assert "<b>" not in drawn
    svg = '<svg xmlns="http://www.w3.org/2000/svg">%s</svg>'
    for bad in (
        "<script>alert(1)</script>", '<rect onload="alert(1)"/>', '<a href="/"><text>x</text></a>',
        "<style>*{}</style>", '<rect style="fill:red"/>', '<image href="http://elsewhere.example/x"/>',
        "<foreignObject/>", "<rect>",
        '<x:rect xmlns:x="http://www.w3.org/1999/xhtml"/>', "<title>" + "long" * 200_000 + "</title>",
    ):  # fmt: skip
        assert charts.inline((svg % bad).encode()) is None, bad
    assert charts.inline(b'<!DOCTYPE svg [<!ENTITY a "b">]><svg><text>&a;</text></svg>') is None

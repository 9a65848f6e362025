"""What a run says as pictures: SVG text, no script, nothing loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from services.insurance.accumulation.book import Arrays
from shared.pictures import COLOURS, line_chart

#: Points of a curve; return periods up to so many are drawn.
_POINTS = 60
_WIDTH, _HEIGHT, _LEFT, _TOP = 480, 320, 56, 30


def exceedance(labels: Sequence[tuple[str, str]], whole: Arrays, years: int) -> str:
    """Loss in million CNY by return period: sums of years, largest events, and net sums."""
    net = list(map(tuple, labels)).index(("net", ""))
    curves = (
        ("AEP", whole["aggregate"][0]), ("OEP", whole["occurrence"][0]), ("AEP net", whole["aggregate"][net]),
    )  # fmt: skip
    longest = max(years // 10, 2)
    periods = np.unique(np.geomspace(1, longest, _POINTS))
    places = np.minimum(np.floor(years / periods + 1e-6).astype(int), years) - 1
    lines = []
    for name, losses in curves:
        ordered = np.sort(losses)[::-1]
        lines.append((name, [(float(p), float(ordered[k]) / 1e6) for p, k in zip(periods, places, strict=True)]))
    return line_chart("Exceedance · 超越曲线", lines, "return period, years", "loss, million CNY")


def waterfall(labels: Sequence[tuple[str, str]], whole: Arrays) -> str:
    """A year's mean in thousand CNY from ground-up to net: what the terms take, what each contract takes."""
    mean = whole["aggregate"].mean(axis=1) / 1e3
    ground_up = float(whole["ground_up"].mean()) / 1e3
    named = {(of, name): float(mean[row]) for row, (of, name) in enumerate(labels)}
    steps = [("ground-up · 总损失", 0.0, ground_up), ("terms · 条款", named["all", ""], ground_up)]
    left = named["all", ""]
    steps.append(("gross · 毛", 0.0, left))
    for of, name in labels:
        if of == "ceded":
            steps.append((name, left - named["ceded", name], left))
            left -= named["ceded", name]
    return _bars("Loss of a mean year · 年均损失", [*steps, ("net · 净", 0.0, left)], "thousand CNY")


def _bars(title: str, steps: Sequence[tuple[str, float, float]], unit: str) -> str:
    most = max(*(high for _, _, high in steps), 1e-9)
    wide = (_WIDTH - _LEFT - 10) / len(steps)
    parts = [_head(title, _WIDTH, _HEIGHT)]
    floor = _HEIGHT - 70

    def up(amount: float) -> float:
        return floor - (floor - _TOP) * max(amount, 0) / most

    for number, (name, low, high) in enumerate(steps):
        left = _LEFT + number * wide
        colour = COLOURS[0] if low == 0 else COLOURS[1]
        parts.append(
            f'<rect x="{left:.1f}" y="{up(high):.1f}" width="{wide * 0.8:.1f}"'
            f' height="{max(up(low) - up(high), 0.5):.1f}" fill="{colour}"/>'
            f'<text x="{left + wide * 0.4:.1f}" y="{up(high) - 4:.1f}" text-anchor="middle">{high - low:,.1f}</text>'
            f'<text transform="translate({left + wide * 0.4:.1f},{floor + 12}) rotate(20)">{escape(name)}</text>'
        )
    return "".join([*parts, f'<text x="4" y="{_TOP + 8}">{escape(unit)}</text></svg>'])


def aggregates(content: Mapping[str, Any], whole: Arrays, years: int) -> str:
    """A map of the insured forests: discs by sum insured, darker the more a mean year pays on each yuan of it."""
    forests = content["forests"]
    place = np.array([(float(one["longitude"]), float(one["latitude"])) for one in forests])
    sums = np.array([float(one["sum_insured"]) for one in forests])
    rate = whole["by_forest"] / years / sums
    (west, south), (east, north) = place.min(axis=0) - 0.02, place.max(axis=0) + 0.02
    across = np.cos(np.radians((south + north) / 2))
    scale = min((_WIDTH - 20) / ((east - west) * across), (_HEIGHT - _TOP - 30) / (north - south))
    parts = [_head("Sums insured · 承保分布", _WIDTH, _HEIGHT)]
    for number in np.argsort(-sums, kind="stable"):
        x = 10 + (place[number, 0] - west) * across * scale
        y = _TOP + (north - place[number, 1]) * scale
        radius = 2 + 14 * np.sqrt(sums[number] / sums.max())
        dark = 0.25 + 0.7 * rate[number] / max(rate.max(), 1e-12)
        told = f"{forests[number]['county']}: {sums[number]:,.0f} CNY, {rate[number] * 1000:.2f} ‰"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{COLOURS[1]}" fill-opacity="{dark:.2f}"'
            f' stroke="#333" stroke-width="0.5"><title>{escape(told)}</title></circle>'
        )
    foot = f"{len(forests)} · {sums.sum() / 1e6:,.1f} million CNY · {rate.max() * 1000:.2f} ‰"
    return "".join([*parts, f'<text x="10" y="{_HEIGHT - 8}">{escape(foot)}</text></svg>'])


def _head(title: str, width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="11">'
        f'<text x="{_LEFT}" y="16" font-size="13" font-weight="bold">{escape(title)}</text>'
    )

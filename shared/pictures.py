"""Small charts as SVG text: no library, no script, nothing loaded from elsewhere."""

from collections.abc import Sequence
from html import escape

#: Colours that keep apart in print and for colour-blind eyes.
COLOURS = ("#1b6e4f", "#c2571a", "#3b5ba5", "#7a7a7a")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 360, 300, 46, 40, 30

Line = Sequence[Sequence[float]]


def line_chart(
    title: str,
    lines: Sequence[tuple[str, Line]],
    x: str,
    y: str,
    diagonal: bool = False,
    limits: tuple[float, float] | None = None,
) -> str:
    """A chart of lines, each a name and its points (x, y); the axes begin at 0, or have the limits (x, y)."""
    most_x = limits[0] if limits else max((point[0] for _, line in lines for point in line), default=1.0) or 1.0
    most_y = limits[1] if limits else max((point[1] for _, line in lines for point in line), default=1.0) or 1.0

    def place(point: Sequence[float]) -> str:
        across = _LEFT + (_WIDTH - _LEFT - 10) * point[0] / most_x
        up = _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * point[1] / most_y
        return f"{across:.1f},{up:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="11">',
        f'<text x="{_LEFT}" y="16" font-size="13" font-weight="bold">{escape(title)}</text>',
        f'<polyline fill="none" stroke="#999" points="{place((0, most_y))} {place((0, 0))} {place((most_x, 0))}"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        across, up = place((share * most_x, 0)).split(",")[0], place((0, share * most_y)).split(",")[1]
        parts.append(
            f'<text x="{across}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{share * most_x:.3g}</text>'
        )
        parts.append(f'<text x="{_LEFT - 4}" y="{float(up) + 4:.1f}" text-anchor="end">{share * most_y:.3g}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x)}</text>')
    parts.append(f'<text transform="translate(11,{_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y)}</text>')
    if diagonal:
        end = min(most_x, most_y)
        parts.append(
            f'<polyline fill="none" stroke="#bbb" stroke-dasharray="4" points="{place((0, 0))} {place((end, end))}"/>'
        )
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(place(point) for point in line)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        parts.append(
            f'<text x="{_WIDTH - 12}" y="{_TOP + 14 * (number + 1)}" text-anchor="end" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])

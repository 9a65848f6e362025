"""The card of a peril model: what it is, how good, and what it is not. Markdown and HTML."""

from collections.abc import Mapping
from html import escape
from typing import Any

from shared.pictures import line_chart


def _lines(model: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    annual, credibility, tail, training = (model[n] for n in ("annual", "credibility", "tail", "training"))
    lines = [
        "# Model card · 模型卡", "", model["note"], "",
        f"Peril {model['peril']}, region {model['region']}; {model['unit']}. {training['rows']:,} rows,"
        f" {training['losses']:,} losses,"
        f" {training['periods'][0]}-{training['periods'][1]}; file {report['file']},"
        f" SHA-256 {training['data_sha256']}.", "",
        f"Made by: `{report['command']}`", "",
        "Frequency: negative binomial, lines broken at quintiles and products; severity: gamma on capped losses;"
        " credibility of the group's own experience on each."
        " Boosting and Tweedie are challengers and are not served.", "",
        "## Annual loss", "",
        "| burning cost | model | Tweedie | parameters, 90 % | years, 90 % |", "|---|---|---|---|---|",
        f"| {annual['burning_cost']:.1f} | {annual['expected']:.1f} | {annual['tweedie']:.1f} |"
        f" {annual['parameter_interval_90'][0]:.1f} to {annual['parameter_interval_90'][1]:.1f} |"
        f" {annual['year_band_90'][0]:.1f} to {annual['year_band_90'][1]:.1f} |", "",
        f"Mean weight of own experience: counts {credibility['count']['mean_weight']:.2f}, severity"
        f" {credibility['severity']['mean_weight']:.2f}. Dispersion {model['frequency']['dispersion']:.2f}.", "",
        f"Tail beyond {tail['threshold']:g}: generalised Pareto, shape {tail.get('shape', float('nan')):.2f};"
        f" the variance of uncapped losses is {tail['variance']}: a risk margin"
        " rests on capped loss or TVaR, never on a standard deviation.", "",
    ]  # fmt: skip
    for name, found in report["measured"].items():
        lines += [
            f"## {name.replace('_', ', ')}",
            "",
            "| method | D2 (range) | Gini | predicted / actual |",
            "|---|---|---|---|",
        ]
        for method, one in found.items():
            if "d2" in one:
                d2, pa = one["d2"], one["predicted_over_actual"]
                lines.append(
                    f"| {method} | {d2['mean']:.3f} ({d2['range'][0]:.3f} to {d2['range'][1]:.3f}) |"
                    f" {one['gini']['mean']:.3f} | {pa['range'][0]:.2f} to {pa['range'][1]:.2f} |"
                )
        for other, (d2, g) in report["reference"].get(name, {}).items():
            lines.append(f"| elsewhere: {other} | {d2:.3f} | {g:.3f} | |")
        for other, (low, high) in found.get("paired", {}).items():
            lines.append(f"| deviance saved beside {other}, 90 % | {low:.3f} to {high:.3f} | | |")
        lines.append("")
    if report["missed"]:
        lines += ["## Missed", "", *(f"* {each}" for each in report["missed"]), ""]
    return lines


def markdown(model: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    return "\n".join(_lines(model, report))


def html(model: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as one page with lift and calibration by tenth drawn in it; it loads nothing."""
    body, table = [], False
    for line in _lines(model, report):
        if line.startswith("|---"):
            continue
        if line.startswith("|"):
            body.append("" if table else "<table>")
            table = True
            body.append("<tr>" + "".join(f"<td>{escape(c.strip())}</td>" for c in line.strip("|").split("|")) + "</tr>")
            continue
        if table:
            body.append("</table>")
            table = False
        level = len(line) - len(line.lstrip("#"))
        tag = f"h{level}" if level else "p"
        body.append(f"<{tag}>{escape(line.lstrip('#* '))}</{tag}>" if line else "")
    for name, found in report["measured"].items():
        lift = found["champion"]["lift"]
        tenths = [
            ("predicted", [(n + 1, p) for n, (p, _) in enumerate(lift)]),
            ("actual", [(n + 1, a) for n, (_, a) in enumerate(lift)]),
        ]
        body.append(f"<figure>{line_chart(f'Lift: {name}', tenths, 'tenth by prediction', 'by exposure')}</figure>")
        body.append(
            f"<figure>{line_chart(f'Calibration: {name}', [('tenths', lift)], 'predicted', 'actual', True)}</figure>"
        )
    style = (
        "body{font-family:sans-serif;max-width:60rem;margin:2rem auto}"
        "td{border-bottom:1px solid #ddd;padding:.2rem .6rem}figure{display:inline-block}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Model card</title>'
        f"<style>{style}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )

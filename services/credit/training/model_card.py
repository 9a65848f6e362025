"""The model card: what a card is, what it was trained on, how good it is, and what it is not. Markdown and HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from shared.pictures import line_chart

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def markdown(card: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    lines = ["# Model card · 模型卡", ""]
    for title, parts in _sections(card, report):
        lines += [f"## {title}", ""]
        for part in parts:
            if isinstance(part, str):
                lines += [part, ""]
            else:
                header, rows = part
                lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
                lines += ["| " + " | ".join(row) + " |" for row in rows]
                lines.append("")
    return "\n".join(lines)


def html(card: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as one page with its pictures in it; it loads nothing."""
    body = ["<h1>Model card · 模型卡</h1>"]
    for title, parts in _sections(card, report):
        body.append(f"<h2>{escape(title)}</h2>")
        for part in parts:
            if isinstance(part, str):
                body.append(f"<p>{escape(part)}</p>")
            else:
                header, rows = part
                body.append(
                    "<table><thead><tr>" + "".join(f"<th>{escape(h)}</th>" for h in header) + "</tr></thead><tbody>"
                )
                body += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows]
                body.append("</tbody></table>")
        if title.startswith("Pictures"):
            body += _pictures(report)
    style = (
        "body{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;line-height:1.5;color:#222}"
        "table{border-collapse:collapse;margin:1rem 0}"
        "td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:left}"
        "figure{display:inline-block;margin:.5rem}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Model card</title><style>{style}</style>'
        f"</head><body>{''.join(body)}</body></html>\n"
    )


def _pictures(report: Mapping[str, Any]) -> list[str]:
    found = report["measured"]["cross_validated"]
    methods = [name for name in found if isinstance(found[name], Mapping)]
    curves = {name: found[name]["curves"] for name in methods}
    highest = max(max(point) for name in methods for point in curves[name]["calibration"])
    champion = curves["champion"]["ks"]
    pictures = [
        line_chart("ROC", [(n, [(0, 0), *curves[n]["roc"]]) for n in methods], "goods refused", "bads found", True),
        line_chart(
            "KS of the champion",
            [
                ("bads", [(0, 0), *((p, b) for p, b, _ in champion)]),
                ("goods", [(0, 0), *((p, g) for p, _, g in champion)]),
            ],
            "share of loans, riskiest first",
            "share found",
        ),
        line_chart(
            "Calibration",
            [(n, curves[n]["calibration"]) for n in methods],
            "stated probability, by tenth",
            "observed",
            True,
            (highest, highest),
        ),
    ]
    return [f"<figure>{picture}</figure>" for picture in pictures]


def _sections(card: Mapping[str, Any], report: Mapping[str, Any]) -> list[tuple[str, list[str | Table]]]:
    measured, training = report["measured"], card["training"]
    sections: list[tuple[str, list[str | Table]]] = [
        (
            "What it is",
            [
                card["note"],
                f"Method: {training['method']}. Trained on {training['rows']:,} loans, {training['bads']:,} bad;"
                f" file {report['file']}, SHA-256 {training['data_sha256']}; mapping {training['mapping']}.",
                f"Made by: {report['command']}",
            ],
        )
    ]
    if measured["low_data"]:
        sections.append(
            (
                "Few data",
                [f"There are only {measured['bads']} bads. Read the intervals: a single loan moves the means."],
            )
        )
    for name, title in _cross_validations(measured):
        found = measured[name]
        rows = [_result(method, found[method]) for method in found if isinstance(found[method], Mapping)]
        rows += [[f"reference: {other}", f"{a:.4f} ± {sd:.3f}", "", f"{b:.4f}", f"{ks:.3f}", ""]
                 for other, (a, sd, b, ks) in report["reference"].get(name, {}).items()]  # fmt: skip
        sections.append(
            (
                title,
                [
                    f"{found['rows']:,} loans, {found['bads']:,} bad. {measured['protocol']}."
                    f" Brier score of the base rate: {found['brier_of_base_rate']:.4f}.",
                    (("method", "AUC ± sd over folds", "AUC, 90 % bootstrap", "Brier", "KS", "ECE"), rows),
                ],
            )
        )
    if report["missed"]:
        sections.append(("Missed", [f"{each}." for each in report["missed"]]))
    sections += _out_of_time(measured["out_of_time"])
    for feature in card["features"]:
        lines = [
            *feature["attributes"],
            *([feature["missing"]["attribute"]] if "attribute" in feature["missing"] else []),
        ]
        sections.append(
            (
                f"Feature: {feature['name']}",
                [
                    f"Unit {feature['unit']}; direction {feature['direction']:+d}; information value"
                    f" {feature['information_value']:.3f}; a gap: {feature['missing']['policy']}; an unseen value:"
                    f" {feature['unseen']['policy']}.",
                    (
                        ("attribute", "evidence", "WOE alone", "goods", "bads"),
                        [
                            [
                                a["label"],
                                f"{a['evidence']:+.3f}",
                                f"{a['woe']:+.3f}",
                                f"{a['goods']:,}",
                                f"{a['bads']:,}",
                            ]
                            for a in lines
                        ],
                    ),
                ],
            )
        )
    left = {**report.get("left_out", {}), **card["excluded"]}
    if left:
        sections.append(("Left out", [(("column", "why"), [[name, why] for name, why in left.items()])]))
    sections.append(("Pictures", []))
    return sections


def _out_of_time(late: Mapping[str, Any]) -> list[tuple[str, list[str | Table]]]:
    if "not_tested" in late:
        return [("Out of time", [f"Not tested: {late['not_tested']}."])]
    methods = [name for name in late if isinstance(late[name], Mapping) and "auc" in late[name]]
    rows = [
        [name, f"{late[name]['auc']:.4f}", "{:.3f} to {:.3f}".format(*late[name]["auc_bootstrap_90"]),
         f"{late[name]['brier']:.4f}", f"{late[name]['ks']:.3f}", f"{late[name]['ece']:.3f}",
         f"{late[name]['mean_pd']:.4f}", f"{late[name]['observed']:.4f}",
         f"{late[name]['recalibrated']['mean_pd']:.4f}", f"{late[name]['recalibrated']['observed']:.4f}"]
        for name in methods
    ]  # fmt: skip
    header = ("method", "AUC", "90 % bootstrap", "Brier", "KS", "ECE", "mean PD", "observed", "recalibrated PD",
              "observed then")  # fmt: skip
    undated = f" {late['undated']:,} loans without a date are left out." if late["undated"] else ""
    return [
        (
            "Out of time",
            [
                f"By {late['by']}: fitted to the {late['fitted_rows']:,} loans to {late['fitted_to']}"
                f" ({late['fitted_bads']:,} bad), tested on {late['tested']}; then the level was set on"
                f" {late['level_set_on']} and tested on the rest. Brier score of the base rate:"
                f" {late['brier_of_base_rate']:.4f}. PSI of the score {late['psi']:.3f}: {late['psi_band']}.{undated}",
                (header, rows),
                (
                    ("period", "loans", "bad", "observed", *(f"mean PD, {name}" for name in methods)),
                    [
                        [one["period"], f"{one['rows']:,}", f"{one['bads']:,}", f"{one['observed']:.4f}",
                         *(f"{one['mean_pd'][name]:.4f}" for name in methods)]
                        for one in late["by_period"]
                    ],
                ),
                (("feature", "CSI"), [[name, f"{index:.3f}"] for name, index in late["csi"].items()]),
            ],
        )
    ]  # fmt: skip


def _cross_validations(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, "Cross-validated" + name.removeprefix("cross_validated").replace("_", " "))
        for name in measured
        if name.startswith("cross_validated")
    ]


def _result(method: str, found: Mapping[str, Any]) -> list[str]:
    low, high = found["auc"]["bootstrap_90"]
    return [
        method,
        f"{found['auc']['mean']:.4f} ± {found['auc']['sd']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{found['brier']['mean']:.4f}",
        f"{found['ks']['mean']:.3f}",
        f"{found['ece']['mean']:.3f}",
    ]

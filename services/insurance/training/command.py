"""`heartwood insurance train`: from a loss file to a peril model as data, its report and its model card."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn

from services.insurance.training import model_card
from services.insurance.training.fit import Factors, PerilModel, Regression, fit, tail_of, tweedie
from services.insurance.training.measure import later_years, measure
from services.insurance.training.panel import Array, LossFileError, Panel, read_mapping, read_panel
from shared.artefacts import written

FIRES = Path("data/fires")
LIMITS = (0.01, 0.1, 1.0, 5.0, 20.0, 100.0)


def run(
    data: Path, mapping_path: Path, folder: Path, command: str, later: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:  # fmt: skip
    """Train, measure, write model.json, report.json, model_card.md and model_card.html; the report."""
    mapping = read_mapping(mapping_path)
    panel = read_panel(data, mapping, mapping_path.parent)
    interactions = mapping.get("interactions", [])
    model = fit(panel, interactions)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    document = document_of(model, panel, mapping, digest)
    measured = measure(panel, interactions, tick)
    report: dict[str, Any] = {
        "file": data.name, "command": command, "mapping": mapping["name"], "measured": measured,
        "reference": _reference(mapping, mapping_path.parent),
    }  # fmt: skip
    if later is not None:
        units = read_panel(later, mapping, mapping_path.parent)
        if units.names != panel.names:
            raise LossFileError(f"{later.name} is of other units than {data.name}")
        report["later"] = later_years(panel, units, interactions)
    report["missed"] = _missed(measured, report["reference"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_bytes(written(document))
    (folder / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / "model_card.md").write_text(model_card.markdown(document, report), encoding="utf-8")
    (folder / "model_card.html").write_text(model_card.html(document, report), encoding="utf-8")
    return report


def document_of(model: PerilModel, panel: Panel, mapping: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """The model as data: coefficients, covariance, credibility, tail, annual loss with its intervals, parity rows."""
    amounts = model.amounts(panel, own=True) * panel.exposure
    periods = np.unique(panel.period)
    burnt = np.array([panel.amount[panel.period == t].sum() for t in periods])
    told = np.array([amounts[panel.period == t].sum() for t in periods])
    year_sd = float(np.std(np.log(np.maximum(burnt, 1e-9) / told), ddof=1)) if len(periods) > 1 else 0.0
    whole, exposure = float(amounts.sum() / panel.exposure.sum()), float(panel.exposure.sum())
    # Of the collective: the coefficients' error at the average site, both parts independent.
    middle = {name: np.array([float(np.average(x, weights=panel.exposure))]) for name, x in panel.covariates.items()}
    error = float(np.hypot(model.frequency.log_sd(middle)[0], model.severity.log_sd(middle)[0]))
    positive = panel.losses
    tail = tail_of(positive, float(mapping.get("tail_threshold", np.quantile(positive, 0.95))))
    return {
        "name": f"{mapping['peril']}-model",
        "version": 1,
        "note": mapping["note"],
        "region": mapping["region"],
        "peril": mapping["peril"],
        "unit": mapping.get("unit", "loss by unit of exposure"),
        #: How much a unit of exposure can lose; without it a model ranks sites but prices none.
        "unit_size": mapping.get("unit_size", 0),
        "frequency": _regression(model.frequency) | {"dispersion": model.dispersion},
        "severity": _regression(model.severity) | {"level": 1.0},
        "reference": {name: float(x[0]) for name, x in middle.items()},
        "credibility": {
            "count": _factors(model.count_factors), "severity": _factors(model.severity_factors),
            "groups": {
                name: [round(float(f), 8), round(float(s), 8)]
                for name, f, s in zip(
                    panel.names, model.count_factors.factor, model.severity_factors.factor, strict=True
                )
            },
        },
        "tail": tail | {
            "lev": {str(u): round(float(np.minimum(positive, u).mean()), 6) for u in (*LIMITS, 500.0, 2000.0)},
            "capped_at": mapping.get("cap_per_exposure"),
            "variance": "infinite" if tail.get("shape", 0.0) >= 0.5 else "finite",
        },
        "annual": {
            "burning_cost": float(panel.amount.sum() / exposure),
            "expected": whole,
            "tweedie": float((tweedie(panel).mean(panel.covariates) * panel.exposure).sum() / exposure),
            "parameter_interval_90": [whole * float(np.exp(k * 1.6449 * error)) for k in (-1, 1)],
            "year_band_90": [whole * float(np.exp(k * 1.6449 * year_sd)) for k in (-1, 1)],
            "year_log_sd": year_sd,
        },
        "training": {
            "mapping": mapping["name"], "data_sha256": digest, "rows": len(panel), "losses": int(panel.count.sum()),
            "periods": [int(periods[0]), int(periods[-1])],
            "libraries": {
                "python": ".".join(platform.python_version_tuple()[:2]), "numpy": np.__version__,
                "scipy": scipy.__version__, "scikit-learn": sklearn.__version__,
            },
        },
        "parity": _parity(model, panel),
    }  # fmt: skip


def _regression(one: Regression) -> dict[str, Any]:
    return {
        "terms": one.terms, "intercept": one.intercept, "coefficients": one.coefficients.tolist(),
        "covariance": [[float(f"{x:.6g}") for x in row] for row in one.covariance],
    }  # fmt: skip


def _factors(one: Factors) -> dict[str, Any]:
    seen = one.weight
    return {
        "within": one.within, "between": one.between, "mean_weight": float(seen.mean()),
        "range": [float(seen.min()), float(seen.max())],
    }  # fmt: skip


def _parity(model: PerilModel, panel: Panel, rows: int = 200) -> list[dict[str, Any]]:
    chosen = np.sort(np.random.default_rng(0).choice(len(panel), size=min(rows, len(panel)), replace=False))
    some: dict[str, Array] = {name: values[chosen] for name, values in panel.covariates.items()}
    counts, sizes = model.frequency.mean(some), model.severity.mean(some)
    return [
        {"covariates": {name: float(values[n]) for name, values in some.items()},
         "count": float(counts[n]), "severity": float(sizes[n])}
        for n in range(len(chosen))
    ]  # fmt: skip


def _reference(mapping: Mapping[str, Any], folder: Path) -> dict[str, dict[str, list[float]]]:
    path = folder / "reference.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if known.get("mapping") != mapping["name"]:
        return {}
    return {name: rows for name, rows in known.items() if isinstance(rows, dict)}


def _missed(measured: Mapping[str, Any], reference: Mapping[str, Mapping[str, list[float]]]) -> list[str]:
    missed = []
    for name, found in measured.items():
        ours, low = found["champion"]["d2"]["mean"], found["champion"]["d2"]["range"][0]
        if low <= 0:
            missed.append(f"{name}: in the worst fold the champion explains no deviance (D2 {low:.3f})")
        for other, (d2, _) in reference.get(name, {}).items():
            if ours < d2:
                missed.append(f"{name}: D2 of the champion {ours:.3f}, of {other} elsewhere {d2:.3f}")
        for other, interval in found.get("paired", {}).items():
            if interval[0] <= 0:
                missed.append(f"{name}: not surely better than {other}: saves {interval[0]:.3f} to {interval[1]:.3f}")
    return missed

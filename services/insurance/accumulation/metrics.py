"""What a year loss table says, each number with its sampling interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.insurance.formulas import exceedance

#: Of a standard normal: 95 % lie within.
_SCORE = 1.959963984540054


def metrics(
    labels: Sequence[tuple[str, str]], aggregate: Any, occurrence: Any, return_periods: Sequence[float]
) -> list[dict[str, Any]]:
    """AAL, OEP, AEP and TVaR of each row of yearly losses; a return period beyond the years is left out."""
    periods = [period for period in return_periods if 1 <= period <= aggregate.shape[1]]
    return [
        {"of": of, "name": name, **_row(aggregate[row], occurrence[row], periods)}
        for row, (of, name) in enumerate(labels)
    ]


def _row(aggregate: Any, occurrence: Any, periods: Sequence[float]) -> dict[str, Any]:
    years = len(aggregate)
    mean = exceedance.average_annual_loss(aggregate)
    sd = exceedance.annual_loss_sd(aggregate) if years > 1 else None
    error = None if sd is None else _SCORE * sd / years**0.5
    return {
        "aal": mean,
        "aal_interval": None if error is None else [max(mean - error, 0.0), mean + error],
        "sd": sd,
        "return_periods": [
            {
                "return_period": period,
                "thin": exceedance.thin_return_period(period, years),
                "oep": exceedance.loss_at_return_period(occurrence, period),
                "aep": exceedance.loss_at_return_period(aggregate, period),
                "aep_interval": _between(aggregate, period),
                "tvar": exceedance.tail_value_at_risk(aggregate, period),
                "occurrence_tvar": exceedance.tail_value_at_risk(occurrence, period),
            }
            for period in periods
        ],
    }


def _between(losses: Any, period: float) -> list[float]:
    """Order statistics around the k-th largest year: k ± 1.96·√(k(1 − k/N)), whatever the distribution."""
    ordered, years = np.sort(losses)[::-1], len(losses)
    k = years / period
    spread = _SCORE * (k * (1 - k / years)) ** 0.5
    low, high = min(int(np.ceil(k + spread)), years), max(int(np.floor(k - spread)), 1)
    return [float(ordered[low - 1]), float(ordered[high - 1])]

"""Index covers: what each kind pays for, what it costs, and how badly it would miss the loss, before anybody buys it.

The years are simulated from the rates of the same tariff that prices indemnity, so the two stand side by side.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from services.insurance.actions import PARAMETERS, pricing
from services.insurance.formulas import basis_risk, index_years
from services.insurance.formulas import premium as formulas
from services.insurance.formulas.event_sets import damage_bins
from shared import clock, money
from shared.errors import InvalidError
from shared.parameters import InForce

KINDS = ("area_index", "remote_sensing", "price_floor")
_BINS = 200
#: What each kind insures, in words that a wording takes over.
QUANTITIES = {
    "area_index": (
        "受灾面积占承保面积的比例；不以碳损失量或碳排放量为赔付依据。",
        "The damaged share of the insured area; neither carbon lost from living trees nor carbon emitted is paid for.",
    ),
    "remote_sensing": (
        "活立木碳储量较目标的短少吨数（遥感反演）；活立木损失的碳与排放的碳是两个不同的量，本保险只保前者。",
        "Tonnes that the carbon of living trees falls short of a target, as seen by remote sensing. Carbon lost from"
        " living trees and carbon emitted are two quantities; this cover pays for the first only.",
    ),
    "price_floor": (
        "碳汇单位的市场价格低于约定底价的差额；与林木损失无关。",
        "The market price of carbon units below an agreed floor; losses of trees are not paid for.",
    ),
}


def whatif(request: Mapping[str, Any]) -> dict[str, Any]:
    """Price an index cover and simulate its basis risk; nothing is kept. Raises InvalidError."""
    p = PARAMETERS.at(clock.today())
    steps, kind, limit = pricing.Steps(), request["kind"], money.fen(request["limit"])
    simulation = p["index_simulation"]
    years, rng = simulation["years"], np.random.default_rng(simulation["seed"])
    needed = {"area_index": ("value",), "remote_sensing": ("value", "target_t"), "price_floor": ("tonnes", "floor")}
    missing = [name for name in needed[kind] if request[name] is None]
    if missing:
        raise InvalidError(
            f"a cover of the kind {kind} needs {', '.join(missing)}",
            errors=[{"pointer": f"/{name}", "detail": "This kind of cover needs it."} for name in missing],
        )
    if kind == "price_floor":
        losses, payouts = _price_years(request, limit, p, years, rng, steps)
    else:
        losses, payouts = _damage_years(request, limit, p, years, rng, steps)
    expected, sd = float(payouts.mean()), float(payouts.std(ddof=1))
    margin = formulas.risk_margin(float(p["risk_margin_loading"]), np.array([sd**2]))
    loadings: dict[str, Any] = {name: float(p[f"{name}_rate"]) for name in ("expense", "commission", "tax", "profit")}
    gross = formulas.gross_premium(expected, margin, **loadings)
    annual = int(formulas.premium(gross, p["minimum_premium"]))
    steps.note("(I10)", "risk_margin", float(margin), loading=p["risk_margin_loading"], sd_of_payout=sd)
    steps.note("(I12)", "gross_premium", float(gross), expected_payout=expected, risk_margin=float(margin), **loadings)
    steps.note("(I13)", "premium", annual, gross_premium=float(gross), minimum_premium=p["minimum_premium"])
    line = formulas.market_spread(expected / limit, **p["market_spread"])
    steps.note("(I16)", "market_spread", line, expected_loss=expected / limit, **p["market_spread"])
    zh, en = QUANTITIES[kind]
    lost = bool(losses.any())
    return {
        "kind": kind,
        "quantity_zh": zh,
        "quantity_en": en,
        "limit": request["limit"],
        "annual_premium": money.from_fen(annual),
        "expected_payout": money.yuan(expected / 100),
        "expected_loss": money.yuan(float(losses.mean()) / 100),
        "rate_on_line": f"{formulas.rate_on_line(annual, limit):.8f}",
        "market_line": f"{line:.8f}",
        "basis_risk": {
            "missed_loss_probability": f"{basis_risk.missed_loss_probability(losses, payouts):.8f}",
            "false_payout_probability": f"{basis_risk.false_payout_probability(losses, payouts):.8f}",
            "uncovered_share": f"{basis_risk.uncovered_share(losses, payouts):.8f}" if lost else None,
        },
        "simulated_years": years,
        "seed": simulation["seed"],
        "explanation": steps.rows,
        "parameters_digest": p.digest,
        "unverified_parameters": list(p.unverified),
    }


def _damage_years(
    request: Mapping[str, Any], limit: int, p: InForce, years: int, rng: np.random.Generator, steps: pricing.Steps
) -> tuple[pricing.Array, pricing.Array]:
    """Losses of the forest and payments of the index, by year."""
    tariff = pricing.Tariff(p)
    scores = np.array(tariff.scores(request["hazards"]))
    rates = formulas.peril_rate(tariff.base, scores, tariff.reference, tariff.exponent)
    frequency = formulas.event_frequency(rates, tariff.mean)
    damages, year_of = [], []
    for k, peril in enumerate(tariff.perils):
        counts = rng.poisson(frequency[k], years)
        year_of.append(np.repeat(np.arange(years), counts))
        damages.append(rng.choice(damage_bins(tariff.mean[k], tariff.sd[k], _BINS), counts.sum()))
        steps.note("(I8)", "event_frequency", float(frequency[k]), of=peril, peril_rate=float(rates[k]),
                   damage_mean=tariff.mean[k])  # fmt: skip
    shares = index_years.damaged_shares(np.concatenate(damages), np.concatenate(year_of), years)
    error = float(p["index_observation_sd"])
    seen = index_years.observed_shares(shares, error, rng.standard_normal(years))
    steps.note("(I136)", "observed_shares", float(seen.mean()), damaged_share=float(shares.mean()), error_sd=error)
    losses = float(money.fen(request["value"])) * shares
    if request["kind"] == "area_index":
        table = [(float(at), float(paid)) for at, paid in p["area_index_steps"]]
        payouts = index_years.area_index_payouts(seen, limit, table)
        steps.note("(I137)", "area_index_payouts", float(payouts.mean()), limit=limit, steps=table)
        return losses, payouts
    target = float(request["target_t"])
    price = p["shortfall_price"] if request["unit_price"] is None else money.fen(request["unit_price"])
    payouts = index_years.shortfall_payouts(target, target * (1 - seen), price, limit)
    steps.note("(I138)", "shortfall_payouts", float(payouts.mean()), target_t=target, price=price, limit=limit)
    return losses, payouts


def _price_years(
    request: Mapping[str, Any], limit: int, p: InForce, years: int, rng: np.random.Generator, steps: pricing.Steps
) -> tuple[pricing.Array, pricing.Array]:
    """What the owner's own price falls below the floor, and what the index of the market pays, by year."""
    floor, tonnes = money.fen(request["floor"]), float(request["tonnes"])
    spot = money.fen(request["spot_price"] or request["floor"])
    market, own = p["price_volatility"]["market"], p["price_volatility"]["own"]
    prices = index_years.lognormal_prices(spot, market, 1.0, rng.standard_normal(years))
    realised = index_years.lognormal_prices(1.0, own, 1.0, rng.standard_normal(years)) * prices
    payouts = index_years.price_floor_payouts(prices, floor, tonnes, limit)
    steps.note("(I140)", "lognormal_prices", float(prices.mean()), spot=spot, volatility=market, own_volatility=own)
    steps.note("(I139)", "price_floor_payouts", float(payouts.mean()), floor=floor, tonnes=tonnes, limit=limit)
    return np.maximum(floor - realised, 0) * tonnes, payouts

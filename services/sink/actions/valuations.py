"""Valuations: an asset's facts, the coefficients and the market in, tonnes and present value out, derivable again.

`derive` is the whole valuation as a function of JSON data. What it was given is stored as canonical text beside what it
gave, so that anybody with the same engine gets the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from services.sink.actions.ground import ground_parameters, ground_stock
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.prices import Market, curve_in_force, market_of
from services.sink.formulas import valuation as engine
from services.sink.formulas.biomass import (
    baseline_tree_growth,
    shrub_stock,
    stock_from_volume,
    volume_from_carbon,
)
from services.sink.formulas.growth import (
    calibrated_volume,
    local_volume,
    locality_scale,
    surviving_volume,
    volume_at_age,
)
from services.sink.formulas.price import issued_value, market_depth
from services.sink.formulas.reversal import hazard_frequency
from services.sink.formulas.stand import rainfall_ceiling, scale_to_ceiling, tabulated_volume, thinned_volume
from services.sink.formulas.uncertainty import effective_deduction
from services.sink.formulas.valuation import net_removal
from services.sink.tables import Asset, Valuation, latest_valuation
from shared import audit, bulk, clock, money, outbox
from shared.db import found, locked, table_of, tenant
from shared.errors import ConflictError, ForbiddenError, RefusalError
from shared.events.parts import Reason
from shared.events.sink import (
    CarbonAssetValued,
    PresentValue,
    Removals,
    SpeciesShare,
    Units,
    VarianceShares,
)
from shared.ids import uuid7
from shared.jobs import Job
from shared.parameters import InForce
from shared.strict_json import canonical

#: Rises when the same inputs would give other outputs; numpy draws the random numbers, so its version belongs to it.
ENGINE = "2"
ENGINE_VERSION = f"{ENGINE}/numpy-{np.__version__}"
#: No result is called conformant before a person checked the constants against the methodology.
METHODOLOGIES = {
    "ccer": "CCER-14-001-V01, constants unverified",
    "verra": "Verra AFOLU, constants unverified",
    "gold_standard": "Gold Standard 403, constants unverified",
}
DAYS_PER_YEAR = 365.25
#: How the distribution of a value is told; each is a `pv_…` of the outputs.
DISTRIBUTION = ("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "expected_shortfall")
SOURCES = ("growth", "sampling", "model", "reversal", "price")
#: Assets per transaction of the register's revaluation: a second of work, a few megabytes.
REVALUED_AT_ONCE = 500

_COMMON = (
    "ccer.baseline_stock",
    "ccer.leakage_share",
    "growth.persistence",
    "growth.sigma",
    "haircut.cap",
    "haircut.exponent",
    "haircut.reference_discount",
    "haircut.reference_share",
    "market.fee_share",
    "market.obliged_emissions",
    "market.turnover",
    "model.sigma",
    "programme.quota",
    "reversal.frequency",
    "reversal.mean_severity",
    "reversal.reference_hazard",
    "sensitivity.price",
    "sensitivity.survival",
    "uncertainty.confidence",
    "uncertainty.discount",
    "uncertainty.planned_half_width",
    "valuation.discount_rate",
    "valuation.discount_rate_band",
    "valuation.draws",
    "valuation.horizon",
    "valuation.market_seed",
    "valuation.project_area",
    "valuation.verification_cost",
    "valuation.verification_interval",
)
_TREE = (
    "wood_density",
    "expansion_factor",
    "root_ratio",
    "carbon_fraction",
    "growth.richards",
    "growth.carbon_ceiling",
)
_BASELINE = ("artool14.baseline", "baseline.forest_increment", "ipcc.carbon_fraction")
_SHRUB = ("shrub.forest_biomass", "shrub.biomass_ratio", "shrub.root_ratio", "shrub.cover_floor")


class Newcomer(SimpleNamespace):
    """An asset on its way into the register: the columns of its row."""


#: An asset, its row without the ground, or one that is still to go in: bulk work makes no objects of the ORM.
Standing = Asset | Row[Any] | Newcomer


class NoMethodError(ConflictError):
    """There is no method that values this kind of sink."""

    kind, title = "no-method", "There is no method that values this kind of sink"


@dataclass(frozen=True)
class Basis:
    """What all valuations of a registrar on one day have in common."""

    p: InForce
    parameters_hash: str
    market: Market
    market_parameters: tuple[str, ...]
    #: The approved curve that the market is of, if there is one.
    curve_id: str | None = None
    #: Forests of one kind rest on the same coefficients, by their names.
    known: dict[tuple[str, ...], "Coefficients"] = field(default_factory=dict)

    def coefficients(self, names: tuple[str, ...]) -> "Coefficients":
        """What valuations rest on that use coefficients of these names."""
        if names not in self.known:
            values = {name: self.p[name] for name in names}
            used = {*names, *self.market_parameters, "valuation.validity_days"}
            self.known[names] = Coefficients(
                values,
                {"parameters": canonical(values), "market": canonical(self.market.as_json())},
                sorted(name for name in used if self.p.entries[name].verified == "no"),
            )
        return self.known[names]


class Coefficients(NamedTuple):
    """Coefficients by name, those members of the inputs that follow from them, and what nobody checked."""

    values: dict[str, Any]
    written: dict[str, bytes]
    unverified: list[str]


def basis(session: Session, registrar: str) -> Basis:
    """The coefficients and the market in force today."""
    p = PARAMETERS.at(clock.today())
    curve = curve_in_force(session, registrar)
    in_force, names = market_of(curve, p)
    return Basis(p, p.digest, in_force, names, None if curve is None else str(curve.id))


# -- inputs -----------------------------------------------------------------------------------------------------------


def inputs_of(asset: Standing, on: Basis) -> dict[str, Any]:
    """Everything the value of an asset follows from, as JSON data."""
    if asset.kind != "forest" and not asset.measured:
        raise NoMethodError(f"a {asset.kind} goes by the default factors of its soil: enter a measurement first")
    as_of = clock.today()
    # 53 bits: every JSON reader keeps them.
    seed = int.from_bytes(hashlib.sha256(asset.id.bytes).digest()[:8], "big") >> 11
    return {
        "as_of": as_of.isoformat(),
        "asset": _facts(asset, on.p),
        "market": on.market.as_json(),
        "parameters": on.coefficients(_parameter_names(asset, on.p)).values,
        # One seed for an asset's life: a new price or a fire moves its value, never the luck of the draw.
        "seed": seed,
        "verifications": [day.isoformat() for day in _verifications(asset, as_of, on.p)],
    }


def rated_above(asset: Standing, p: InForce) -> bool:
    """Whether the rating in force asks for more than the programme's own share."""
    return buffer_share(asset, p) > float(p[f"buffer.{asset.programme}"])


def buffer_share(asset: Standing, p: InForce) -> float:
    """Part of what is minted that goes into the buffer: the programme's, or the rating's where that is more. [-]"""
    return max(float(p[f"buffer.{asset.programme}"]), float(asset.rated_share or 0))


def _facts(asset: Standing, p: InForce) -> dict[str, Any]:
    return {
        "area_ha": _text(asset.area_ha),
        # Only what a rating asks for beyond the programme, so that what was valued before comes out as it did.
        **({"buffer_basis": "rating", "rated_share": _text(asset.rated_share)} if rated_above(asset, p) else {}),
        # Only where units were issued, so that what was valued before comes out as it did.
        **({"credited_t": _text(asset.credited_tonnes)} if asset.credited_tonnes else {}),
        "crown_cover": _text(asset.crown_cover),
        "hazards": dict(asset.hazards),
        "id": str(asset.id),
        "issued_t": _text(
            asset.issued_tonnes - asset.retired_tonnes - asset.cancelled_tonnes - asset.transferred_tonnes
        ),
        "live_share": _text(asset.live_share),
        # Only what was measured by plots has it, so that what else was valued before comes out as it did.
        **({"measured": asset.measured} if asset.measured else {}),
        "measured_on": asset.measured_on.isoformat(),
        "planted_year": asset.planted_year,
        "programme": asset.programme,
        "project_area_ha": _text(asset.project_area_ha),
        "sampling_uncertainty": _text(asset.sampling_uncertainty),
        "species": [dict(share) for share in asset.species],
        "survival": _text(asset.survival),
        "verified_live_share": _text(asset.verified_live_share),
        "verified_on": asset.verified_on.isoformat(),
        "volume_m3_ha": _text(asset.volume_m3_ha),
    }


def _parameter_names(asset: Standing, p: InForce) -> tuple[str, ...]:
    names = {*_COMMON, f"buffer.{asset.programme}"}
    measured = asset.measured or {}
    if measured.get("baseline_cover"):
        names |= set(_BASELINE)
    if measured.get("land"):
        return tuple(sorted(names | ground_parameters(measured["land"])))
    for share in asset.species:
        species = share["species"]
        names.add(f"species.{species}")
        if _is_tree(p.entries[f"species.{species}"].value):
            names |= {f"{name}.{species}" for name in _TREE} | {"growth.reference_age"}
            if measured.get("curve") == "table" and f"growth.increments.{species}" in p.entries:
                names.add(f"growth.increments.{species}")
            if measured.get("rainfall_mm") and f"growth.rainfall_ceiling.{species}" in p.entries:
                names.add(f"growth.rainfall_ceiling.{species}")
        else:
            names |= {f"carbon_fraction.{species}", *_SHRUB}
        if f"model.sigma.{species}" in p.entries:
            names.add(f"model.sigma.{species}")
    return tuple(sorted(names))


def _verifications(asset: Standing, as_of: date, p: InForce) -> list[date]:
    """Verification days still to come: a fixed calendar from the start of crediting, the last when crediting ends."""
    end = min(asset.crediting_until, as_of + timedelta(days=round(p["valuation.horizon"] * DAYS_PER_YEAR)))
    span = (end - asset.crediting_from).days / DAYS_PER_YEAR
    if span <= 0:
        return []
    years = engine.verification_years(p["valuation.verification_interval"], span)
    days = [asset.crediting_from + timedelta(days=round(year * DAYS_PER_YEAR)) for year in years.tolist()]
    if end == asset.crediting_until:
        # A verification shortly before the last one would cost more than it brings.
        days = [day for day in days if (end - day).days > DAYS_PER_YEAR] + [end]
    return [day for day in days if day > max(as_of, asset.verified_on)]


# -- derivation -------------------------------------------------------------------------------------------------------


def derive(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Value an asset: a pure function of JSON data, all that a reproduction needs."""
    (outputs,) = derive_all([inputs])
    if isinstance(outputs, ValueError):
        raise outputs
    return outputs


def derive_all(many: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | ValueError]:
    """Value assets together; each gets, to the byte, what it gets alone, or the error that it meets."""
    found: list[dict[str, Any] | ValueError] = []
    alike: dict[engine.Terms, list[tuple[int, engine.Forest]]] = {}
    for place, inputs in enumerate(many):
        try:
            outputs, prospect = _prospect(inputs)
        except ValueError as error:
            found.append(error)
            continue
        found.append(outputs)
        if prospect is not None:
            terms, forest = prospect
            alike.setdefault(terms, []).append((place, forest))
    for terms, forests in alike.items():
        results = _valuations(terms, [forest for _, forest in forests])
        for (place, _), result in zip(forests, results, strict=True):
            outputs_ = found[place]
            if isinstance(result, ValueError):
                found[place] = result
            elif isinstance(outputs_, dict):
                outputs_ |= {
                    **vars(result),
                    "sensitivities": vars(result.sensitivities),
                    "variance_shares": vars(result.variance_shares),
                }
    return found


def _valuations(terms: engine.Terms, forests: Sequence[engine.Forest]) -> Sequence[engine.Valuation | ValueError]:
    try:
        return engine.valuations(terms, forests)
    except ValueError as error:
        if len(forests) == 1:
            return [error]
        # Whose fault it is shows when each is valued alone.
        return [_valuations(terms, [forest])[0] for forest in forests]


def _prospect(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[engine.Terms, engine.Forest] | None]:
    """What is known of an asset without a draw, and what is to be drawn, if it has a verification to come."""
    facts, p, market_ = inputs["asset"], inputs["parameters"], inputs["market"]
    as_of = date.fromisoformat(inputs["as_of"])
    days = [date.fromisoformat(day) for day in inputs["verifications"]]
    stand = stand_stocks(facts, p, [as_of, *days, date.fromisoformat(facts["verified_on"])])
    stocks = float(facts["live_share"]) * stand[:-1]
    # What has grown beyond the issued units is still to be issued; what burned below them is to be regrown first.
    area = float(facts["area_ha"])
    baseline = _baseline_growth(facts, p, [as_of, *days])
    level = _start_level(facts, float(stand[-1])) + float(facts.get("credited_t", 0)) + float(baseline[0])
    owed = level - float(stocks[0])
    dates = {"verified_on": list(inputs["verifications"]), "stock": round(float(stocks[0]), engine.TONNE_DECIMALS)}
    if not days:
        return {**dates, **_issued_only(facts, p, market_)}, None
    project_area = max(area, float(facts["project_area_ha"] or p["valuation.project_area"]))
    forest = engine.Forest(
        years=[(day - as_of).days / DAYS_PER_YEAR for day in days],
        project_stocks=stocks,
        baseline_stocks=p["ccer.baseline_stock"] * area + baseline,
        emissions=[owed] * len(days),
        leakage=p["ccer.leakage_share"] * np.maximum(0.0, stocks[1:] - stocks[0]),
        costs=[p["valuation.verification_cost"] * area / project_area] * len(days),
        growth_sigma=_measured(facts).get("growth_sigma") or p["growth.sigma"],
        sampling_width=_sampling_width(facts, p),
        model_sigma=_model_sigma(facts, p),
        event_frequency=hazard_frequency(
            p["reversal.frequency"],
            [float(score) for _, score in sorted(facts["hazards"].items())],
            p["reversal.reference_hazard"],
        ),
        buffer_share=float(facts.get("rated_share") or p[f"buffer.{facts['programme']}"]),
        seed=inputs["seed"],
        issued_t=float(facts["issued_t"]),
    )
    return dates, (_terms(p, market_), forest)


def _terms(p: Mapping[str, Any], market_: Mapping[str, Any]) -> engine.Terms:
    return engine.Terms(
        growth_persistence=p["growth.persistence"],
        confidence=p["uncertainty.confidence"],
        mean_severity=p["reversal.mean_severity"],
        discount_bounds=tuple(p["uncertainty.discount"]["bounds"]),
        discount_shares=tuple(p["uncertainty.discount"]["shares"]),
        price=float(market_["spot_price"]),
        price_drift=float(market_["drift"]),
        price_sigma=float(market_["volatility"]),
        price_reversion=float(market_["reversion"]),
        long_run_price=float(market_["long_run_price"]),
        turnover_t=_depth(p),
        haircut_reference_discount=p["haircut.reference_discount"],
        haircut_reference_share=p["haircut.reference_share"],
        haircut_exponent=p["haircut.exponent"],
        haircut_cap=p["haircut.cap"],
        fee_share=p["market.fee_share"],
        discount_rate=p["valuation.discount_rate"],
        draws=p["valuation.draws"],
        price_seed=p["valuation.market_seed"],
        rate_band=(min(p["valuation.discount_rate_band"]), max(p["valuation.discount_rate_band"])),
        price_bump=p["sensitivity.price"],
        survival_bump=p["sensitivity.survival"],
    )


def _depth(p: Mapping[str, Any]) -> float:
    """What a year's market takes in; valuations of before knew the turnover alone. [tCO2e/yr]"""
    if "market.obliged_emissions" not in p:
        return float(p["market.turnover"])
    return float(market_depth(p["market.turnover"], p["programme.quota"], p["market.obliged_emissions"]))


def _issued_only(facts: Mapping[str, Any], p: Mapping[str, Any], market_: Mapping[str, Any]) -> dict[str, Any]:
    """What is left where nothing more will be verified: the issued units, worth the same in every draw."""
    worth = issued_value(
        float(facts["issued_t"]),
        float(market_["spot_price"]),
        _depth(p),
        p["haircut.reference_discount"],
        p["haircut.reference_share"],
        p["haircut.exponent"],
        p["haircut.cap"],
        p["market.fee_share"],
    )
    value = round(float(worth), engine.MONEY_DECIMALS)
    return {f"pv_{name}": value for name in ("issued", *DISTRIBUTION)}


def live_stock(inputs: Mapping[str, Any]) -> float:
    """Living stock of an asset on the day of its inputs. [tCO2e]"""
    facts = inputs["asset"]
    stand = stand_stocks(facts, inputs["parameters"], [date.fromisoformat(inputs["as_of"])])
    return float(facts["live_share"]) * float(stand[0])


def verified_level(inputs: Mapping[str, Any], day: date | None = None) -> float:
    """Stock that an asset must have grown beyond by a day, or by that of its inputs, to be issued anything. [tCO2e]"""
    facts, on = inputs["asset"], day or date.fromisoformat(inputs["as_of"])
    (baseline,) = _baseline_growth(facts, inputs["parameters"], [on])
    return start_level(inputs) + float(facts.get("credited_t", 0)) + float(baseline)


def _baseline_growth(facts: Mapping[str, Any], p: Mapping[str, Any], days: list[date]) -> NDArray[np.float64]:
    """What trees from before the project would have grown without it since growth is counted. [tCO2e]"""
    cover = _measured(facts).get("baseline_cover")
    if cover is None:
        return np.zeros(len(days))
    # The project begins with the planting.
    ages = np.array([age_of(facts, day) for day in [*days, date.fromisoformat(facts["verified_on"])]])
    grown = baseline_tree_growth(
        ages,
        float(facts["area_ha"]),
        float(cover),
        p["baseline.forest_increment"],
        carbon_fraction=p["ipcc.carbon_fraction"],
        **p["artool14.baseline"],
    )
    return np.asarray(grown[:-1] - grown[-1])


def start_level(inputs: Mapping[str, Any]) -> float:
    """Stock that the growth of an asset is counted from. [tCO2e]"""
    facts = inputs["asset"]
    stand = stand_stocks(facts, inputs["parameters"], [date.fromisoformat(facts["verified_on"])])
    return _start_level(facts, float(stand[0]))


def _start_level(facts: Mapping[str, Any], stand: float) -> float:
    """Carried over a measurement if credits stand on it, else what the curve says of the day."""
    carried = _measured(facts).get("verified")
    if carried and carried["on"] == facts["verified_on"]:
        return float(carried["stock"])
    return float(facts["verified_live_share"]) * stand


@dataclass(frozen=True)
class Growth:
    """What an asset may be issued for."""

    #: Net removal that the stock has reached and no issued unit stands on; negative where it fell below them. [tCO2e]
    removal: float
    #: Part of it lost to the discount for sampling error. [-]
    deduction: float
    #: Part of the growth of the stock that leaks. [-]
    leakage_share: float


def growth_by(inputs: Mapping[str, Any], day: date) -> Growth:
    """What has grown by the end of a monitoring period; what stands no more today has not."""
    facts, p = inputs["asset"], inputs["parameters"]
    stand = stand_stocks(facts, p, [day, date.fromisoformat(inputs["as_of"])])
    grown = float(facts["live_share"]) * float(stand.min()) - verified_level(inputs, day)
    share = float(p["ccer.leakage_share"])
    bounds, shares = p["uncertainty.discount"]["bounds"], p["uncertainty.discount"]["shares"]
    return Growth(
        removal=float(net_removal(grown, 0.0, 0.0, share * max(0.0, grown))),
        deduction=float(effective_deduction(_sampling_width(facts, p), bounds, shares)),
        leakage_share=share,
    )


def _measured(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What plots say beyond volume, cover and sampling error."""
    return facts.get("measured") or {}


def stand_stocks(facts: Mapping[str, Any], p: Mapping[str, Any], days: list[date]) -> NDArray[np.float64]:
    """Stock of the whole stand, as if nothing had been lost, on each day. [tCO2e]"""
    if land := _measured(facts).get("land"):
        return np.array([ground_stock(land, p, float(facts["area_ha"]), day) for day in days])
    ages = np.array([age_of(facts, day) for day in [*days, date.fromisoformat(facts["measured_on"])]])
    total = np.zeros(len(days))
    for share in facts["species"]:
        species, area = share["species"], float(facts["area_ha"]) * float(share["share"])
        if _is_tree(p[f"species.{species}"]):
            total += _tree_stocks(facts, p, species, area, ages)
        else:
            total += _shrub_stocks(facts, p, species, area)
    return total


def _tree_stocks(
    facts: Mapping[str, Any], p: Mapping[str, Any], species: str, area: float, ages: NDArray[np.float64]
) -> NDArray[np.float64]:
    chain = [p[f"{name}.{species}"] for name in ("wood_density", "expansion_factor", "root_ratio", "carbon_fraction")]
    measured = _measured(facts)
    carbon = p[f"growth.carbon_ceiling.{species}"]
    if measured.get("rainfall_mm") and f"growth.rainfall_ceiling.{species}" in p:
        carbon = float(rainfall_ceiling(float(measured["rainfall_mm"]), **p[f"growth.rainfall_ceiling.{species}"]))
    ceiling = float(volume_from_carbon(carbon, *chain))
    plan = [one for one in measured.get("thinnings", ()) if one["age"] > ages[-1]]
    cuts = [float(one["age"]) for one in plan]
    volumes = _curve_volumes(facts, p, species, np.array([*ages, *cuts]), ceiling)
    then = volumes[len(ages) - 1]
    if facts["volume_m3_ha"] is not None:
        volumes = calibrated_volume(volumes, float(then), float(facts["volume_m3_ha"]), ceiling)
    standing = volumes[: len(ages) - 1]
    if plan:
        shares = [float(one["share"]) for one in plan]
        standing = thinned_volume(ages[:-1], standing, cuts, volumes[len(ages) :], shares)
    return np.asarray(stock_from_volume(area, standing, *chain))


def _curve_volumes(
    facts: Mapping[str, Any], p: Mapping[str, Any], species: str, ages: NDArray[np.float64], ceiling: float
) -> NDArray[np.float64]:
    """Volumes of a living stand by its own curve, or by that of its species under the locality's ceiling. [m3/ha]"""
    own = _measured(facts).get("curve")
    if isinstance(own, dict):
        # It was fitted to what stood: locality and survival are in it.
        return volume_at_age(ages, **own)
    reference, table = p["growth.reference_age"], p.get(f"growth.increments.{species}")
    if own == "table" and table:
        scale = scale_to_ceiling(ceiling, tabulated_volume(reference, **table))
        grown = tabulated_volume(ages, **table)
    else:
        curve = p[f"growth.richards.{species}"]
        scale = locality_scale(ceiling, reference, **curve)
        grown = volume_at_age(ages, **curve)
    return np.asarray(surviving_volume(local_volume(grown, scale, ceiling), float(facts["survival"])))


def _shrub_stocks(facts: Mapping[str, Any], p: Mapping[str, Any], species: str, area: float) -> float:
    """Stock from the measured crown cover; no growth beyond it is claimed."""
    stock = shrub_stock(
        [area],
        [float(facts["crown_cover"] or 0)],
        p["shrub.forest_biomass"],
        p["shrub.biomass_ratio"],
        p["shrub.root_ratio"],
        p[f"carbon_fraction.{species}"],
        p["shrub.cover_floor"],
    )
    return float(stock.sum())


def _sampling_width(facts: Mapping[str, Any], p: Mapping[str, Any]) -> float:
    return float(facts["sampling_uncertainty"] or p["uncertainty.planned_half_width"])


def _model_sigma(facts: Mapping[str, Any], p: Mapping[str, Any]) -> float:
    if (told := _measured(facts).get("model_sigma")) is not None:
        return float(told)
    sigma = 0.0
    for share in facts["species"]:
        sigma += float(share["share"]) * p.get(f"model.sigma.{share['species']}", p["model.sigma"])
    return sigma


def _is_tree(species: Mapping[str, Any]) -> bool:
    return bool(species["route"] == "volume")


def age_of(facts: Mapping[str, Any], day: date) -> float:
    """Age of the stand, counted from the middle of the planting year. [yr]"""
    return max(0.0, (day - date(facts["planted_year"], 7, 1)).days / DAYS_PER_YEAR)


# -- use cases --------------------------------------------------------------------------------------------------------


def own_asset(session: Session, asset_id: UUID) -> Asset:
    """Lock an asset of the caller's own register."""
    if found(session, Asset, asset_id).registrar != tenant(session):
        raise ForbiddenError("only the registrar of this asset may do this")
    return locked(session, Asset, asset_id, referred=True)


def value_asset(session: Session, asset: Asset, cause: str, on: Basis) -> Valuation:
    """Value a locked asset and tell everybody; the forecast of its units follows."""
    row = enter_valuation(session, asset, cause, on)
    outbox.put(session, valued(asset, row))
    return row


def value_again(session: Session, asset: Asset, cause: str, on: Basis) -> None:
    """Value a locked asset after what was done to it, unless its value follows from none of that."""
    latest = latest_valuation(session, asset)
    if latest is None or json.loads(latest.inputs)["asset"] != _facts(asset, on.p):
        value_asset(session, asset, cause, on)


def enter_valuation(session: Session, asset: Asset, cause: str, on: Basis) -> Valuation:
    """Value a locked asset; the caller tells of it."""
    (worth,) = reckoned(session, [asset], cause, on)
    if isinstance(worth, RefusalError):
        raise worth
    row = Valuation(**worth.columns)
    row.results = worth.outputs
    session.add(row)
    asset.valuation_version, asset.forecast_tonnes = row.version, row.forecast_tonnes
    asset.settle()
    return row


def value_assets(
    session: Session, assets: Sequence[Standing], cause: str, on: Basis
) -> list[tuple[Standing, RefusalError]]:
    """Value locked assets and tell everybody, in a handful of statements however many they are; those that cannot be
    valued come back, unchanged.
    """
    session.flush()
    found = reckoned(session, assets, cause, on)
    rows = [one.columns for one in found if isinstance(one, Reckoned)]
    if rows:
        events = enter_reckoned(session, assets, found)
        session.execute(
            _SETTLE,
            {
                "ids": [row["asset_id"] for row in rows],
                "versions": [row["version"] for row in rows],
                "tonnes": [row["forecast_tonnes"] for row in rows],
            },
        )
        outbox.put_all(session, events)
    return [(asset, one) for asset, one in zip(assets, found, strict=True) if isinstance(one, RefusalError)]


_SETTLE = text(
    "UPDATE assets SET version = assets.version + 1, valuation_version = v.version, forecast_tonnes = v.tonnes,"
    " over_pledged = pledged_tonnes + enforced_tonnes"
    " > v.tonnes + issued_tonnes - retired_tonnes - cancelled_tonnes - transferred_tonnes"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:tonnes AS numeric[]))"
    " AS v (id, version, tonnes) WHERE assets.id = v.id"
)


class Reckoned(NamedTuple):
    """The row of a valuation and what it came to."""

    columns: dict[str, Any]
    outputs: dict[str, Any]
    value: PresentValue


def reckoned(session: Session, assets: Sequence[Standing], cause: str, on: Basis) -> list[Reckoned | RefusalError]:
    """Value locked assets, or say why one cannot be; the rows are the caller's to enter."""
    given: list[dict[str, Any] | RefusalError] = []
    for asset in assets:
        try:
            given.append(inputs_of(asset, on))
        except RefusalError as refusal:
            given.append(refusal)
    derived = iter(derive_all([one for one in given if isinstance(one, dict)]))
    found: list[Reckoned | RefusalError] = []
    for asset, inputs in zip(assets, given, strict=True):
        if isinstance(inputs, RefusalError):
            found.append(inputs)
            continue
        outputs = next(derived)
        if isinstance(outputs, ValueError):
            found.append(ConflictError(f"the asset's facts cannot be valued: {outputs}"))
            continue
        value = present_value(outputs)
        row = _columns(asset, inputs, outputs, value, cause, on)
        told = {name: row[name] for name in ("version", "cause", "inputs_hash")}
        audit.record(session, "value_asset", asset.id, **told)
        found.append(Reckoned(row, outputs, value))
        if isinstance(asset, Newcomer):
            asset.valuation_version, asset.forecast_tonnes = row["version"], row["forecast_tonnes"]
    return found


def enter_reckoned(
    session: Session, assets: Sequence[Standing], found: Sequence[Reckoned | RefusalError]
) -> list[CarbonAssetValued]:
    """Enter what assets were valued at; the events that tell of it."""
    pairs = [(asset, one) for asset, one in zip(assets, found, strict=True) if isinstance(one, Reckoned)]
    bulk.insert_mappings(session, table_of(Valuation), [one.columns for _, one in pairs])
    return [_told(asset, one) for asset, one in pairs]


def _columns(
    asset: Standing, given: Mapping[str, Any], outputs: Mapping[str, Any], value: PresentValue, cause: str, on: Basis
) -> dict[str, Any]:
    """A valuation as a row of the table."""
    coefficients = on.coefficients(tuple(given["parameters"]))
    inputs_text, outputs_text = _written(given, coefficients.written), canonical(outputs)
    return {
        "id": uuid7(),
        "asset_id": asset.id,
        "registrar": asset.registrar,
        "version": asset.valuation_version + 1,
        "cause": cause,
        "as_of": clock.today(),
        "valid_until": min(clock.today() + timedelta(days=on.p["valuation.validity_days"]), asset.title_until),
        "methodology": METHODOLOGIES[asset.programme],
        "inputs": inputs_text.decode(),
        "inputs_hash": hashlib.sha256(inputs_text).hexdigest(),
        "parameters_hash": on.parameters_hash,
        "engine_version": ENGINE_VERSION,
        "seed": given["seed"],
        "outputs": outputs_text.decode(),
        "outputs_hash": hashlib.sha256(outputs_text).hexdigest(),
        "price_curve": on.market.name,
        "spot_price": Decimal(on.market.spot_price),
        **{f"pv_{name}": getattr(value, name) for name in ("mean", "p05", "p10", "p50", "p90", "p95")},
        "forecast_tonnes": sum((Decimal(str(mean)) for mean in outputs.get("tonnes_mean", ())), Decimal("0.000")),
        "liquidity_haircut": _mean_haircut(outputs),
        "unverified_parameters": coefficients.unverified,
        "valued_at": clock.now(),
    }


def _written(data: Mapping[str, Any], known: Mapping[str, bytes]) -> bytes:
    """Canonical JSON of data some members of which are written already."""
    members = (b'"%b":%b' % (name.encode(), known.get(name) or canonical(data[name])) for name in sorted(data))
    return b"{%b}" % b",".join(members)


def request_valuation(session: Session, asset_id: UUID) -> Valuation:
    """Value one asset of the caller's register today."""
    asset = own_asset(session, asset_id)
    row = value_asset(session, asset, "request", basis(session, asset.registrar))
    session.flush()
    return row


@dataclass(frozen=True)
class Reproduction:
    """Whether a valuation comes out again, byte for byte, and if not, why."""

    valuation_id: UUID
    reproduced: bool
    inputs_hash: str
    outputs_hash: str
    #: None where this engine cannot read those inputs.
    outputs_hash_now: str | None
    engine_version: str
    engine_version_now: str
    parameters_hash: str
    #: Whether the parameter file of today still holds the same set for the day of the valuation.
    parameters_unchanged: bool
    reason: Reason


def reproduce(session: Session, valuation_id: UUID) -> Reproduction:
    """Derive a valuation again from its stored inputs and compare the bytes.

    Another engine reads other inputs and means other outputs: it does not try. The same engine on another numpy tries,
    and says so if the bytes differ.
    """
    row = found(session, Valuation, valuation_id)
    given = row.inputs.encode()
    inputs_hash = hashlib.sha256(given).hexdigest()
    same_engine = row.engine_version.split("/")[0] == ENGINE
    again = canonical(derive(json.loads(given))) if same_engine and inputs_hash == row.inputs_hash else None
    reproduced = again == row.outputs.encode()
    return Reproduction(
        valuation_id=row.id,
        reproduced=reproduced,
        inputs_hash=inputs_hash,
        outputs_hash=row.outputs_hash,
        outputs_hash_now=None if again is None else hashlib.sha256(again).hexdigest(),
        engine_version=row.engine_version,
        engine_version_now=ENGINE_VERSION,
        parameters_hash=row.parameters_hash,
        parameters_unchanged=PARAMETERS.at(row.as_of).digest == row.parameters_hash,
        reason=_why(row, inputs_hash, same_engine, reproduced),
    )


def _why(row: Valuation, inputs_hash: str, same_engine: bool, reproduced: bool) -> Reason:
    theirs, ours = row.engine_version, ENGINE_VERSION
    if inputs_hash != row.inputs_hash:
        return Reason(
            code="inputs_changed",
            zh="输入与当时的哈希不符，记录可能被改动",
            en="the inputs are not those that were hashed then",
        )
    if not same_engine:
        return Reason(
            code="other_engine",
            zh=f"该估值由引擎 {theirs} 得出，当前为 {ours}；当时的结果仍然有效，但须用当时的版本重算，或重新估值",
            en=f"engine {theirs} made this valuation and {ours} runs here: it stands as it is; only the release with"
            " that engine derives it again, or the forest is valued anew",
        )
    if reproduced:
        return Reason(code="same_bytes", zh="逐字节一致", en="the same bytes came out")
    if theirs != ours:
        return Reason(
            code="other_library",
            zh=f"该估值由 {theirs} 得出，当前为 {ours}；数值库不同，字节不一致",
            en=f"{theirs} made this valuation and {ours} runs here: the same engine on another library, other bytes",
        )
    return Reason(
        code="other_bytes", zh="同一引擎得出不同结果，须查明原因", en="the same engine gave other bytes: find out why"
    )


def revalue_register(session: Session, job: Job) -> None:
    """Value the next assets of the register anew: one step of the job that an approved price curve starts.

    The step, its valuations and its events commit together and the cursor with them: whatever kills the worker, no
    asset is left out and none is valued twice.
    """
    on = basis(session, job.institution)
    if on.curve_id != job.input["curve"]:
        # The newer curve's own job values everything; two prices for one asset in a row would help nobody.
        job.note(detail="a newer curve is in force; its job values the register", curve=on.curve_id)
        job.total = job.done
        return
    statement = select(*_WITHOUT_GROUND).where(Asset.registrar == job.institution)
    if job.cursor:
        statement = statement.where(Asset.id > UUID(job.cursor))
    # Locked in the order of their ids, like everywhere.
    assets = session.execute(statement.order_by(Asset.id).limit(REVALUED_AT_ONCE).with_for_update(key_share=True)).all()
    for asset, refusal in value_assets(session, assets, "price", on):
        job.note(asset=str(asset.id), detail=refusal.detail)
    if assets:
        job.cursor = str(assets[-1].id)
    job.done += len(assets)
    # Assets that came in meanwhile are in the walk, so the count of the start is only an estimate.
    job.total = job.done if len(assets) < REVALUED_AT_ONCE else max(job.total, job.done + 1)


# -- what is told -----------------------------------------------------------------------------------------------------


def present_value(outputs: Mapping[str, Any]) -> PresentValue:
    """The distribution of the value; an owner may let a forest be, so it is never worth less than nothing."""
    return PresentValue(**{name: money.yuan(max(0.0, outputs[f"pv_{name}"])) for name in DISTRIBUTION})


def units(asset: Standing, forecast: Decimal) -> Units:
    """The balance of an asset's units as the world sees it."""
    gone = asset.retired_tonnes + asset.cancelled_tonnes + asset.transferred_tonnes
    spoken_for = asset.pledged_tonnes + asset.enforced_tonnes
    free = max(Decimal("0.000"), forecast + asset.issued_tonnes - gone - spoken_for)
    return Units(free=free, pledged=spoken_for, retired=asset.retired_tonnes)


def valued(asset: Asset, row: Valuation) -> CarbonAssetValued:
    """The event that carries a valuation."""
    columns = {name: getattr(row, name) for name in _COLUMNS}
    return _told(asset, Reckoned(columns, row.results, present_value(row.results)))


_COLUMNS = tuple(table_of(Valuation).columns.keys())
_CARRIED = (
    "version",
    "as_of",
    "valid_until",
    "methodology",
    "inputs_hash",
    "parameters_hash",
    "engine_version",
    "seed",
    "price_curve",
    "spot_price",
    "liquidity_haircut",
)
#: The ground is the largest part of an asset, and no value follows from it.
_WITHOUT_GROUND = tuple(column for column in table_of(Asset).columns if column.name != "geometry")


def _told(asset: Standing, found: Reckoned) -> CarbonAssetValued:
    row, outputs, value = found
    shares = outputs.get("variance_shares", {})
    return CarbonAssetValued(
        **{name: row[name] for name in _CARRIED},
        asset_id=asset.id,
        valuation_id=row["id"],
        county=asset.county,
        area_ha=asset.area_ha,
        species=species_shares(asset),
        longitude=asset.longitude,
        latitude=asset.latitude,
        title_until=asset.title_until,
        crediting_until=asset.crediting_until,
        hazards={peril: Decimal(score) for peril, score in asset.hazards.items()},
        removals=tuple(
            Removals(
                verified_on=date.fromisoformat(day),
                **{name: Decimal(str(outputs[f"tonnes_{name}"][k])) for name in ("mean", "p10", "p50", "p90")},
            )
            for k, day in enumerate(outputs["verified_on"])
        ),
        present_value=value,
        variance_shares=VarianceShares(**{source: Decimal(str(shares.get(source, 0))) for source in SOURCES}),
        uncertainty_deduction=Decimal(str(outputs.get("uncertainty_deduction", 0))),
        buffer=Decimal(str(outputs.get("buffer_share", 0))),
        units=units(asset, row["forecast_tonnes"]),
        unverified_parameters=tuple(row["unverified_parameters"]),
    )


def species_shares(asset: Standing) -> tuple[SpeciesShare, ...]:
    """The asset's species mix as events tell it."""
    return tuple(SpeciesShare(species=one["species"], share=Decimal(one["share"])) for one in asset.species)


def _mean_haircut(outputs: Mapping[str, Any]) -> Decimal:
    """Haircut over all dates, weighted by the tonnes they bring. [-]"""
    tonnes, haircuts = outputs.get("tonnes_mean", ()), outputs.get("haircut", ())
    total = sum(tonnes)
    if not total:
        return Decimal(0)
    return Decimal(str(round(sum(t * h for t, h in zip(tonnes, haircuts, strict=True)) / total, 6)))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")

"""Measurements: plots in, and what the next valuation uses out; derivable again.

The youngest measurement of an asset takes the place of what its registrar said: volume, crown cover, sampling error,
and in `Asset.measured` what a valuation needs beyond them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.ground import ground_parameters
from services.sink.actions.measuring import CHAIN, ENGINE_VERSION, derive
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.surveys import Survey, check_result, check_survey
from services.sink.actions.valuations import basis, inputs_of, own_asset, start_level, value_again
from services.sink.tables import Asset, Measurement, Reversal
from shared import audit, clock
from shared.errors import ConflictError, InvalidError
from shared.ids import uuid7
from shared.parameters import InForce
from shared.strict_json import canonical

_SHRUB = ("shrub.forest_biomass", "shrub.biomass_ratio", "shrub.root_ratio", "shrub.cover_floor")
_COMMON = (
    "artool14.expansion_factor",
    "artool14.root_ratio",
    "dead_wood.factor",
    "growth.fit",
    "litter.factor",
    "locality.mu_per_ha",
    "locality.plausible_volume",
    "locality.target",
    "soil.state",
    "soil.transition",
    "uncertainty.confidence",
    "uncertainty.discount",
    "valuation.horizon",
)
_OF_TREES = ("allometry", "allometry_log", "regression", "regression_floor", "ipcc.class", "growth.carbon_line")


class MeasuredTwiceError(ConflictError):
    """A day's measurement stands."""

    kind, title = "measured-before", "The asset was measured on this day already"


def take_measurement(session: Session, asset_id: UUID, survey: Survey) -> Measurement:
    """Enter a measurement of an asset of the caller's register; the youngest one is what the asset is valued by."""
    asset = own_asset(session, asset_id)
    p = PARAMETERS.at(clock.today())
    check_survey(asset, survey, p)
    earlier = list(
        session.scalars(select(Measurement).where(Measurement.asset_id == asset.id).order_by(Measurement.measured_on))
    )
    if any(row.measured_on == survey.measured_on for row in earlier):
        raise MeasuredTwiceError(f"there is a measurement of {survey.measured_on}; it stands as it was entered")
    reversals = list(session.scalars(select(Reversal).where(Reversal.asset_id == asset.id)))
    given = survey_inputs(asset, survey, [row for row in earlier if row.measured_on < survey.measured_on], reversals, p)
    try:
        outputs = derive(given)
    except ValueError as error:
        # The checks know the usual slips by their place; what a formula refuses beyond them is told in its words.
        raise InvalidError(f"the survey cannot be reckoned: {error}") from None
    check_result(outputs, p)
    inputs_text, outputs_text = canonical(given), canonical(outputs)
    row = Measurement(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        measured_on=survey.measured_on,
        inputs=inputs_text.decode(),
        inputs_hash=hashlib.sha256(inputs_text).hexdigest(),
        parameters_hash=p.digest,
        engine_version=ENGINE_VERSION,
        outputs=outputs_text.decode(),
        outputs_hash=hashlib.sha256(outputs_text).hexdigest(),
        stock_tonnes=_decimal(outputs["stock"]["tonnes"], 3),
        half_width=_decimal(outputs["stock"]["half_width"], 8),
        discounted_tonnes=_decimal(outputs["stock"]["discounted"], 3),
        volume_m3_ha=_decimal(outputs["volume_m3_ha"], 3),
        crown_cover=_decimal(outputs["crown_cover"], 4),
        taken_up=all(other.measured_on < survey.measured_on for other in earlier),
        unverified_parameters=sorted(name for name in given["parameters"] if p.entries[name].verified == "no"),
        entered_at=clock.now(),
    )
    session.add(row)
    if row.taken_up:
        _take_up(session, asset, row, given, outputs, reversals)
    audit.record(
        session,
        "take_measurement",
        asset.id,
        measurement=str(row.id),
        measured_on=row.measured_on.isoformat(),
        stock=str(row.stock_tonnes),
        inputs_hash=row.inputs_hash,
    )
    session.flush()
    if row.taken_up:
        value_again(session, asset, "measurement", basis(session, asset.registrar))
        session.flush()
    return row


@dataclass(frozen=True)
class Reproduction:
    """Whether a measurement comes out again, byte for byte."""

    measurement_id: UUID
    reproduced: bool
    outputs_hash: str
    outputs_hash_now: str
    engine_version: str
    engine_version_now: str


def reproduce(row: Measurement) -> Reproduction:
    """Derive a measurement again from its stored inputs and compare the bytes."""
    now = hashlib.sha256(canonical(derive(json.loads(row.inputs)))).hexdigest()
    return Reproduction(row.id, now == row.outputs_hash, row.outputs_hash, now, row.engine_version, ENGINE_VERSION)


def survey_inputs(
    asset: Asset, survey: Survey, earlier: Sequence[Measurement], reversals: Sequence[Reversal], p: InForce
) -> dict[str, Any]:
    """Everything a measurement follows from, as JSON data."""
    soil = None
    if survey.soil:
        since = survey.soil["since"] or date(asset.planted_year, 7, 1)
        soil = {**survey.soil, "since": since.isoformat()}
    first = earlier[0].measured_on if earlier else survey.measured_on
    given = {
        "asset": {
            "area_ha": format(asset.area_ha.normalize(), "f"),
            "kind": asset.kind,
            "planted_year": asset.planted_year,
            "species": [dict(share) for share in asset.species],
        },
        "measured_on": survey.measured_on.isoformat(),
        "strata": _json(survey.strata),
        "soil": soil,
        "history": [[row.results["age"], float(row.volume_m3_ha)] for row in earlier if row.volume_m3_ha is not None],
        "disturbed": any(first <= reversal.occurred_on <= survey.measured_on for reversal in reversals)
        or any(json.loads(row.inputs)["thinnings"] for row in earlier),
        "thinnings": _json(survey.thinnings),
        "rainfall_mm": _json(survey.rainfall_mm),
        "volume_route": survey.volume_route,
        "curve": survey.curve,
        # Only where it is told, so that what was measured before comes out as it did.
        **({} if survey.baseline_cover is None else {"baseline_cover": _json(survey.baseline_cover)}),
        "previous": {
            "measured_on": earlier[-1].measured_on.isoformat(),
            **{name: earlier[-1].results[name] for name in ("stock", "strata")},
        }
        if earlier
        else None,
    }
    return given | {"parameters": {name: p[name] for name in _parameter_names(given, p)}}


def _parameter_names(given: Mapping[str, Any], p: InForce) -> list[str]:
    names = set(_COMMON)
    kind, soil = given["asset"]["kind"], given["soil"]
    if kind != "forest":
        return sorted({"uncertainty.discount"} | ground_parameters({"kind": kind, "soil": soil}))
    if soil is None:
        names -= {"soil.state", "soil.transition"}
    else:
        names.add("soil.reference." + soil["reference"])
    for share in given["asset"]["species"]:
        species = share["species"]
        names |= {f"species.{species}", f"carbon_fraction.{species}"}
        if p.entries[f"species.{species}"].value["form"] == "tree":
            names |= {f"{name}.{species}" for name in CHAIN}
            names |= {f"{name}.{species}" for name in _OF_TREES if f"{name}.{species}" in p.entries}
            classes = p.entries[f"ipcc.class.{species}"].value
            names |= {"ipcc.bcef." + classes["bcef"], "ipcc.root_ratio." + classes["root_ratio"]}
        else:
            names |= set(_SHRUB)
    return sorted(names)


def _take_up(
    session: Session,
    asset: Asset,
    row: Measurement,
    given: Mapping[str, Any],
    outputs: Mapping[str, Any],
    reversals: Sequence[Reversal],
) -> None:
    """Let a measurement take the place of what was known of an asset."""
    verified = _verified(session, asset)
    growth = outputs["growth"]
    land = {"kind": asset.kind, "soil": given["soil"]} if asset.kind != "forest" else None
    # A spread of two routes says less than the one that the species has from its literature.
    spread = outputs["model_sigma"] if len(outputs["routes"]) > 2 else None
    survey = given["thinnings"], given["rainfall_mm"], given["curve"]
    baseline = given.get("baseline_cover") or (asset.measured or {}).get("baseline_cover")
    asset.measured = {
        "measurement": str(row.id),
        "curve": survey[2] if growth["curve"] is None else growth["curve"],
        "growth_sigma": growth["sigma"],
        "land": land,
        "model_sigma": spread,
        "rainfall_mm": survey[1],
        "thinnings": survey[0],
        "verified": verified,
        **({"baseline_cover": baseline} if baseline else {}),
    }
    asset.measured_on = row.measured_on
    if asset.kind != "forest":
        return
    asset.volume_m3_ha, asset.crown_cover = row.volume_m3_ha, row.crown_cover
    asset.sampling_uncertainty = row.half_width.quantize(Decimal("0.0001"))
    # What was lost before the day is no longer there to be measured; what was lost since is yet to be taken off.
    live = Decimal(1)
    for reversal in reversals:
        if reversal.occurred_on >= row.measured_on:
            live *= 1 - reversal.severity * reversal.damaged_ha / asset.area_ha
    asset.live_share = max(Decimal(0), live.quantize(Decimal("1e-8")))
    above = (outputs["locality"]["excess_m3_ha"] or 0) > 0
    flags = [flag for flag in asset.flags if flag != "volume_above_plausible"]
    asset.flags = [*flags, "volume_above_plausible"] if above else flags


def _verified(session: Session, asset: Asset) -> dict[str, str] | None:
    """The level that growth is counted from once units are issued: a new measurement moves no level under them."""
    if not asset.issued_tonnes:
        return None
    level = start_level(inputs_of(asset, basis(session, asset.registrar)))
    return {"on": asset.verified_on.isoformat(), "stock": format(level, ".3f")}


def _json(value: Any) -> Any:
    """Decimals as text, for the record."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return value


def _decimal(value: float | None, places: int) -> Any:
    return None if value is None else Decimal(str(value)).quantize(Decimal(1).scaleb(-places))

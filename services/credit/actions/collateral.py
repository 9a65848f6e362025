"""What the forests behind a loan are worth to it: shares, haircuts, faults. Nothing here reads the database.

The value counted for a pledge is the present value at a quantile × the share of the asset that the pledged tonnes are ×
(1 − haircut for a sale). A valuation that is missing or stale is a fault with its own reason; nothing stands in for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from services.credit.actions import reasons
from services.credit.actions.policy import Policy
from services.credit.formulas import loan_to_value as ltv
from services.credit.tables import Valuation
from shared import money
from shared.events.parts import Reason

#: A loan to value from here on says no more than that the pledge is worth next to nothing.
LARGEST_RATIO = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Collateral:
    """A pledge and the valuation it is judged on, in numbers and texts that JSON keeps as they are."""

    asset_id: str
    tonnes: float
    #: None: this asset was never valued, and every field below says nothing.
    version: int | None = None
    valuation_id: str | None = None
    county: str | None = None
    as_of: str | None = None
    valid_until: str | None = None
    title_until: str | None = None
    crediting_until: str | None = None
    p05: float | None = None
    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    forecast_tonnes: float = 0.0
    pledged_tonnes: float = 0.0
    haircut: float = 0.0
    fire_score: float | None = None
    spot_price: float = 0.0
    methodology: str = ""
    issued_tonnes: float = 0.0
    free_tonnes: float = 0.0
    longitude: float | None = None
    latitude: float | None = None
    #: Verification dates and the tonnes expected at them.
    issuances: tuple[tuple[str, float], ...] = ()


def collateral(asset_id: UUID, tonnes: Decimal, valuation: Valuation | None) -> Collateral:
    """A pledge of tonnes of an asset, on our copy of its valuation."""
    if valuation is None:
        return Collateral(asset_id=str(asset_id), tonnes=float(tonnes))
    score = valuation.hazards.get("fire")
    return Collateral(
        asset_id=str(asset_id),
        tonnes=float(tonnes),
        version=valuation.version,
        valuation_id=str(valuation.valuation_id),
        county=valuation.county,
        as_of=valuation.as_of.isoformat(),
        valid_until=valuation.valid_until.isoformat(),
        title_until=valuation.title_until.isoformat(),
        crediting_until=valuation.crediting_until.isoformat(),
        p05=float(valuation.pv_p05),
        p10=float(valuation.pv_p10),
        p50=float(valuation.pv_p50),
        p90=float(valuation.pv_p90),
        p95=float(valuation.pv_p95),
        forecast_tonnes=float(valuation.forecast_tonnes),
        pledged_tonnes=float(valuation.pledged_tonnes),
        haircut=float(valuation.liquidity_haircut),
        fire_score=None if score is None else float(score),
        spot_price=float(valuation.spot_price),
        methodology=valuation.methodology,
        issued_tonnes=float(valuation.issued_tonnes),
        free_tonnes=float(valuation.free_tonnes),
        longitude=float(valuation.longitude),
        latitude=float(valuation.latitude),
        issuances=tuple((one["verified_on"], float(one["mean"])) for one in valuation.removals),
    )


def asset_class(policy: Policy, asset: Collateral) -> str | None:
    """Class of an asset for the pledge rate; None: policy has none for its methodology."""
    for line in policy["asset_classes"]:
        if asset.methodology.startswith(line["methodology"]):
            return str(line["asset_class"])
    return None


def verification_state(asset: Collateral) -> str:
    """Whether the pledge is covered by issued units, or stands on forecast ones."""
    return "issued" if asset.tonnes <= asset.issued_tonnes else "forecast"


def fire_zone(degrees: float, asset: Collateral) -> str | None:
    """Cell of the fire grid in which an asset lies, by its south-western corner."""
    if asset.longitude is None or asset.latitude is None:
        return None
    east, north = (math.floor(round(one / degrees, 9)) * degrees for one in (asset.longitude, asset.latitude))
    return f"E{east:.2f}-N{north:.2f}"


def fault(policy: Policy, asset: Collateral, on: date) -> Reason | None:
    """Why the valuation of an asset may not be used on a date, if it may not."""
    if asset.version is None or asset.as_of is None or asset.valid_until is None:
        return reasons.valuation_missing(asset.asset_id)
    age = (on - date.fromisoformat(asset.as_of)).days
    found = ltv.valuation_fault(asset.p10, age, policy["valuation_maximum_age_days"])
    if found is None and on > date.fromisoformat(asset.valid_until):
        found = "valuation stale"
    if found is None:
        return None
    if found == "valuation stale":
        return reasons.valuation_stale(asset.asset_id, asset.as_of, asset.valid_until)
    return reasons.valuation_missing(asset.asset_id)


def faults(policy: Policy, assets: Sequence[Collateral], on: date) -> list[Reason]:
    """The faults of all assets behind a loan; none of them may have one."""
    return [found for asset in assets if (found := fault(policy, asset, on)) is not None]


def fresh_until(policy: Policy, assets: Sequence[Collateral]) -> date | None:
    """The last day on which every valuation may be used; None if one is missing, or there is none."""
    days = []
    for asset in assets:
        if asset.as_of is None or asset.valid_until is None:
            return None
        aged = date.fromisoformat(asset.as_of) + timedelta(days=policy["valuation_maximum_age_days"])
        days.append(min(aged, date.fromisoformat(asset.valid_until)))
    return min(days, default=None)


def share(asset: Collateral) -> float:
    """Share of the asset that the pledge counts for. [-]"""
    return ltv.counted_share(asset.tonnes, asset.forecast_tonnes, asset.pledged_tonnes)


def haircut(policy: Policy, asset: Collateral) -> float:
    """Haircut for the time to sell: the valuation's own, else one from the volatility of the price. [-]"""
    if asset.haircut > 0:
        return asset.haircut
    return ltv.price_haircut(
        policy["carbon_price_volatility"], policy["sale_time_years"], policy["price_haircut_confidence"]
    )


def present_values(assets: Sequence[Collateral], quantile: str) -> list[float]:
    """Present value of each pledge at a quantile, before haircuts. [CNY]"""
    values = []
    for asset in assets:
        value = getattr(asset, quantile)
        if value is None:
            raise ltv.MissingValuationError("valuation missing")
        values.append(value * share(asset))
    return values


def value(policy: Policy, assets: Sequence[Collateral], quantile: str) -> float:
    """Value of all pledges at a quantile, after haircuts. [CNY]"""
    return ltv.pledged_value(present_values(assets, quantile), [haircut(policy, asset) for asset in assets])


def counted_value(policy: Policy, asset: Collateral) -> Decimal:
    """Value counted for one pledge: at the margin quantile, after the haircut. [CNY]"""
    return money.yuan(value(policy, [asset], policy["margin_quantile"]))

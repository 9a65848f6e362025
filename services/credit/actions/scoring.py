"""The judgement of an application: score, default probability, loan to value, limits, outcome, reasons.

`judge` is a function of its arguments alone: it reads no clock and no database, so that a stored decision can be made
again to the byte, and so that a what-if costs nothing but arithmetic.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from services.credit.actions import collateral as pledge
from services.credit.actions import reasons
from services.credit.actions.collateral import Collateral
from services.credit.actions.dates import months_after
from services.credit.actions.policy import Policy
from services.credit.formulas import default_probability as pd
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas.scorecard import Score, score
from services.credit.scorecard_file import Scorecard
from shared import money
from shared.events.parts import Reason


@dataclass(frozen=True, slots=True)
class Facts:
    """What a judgement is made of besides the collateral, in numbers and texts that JSON keeps as they are."""

    #: Date whose policy applies.
    on: str
    #: Amount in fen.
    amount: int
    term_months: int
    industry: str
    employees: int | None
    new_business: bool | None
    revolving: bool
    guaranteed_share: float
    natural_person: bool
    #: The bank's forest book without this loan, in all and in the county of the collateral; None: limits not judged.
    book: float | None = None
    county_book: float | None = None
    county: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judgement says."""

    outcome: str
    score: float
    points: dict[str, float]
    #: Yearly default probability over fire and no fire, its interval, and the two states it mixes.
    default_probability: float
    default_probability_low: float
    default_probability_high: float
    default_probability_without_fire: float
    default_probability_given_fire: float
    fire_probability: float
    #: By quantile, after haircuts; None while a valuation is missing or stale, or no asset was given.
    loan_to_value: dict[str, float | None] | None
    pledge_rate: float | None
    value: Decimal | None
    maximum_amount: Decimal | None
    #: At most four, principal ones first.
    reasons: tuple[Reason, ...]
    #: Those that no person may pass over.
    blocking: tuple[Reason, ...]
    flags: tuple[str, ...]


def judge(policy: Policy, card: Scorecard, facts: Facts, assets: Sequence[Collateral]) -> Judgement:
    """Judge an application on its facts and collateral. A missing input is an error, never a default row."""
    on = date.fromisoformat(facts.on)
    scored = score(card.card, _features(policy, facts), policy["most_reasons"])
    faults = pledge.faults(policy, assets, on)
    fire = _fire_probability(policy, assets)
    without_fire, given_fire, mixed = _probabilities(policy, scored.probability, fire)
    low, high = pd.probability_interval(scored.log_odds, scored.log_odds_sd, policy["probability_interval_level"])

    breaches = list(_term_breaches(policy, facts, assets, on))
    ratios = rate = value = maximum = None
    if assets and not faults:
        ratios, rate, maximum, found = _coverage(policy, facts, assets)
        value = money.yuan(pledge.value(policy, assets, policy["margin_quantile"]))
        breaches += found
    softer = list(_concentration(policy, facts))

    band = pd.decision_band(
        mixed, policy["approve_below_default_probability"], policy["decline_from_default_probability"]
    )
    outcome, flags = _outcome(policy, facts, band, faults, breaches, softer)
    told = [*breaches, *faults, *softer]
    if band != "approve" or not told:
        told += [reasons.points_lost(lost) for lost in scored.reasons]
    if not told and outcome != "approve":
        told.append(reasons.default_probability_high(mixed, policy["approve_below_default_probability"]))
    return Judgement(
        outcome=outcome,
        score=scored.points,
        points=scored.points_by_feature,
        default_probability=mixed,
        default_probability_low=_probabilities(policy, low, fire)[2],
        default_probability_high=_probabilities(policy, high, fire)[2],
        default_probability_without_fire=without_fire,
        default_probability_given_fire=given_fire,
        fire_probability=fire,
        loan_to_value=None if ratios is None else {name: _finite(ratio) for name, ratio in ratios.items()},
        pledge_rate=None if rate is None else _finite(rate),
        value=value,
        maximum_amount=maximum,
        reasons=tuple(told[: policy["most_reasons"]]),
        blocking=(*breaches, *faults),
        flags=(*scored.flags, *flags, *_silences(facts, assets)),
    )


def _features(policy: Policy, facts: Facts) -> dict[str, Any]:
    """The features of the card; an industry it was not trained on stays as it is and is scored as unseen."""
    industry = policy["scorecard_industries"].get(facts.industry[:3], facts.industry)
    return {
        "industry": industry,
        "employees": facts.employees,
        "amount": facts.amount / 100 / policy["scorecard_currency_rate"],
        "guaranteed_share": facts.guaranteed_share,
        "new_business": facts.new_business,
        "revolving": facts.revolving,
    }


def _probabilities(policy: Policy, lifetime: float, fire: float) -> tuple[float, float, float]:
    """Yearly default probability without fire, given fire, and over both."""
    yearly = pd.floored_default_probability(
        pd.annual_default_probability(lifetime, policy["scorecard_horizon_years"]), policy["default_probability_floor"]
    )
    stressed = pd.stressed_default_probability(yearly, policy["fire_default_uplift"])
    return yearly, stressed, pd.mixed_default_probability(yearly, stressed, fire)


def _fire_probability(policy: Policy, assets: Sequence[Collateral]) -> float:
    """Yearly probability of a fire on the collateral: the largest of its forests', since one fire is enough."""
    base, reference = policy["fire_probability"], policy["fire_hazard_reference"]
    scores = [reference if asset.fire_score is None else asset.fire_score for asset in assets]
    return max((pd.fire_probability(base, score, reference) for score in scores), default=base)


def _coverage(
    policy: Policy, facts: Facts, assets: Sequence[Collateral]
) -> tuple[dict[str, float], float, Decimal, list[Reason]]:
    """Loan to value by quantile, pledge rate, the largest loan this pledge carries, and the limits that are broken."""
    amount = facts.amount / 100
    ratios: dict[str, float] = {}
    caps: list[int] = []
    over: list[tuple[str, float, float]] = []
    for quantile, limit in policy["maximum_loan_to_value"].items():
        worth = pledge.value(policy, assets, quantile)
        ratios[quantile] = ltv.loan_to_value(amount, worth)
        caps.append(ltv.maximum_principal(money.fen(money.yuan(worth)), limit))
        if ratios[quantile] > limit:
            over.append((quantile, ratios[quantile], limit))
    whole, cap = sum(pledge.present_values(assets, "p50")), policy["pledge_rate_cap"]
    rate = ltv.loan_to_value(amount, whole)
    caps.append(ltv.maximum_principal(money.fen(money.yuan(whole)), cap))
    maximum = money.from_fen(min(caps))
    breaches = [reasons.loan_to_value_high(*each, f"{maximum:,.2f}") for each in over]
    if rate > cap:
        breaches.append(reasons.pledge_rate_high(rate, cap, f"{maximum:,.2f}"))
    breaches += [
        reasons.pledge_exceeds_forecast(asset.asset_id, asset.tonnes, asset.forecast_tonnes)
        for asset in assets
        if asset.tonnes > asset.forecast_tonnes
    ]
    return ratios, rate, maximum, breaches


def _term_breaches(policy: Policy, facts: Facts, assets: Sequence[Collateral], on: date) -> list[Reason]:
    limit = policy["working_capital_maximum_tenor_months" if facts.revolving else "maximum_tenor_months"]
    found = [reasons.term_too_long(facts.term_months, limit)] if facts.term_months > limit else []
    matures = months_after(on, facts.term_months)
    for asset in assets:
        for what, until in (("title", asset.title_until), ("crediting", asset.crediting_until)):
            if until is not None and matures > date.fromisoformat(until):
                found.append(reasons.term_beyond(what, asset.asset_id, matures, until))
    return found


def _concentration(policy: Policy, facts: Facts) -> list[Reason]:
    if facts.book is None or facts.county_book is None or facts.county is None:
        return []
    amount = facts.amount / 100
    whole = max(facts.book + amount, policy["concentration_minimum_book"] / 100)
    part = (facts.county_book + amount) / whole
    limit = policy["county_concentration_cap"]
    return [reasons.county_concentrated(facts.county, part, limit)] if part > limit else []


def _outcome(
    policy: Policy,
    facts: Facts,
    band: str,
    faults: Sequence[Reason],
    breaches: Sequence[Reason],
    softer: Sequence[Reason],
) -> tuple[str, tuple[str, ...]]:
    """Decline on a broken limit or a high risk, refer on doubt; a machine never has the last word on a person."""
    faulty = policy["valuation_fault_outcome"] if faults else "approve"
    if breaches or band == "decline" or faulty == "decline":
        return ("refer", ("human_review",)) if facts.natural_person else ("decline", ())
    return ("refer" if softer or band == "refer" or faulty == "refer" else "approve"), ()


def _silences(facts: Facts, assets: Sequence[Collateral]) -> tuple[str, ...]:
    """What this judgement does not say, because it was not asked."""
    return (
        *(() if assets else ("collateral_not_judged",)),
        *(() if facts.book is not None else ("limits_not_judged",)),
    )


def _finite(ratio: float) -> float | None:
    """A ratio that can be told; a debt on next to nothing has none."""
    return ratio if ratio < pledge.LARGEST_RATIO else None


# -- as data ----------------------------------------------------------------------------------------------------------


def inputs_as_json(facts: Facts, assets: Sequence[Collateral]) -> dict[str, Any]:
    """The inputs of a judgement, to store."""
    return {"facts": asdict(facts), "assets": [asdict(asset) for asset in assets]}


def inputs_from_json(data: dict[str, Any]) -> tuple[Facts, list[Collateral]]:
    """Stored inputs of a judgement, to judge again."""
    return Facts(**data["facts"]), [Collateral(**asset) for asset in data["assets"]]


def as_json(judgement: Judgement) -> dict[str, Any]:
    """A judgement as JSON data."""
    made = asdict(judgement)
    made["value"] = None if judgement.value is None else str(judgement.value)
    made["maximum_amount"] = None if judgement.maximum_amount is None else str(judgement.maximum_amount)
    made["flags"] = list(judgement.flags)
    made["reasons"] = reasons.as_json(judgement.reasons)
    made["blocking"] = reasons.as_json(judgement.blocking)
    return made


__all__ = ["Facts", "Judgement", "Score", "as_json", "inputs_as_json", "inputs_from_json", "judge"]

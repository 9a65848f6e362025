"""The judgement of an application: score, default probability, loan to value, limits, outcome, reasons.

`judge` is a function of its arguments alone: it reads no clock and no database, so that a stored decision can be made
again to the byte, and so that a what-if costs nothing but arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from services.credit.actions import collateral as pledge
from services.credit.actions import reasons, rules
from services.credit.actions.collateral import Collateral
from services.credit.actions.dates import months_after
from services.credit.actions.policy import Policy
from services.credit.actions.rules import Breach
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
    repayment: str = "equal_principal"
    verifier: str | None = None
    #: The bank's forest book without this loan. [CNY] None: limits are not judged.
    book: float | None = None
    #: By dimension: the name there, and what the bank has lent there beside this loan. [CNY] None: not known.
    beside: dict[str, tuple[str, float] | None] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judgement says."""

    outcome: str
    #: What the score alone says.
    band: str
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
    #: Within a limit, but close to it.
    watch: tuple[Reason, ...]
    flags: tuple[str, ...]
    #: Rules that were broken, and rules that could not be applied.
    breaches: tuple[Breach, ...]
    unknown: tuple[str, ...]


def judge(policy: Policy, card: Scorecard, facts: Facts, assets: Sequence[Collateral]) -> Judgement:
    """Judge an application on its facts and collateral. A missing input is an error, never a default row."""
    on = date.fromisoformat(facts.on)
    scored = score(card.card, features(policy, facts), policy["most_reasons"])
    faults = pledge.faults(policy, assets, on)
    fire = _fire_probability(policy, assets)
    without_fire, given_fire, mixed = _probabilities(policy, scored.probability, fire)
    low, high = pd.probability_interval(scored.log_odds, scored.log_odds_sd, policy["probability_interval_level"])

    breaches = [*_term_breaches(policy, facts, assets, on), *_asset_breaches(policy, facts, assets)]
    breaches += [Breach("valuation-fresh", one) for one in faults]
    ratios = rate = value = maximum = None
    watch: list[Reason] = []
    priced = not any(one.rule == "asset-class" for one in breaches)
    if assets and not faults and priced:
        ratios, rate, maximum, found, close = _coverage(policy, facts, assets)
        value = money.yuan(pledge.value(policy, assets, policy["margin_quantile"]))
        breaches += found
        watch += close
        watch += _ageing(policy, assets, on)
    found, close, unknown = _concentration(policy, facts)
    breaches += found
    watch += close
    if not ratios:
        unknown += ["loan-to-value", "pledge-rate"]

    band = pd.decision_band(
        mixed, policy["approve_below_default_probability"], policy["decline_from_default_probability"]
    )
    outcome, flags = _outcome(policy, facts, band, breaches)
    ordered = rules.of_severity(breaches, *rules.SEVERITIES)
    told = [one.reason for one in ordered]
    if band != "approve" or not told:
        told += [reasons.points_lost(lost) for lost in scored.reasons]
    if not told and outcome != "approve":
        told.append(reasons.default_probability_high(mixed, policy["approve_below_default_probability"]))
    return Judgement(
        outcome=outcome,
        band=band,
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
        blocking=tuple(one.reason for one in rules.of_severity(breaches, "decline", "fault")),
        watch=tuple(watch),
        flags=(*scored.flags, *flags, *_silences(facts, assets), *_few(card)),
        breaches=tuple(breaches),
        unknown=tuple(unknown),
    )


def features(policy: Policy, facts: Facts) -> dict[str, Any]:
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


def stands(policy: Policy, lifetime: float, fire: float) -> tuple[float, str]:
    """Yearly default probability over fire and no fire, and the band it falls in, of a model's lifetime one."""
    mixed = _probabilities(policy, lifetime, fire)[2]
    approve, decline = policy["approve_below_default_probability"], policy["decline_from_default_probability"]
    return mixed, pd.decision_band(mixed, approve, decline)


def card_probability(card: Scorecard, given: dict[str, Any]) -> float:
    """Lifetime default probability by a card."""
    return score(card.card, given).probability


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
) -> tuple[dict[str, float], float, Decimal, list[Breach], list[Reason]]:
    """Loan to value by quantile, pledge rate, the largest loan this pledge carries, limits broken and limits close."""
    amount, close = facts.amount / 100, policy["watch_levels"]["share_of_limit"]
    ratios: dict[str, float] = {}
    caps: list[int] = []
    over: list[tuple[str, float, float]] = []
    watch: list[Reason] = []
    for quantile, limit in policy["maximum_loan_to_value"].items():
        worth = pledge.value(policy, assets, quantile)
        ratios[quantile] = ltv.loan_to_value(amount, worth)
        caps.append(ltv.maximum_principal(money.fen(money.yuan(worth)), limit))
        if ratios[quantile] > limit:
            over.append((quantile, ratios[quantile], limit))
        elif ratios[quantile] > limit * close:
            watch.append(reasons.loan_to_value_close(quantile, ratios[quantile], limit))
    worths = pledge.present_values(assets, "p50")
    whole = sum(worths)
    parts = [_pledge_cap(policy, asset) for asset in assets]
    rate, cap = ltv.loan_to_value(amount, whole), ltv.mean_cap(worths, parts)
    caps.append(
        sum(
            ltv.maximum_principal(money.fen(money.yuan(worth)), part) for worth, part in zip(worths, parts, strict=True)
        )
    )
    maximum = money.from_fen(min(caps))
    breaches = [Breach("loan-to-value", reasons.loan_to_value_high(*each, f"{maximum:,.2f}")) for each in over]
    if facts.amount > caps[-1]:
        breaches.append(Breach("pledge-rate", reasons.pledge_rate_high(rate, cap, f"{maximum:,.2f}")))
    breaches += [
        Breach("pledge-forecast", reasons.pledge_exceeds_forecast(asset.asset_id, asset.tonnes, asset.forecast_tonnes))
        for asset in assets
        if asset.tonnes > asset.forecast_tonnes
    ]
    return ratios, rate, maximum, breaches, watch


def _pledge_cap(policy: Policy, asset: Collateral) -> float:
    """Largest share of the present value of an asset that may be lent on it; of an unknown class, nothing."""
    asset_class = pledge.asset_class(policy, asset)
    if asset_class is None:
        return 0.0
    cap: float = policy["pledge_rate_caps"][asset_class][pledge.verification_state(asset)]
    return cap


def _term_breaches(policy: Policy, facts: Facts, assets: Sequence[Collateral], on: date) -> list[Breach]:
    limit = policy["working_capital_maximum_tenor_months" if facts.revolving else "maximum_tenor_months"]
    found = []
    if facts.term_months > limit:
        found.append(Breach("tenor-policy", reasons.term_too_long(facts.term_months, limit)))
    insured = policy["insurance_maximum_months"]
    if facts.term_months > insured:
        found.append(Breach("tenor-insurance", reasons.term_beyond_insurance(facts.term_months, insured)))
    matures = months_after(on, facts.term_months)
    for asset in assets:
        for what, until in (("title", asset.title_until), ("crediting", asset.crediting_until)):
            if until is not None and matures > date.fromisoformat(until):
                found.append(Breach(f"tenor-{what}", reasons.term_beyond(what, asset.asset_id, matures, until)))
    return found


def _asset_breaches(policy: Policy, facts: Facts, assets: Sequence[Collateral]) -> list[Breach]:
    """What the assets themselves are not fit for."""
    valued = [asset for asset in assets if asset.version is not None]
    found = [
        Breach("asset-class", reasons.asset_class_unknown(asset.asset_id, asset.methodology))
        for asset in valued
        if pledge.asset_class(policy, asset) is None
    ]
    if facts.verifier is None and any(pledge.verification_state(asset) == "issued" for asset in valued):
        found.append(Breach("verifier-named", reasons.verifier_unnamed()))
    return found


def _ageing(policy: Policy, assets: Sequence[Collateral], on: date) -> list[Reason]:
    until, days = pledge.fresh_until(policy, assets), policy["watch_levels"]["valuation_days_left"]
    if until is None or (until - on).days > days:
        return []
    return [reasons.valuation_ageing(until, (until - on).days)]


def _concentration(policy: Policy, facts: Facts) -> tuple[list[Breach], list[Reason], list[str]]:
    """Limits of the book broken, close, and those that could not be judged."""
    caps = policy["concentration_caps"]
    if facts.book is None or facts.beside is None:
        return [], [], [f"concentration-{dimension}" for dimension in caps]
    amount, close = facts.amount / 100, policy["watch_levels"]["share_of_limit"]
    whole = max(facts.book + amount, policy["concentration_minimum_book"] / 100)
    broken: list[Breach] = []
    watch: list[Reason] = []
    unknown: list[str] = []
    for dimension, cap in caps.items():
        there = facts.beside.get(dimension)
        if there is None:
            unknown.append(f"concentration-{dimension}")
            continue
        name, beside = there
        part = (beside + amount) / whole
        if part > cap:
            broken.append(Breach(f"concentration-{dimension}", reasons.concentrated(dimension, name, part, cap)))
        elif part > cap * close:
            watch.append(reasons.concentration_close(dimension, name, part, cap))
    return broken, watch, unknown


def _outcome(policy: Policy, facts: Facts, band: str, breaches: Sequence[Breach]) -> tuple[str, tuple[str, ...]]:
    """Decline on a broken limit or a high risk, refer on doubt; a machine never has the last word on a person."""
    asked = {rules.RULES[one.rule].severity for one in breaches}
    if "fault" in asked:
        asked.add(policy["valuation_fault_outcome"])
    if "decline" in asked or band == "decline":
        return ("refer", ("human_review",)) if facts.natural_person else ("decline", ())
    return ("refer" if "refer" in asked or band == "refer" else "approve"), ()


def _few(card: Scorecard) -> tuple[str, ...]:
    """Whether the card learnt from so few defaults that its interval says more than its probability."""
    return ("few_defaults",) if card.document.get("low_data") else ()


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


def inputs_from_json(data: Mapping[str, Any]) -> tuple[Facts, list[Collateral]]:
    """Stored inputs of a judgement, to judge again."""
    facts = dict(data["facts"])
    if facts["beside"] is not None:
        facts["beside"] = {name: one and (one[0], one[1]) for name, one in facts["beside"].items()}
    assets = [{**one, "issuances": tuple((day, tonnes) for day, tonnes in one["issuances"])} for one in data["assets"]]
    return Facts(**facts), [Collateral(**asset) for asset in assets]


def as_json(judgement: Judgement) -> dict[str, Any]:
    """A judgement as JSON data."""
    made = asdict(judgement)
    made["value"] = None if judgement.value is None else str(judgement.value)
    made["maximum_amount"] = None if judgement.maximum_amount is None else str(judgement.maximum_amount)
    made["flags"] = list(judgement.flags)
    made["watch"] = reasons.as_json(judgement.watch)
    made["breaches"] = [{"rule": one.rule, "code": one.reason.code} for one in judgement.breaches]
    made["unknown"] = list(judgement.unknown)
    made["reasons"] = reasons.as_json(judgement.reasons)
    made["blocking"] = reasons.as_json(judgement.blocking)
    return made


__all__ = ["Facts", "Judgement", "Score", "as_json", "inputs_as_json", "inputs_from_json", "judge"]

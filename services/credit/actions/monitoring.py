"""How the models do: drift of the applications, defaults against what was stated, groups, and overrides by persons."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from services.credit.actions import models, scoring
from services.credit.actions.dates import months_after
from services.credit.actions.policy import JUDGEMENT, MONITORING, policy
from services.credit.actions.states import IN_DEFAULT, LIVE
from services.credit.formulas.backtest import adverse_impact_ratio, binomial_p_value, jeffreys_p_value
from services.credit.formulas.drift import population_stability_index, stability_band
from services.credit.formulas.scorecard import score
from services.credit.scorecard_file import Scorecard
from services.credit.tables import Decision, Loan, LoanHistory, StabilityRun, overridden_outcomes
from shared import audit, clock, timers
from shared.db import tenant
from shared.ids import uuid7

#: A bin that nobody falls in counts for this share, or its index would be infinite.
_LEAST_SHARE = 1e-4
_WORST = ("stable", "watch", "alarm")

# -- drift ------------------------------------------------------------------------------------------------------------


def measure_stability(session: Session) -> StabilityRun:
    """Measure how far late applications have moved from the card's training loans; the next time comes by itself."""
    today, now = clock.today(), clock.now()
    limits = policy(today, MONITORING)
    rules, bands = limits["model_monitoring"], limits["stability_bands"]
    card: Scorecard = models.champion(session).model
    since = now - timedelta(days=rules["window_days"])
    given = _features_of(session, card.sha256, since)
    run = StabilityRun(
        id=uuid7(),
        institution=tenant(session),
        at=now,
        model_sha256=card.sha256,
        since=since,
        applications=len(given),
        psi=None,
        csi={},
        band="unknown",
        limits={**bands, "least_applications": rules["least_applications"], "window_days": rules["window_days"]},
    )
    reference = card.document.get("reference")
    if reference is not None and len(given) >= rules["least_applications"]:
        run.psi, run.csi = _indices(card, reference, given)
        found = [stability_band(one, **bands) for one in (run.psi, *run.csi.values()) if one is not None]
        run.band = max(found, key=_WORST.index)
    session.add(run)
    audit.record(session, "stability_measured", run.id, sha256=card.sha256, band=run.band, psi=run.psi)
    if run.band == "alarm":
        audit.record(session, "model_drift_alarm", run.id, sha256=card.sha256, psi=run.psi, csi=run.csi)
    timers.put(session, "stability", uuid5(NAMESPACE_URL, tenant(session)), now + timedelta(days=rules["every_days"]))
    return run


def measure_again(session: Session, _: UUID) -> None:
    """Measure drift because the time has come."""
    measure_stability(session)


def _features_of(session: Session, sha256: str, since: datetime) -> list[dict[str, Any]]:
    """What the card saw of each application that it judged."""
    rows = session.execute(
        select(Decision.inputs["facts"], Decision.decided_on).where(
            Decision.kind == "application", Decision.artefact_hash == sha256, Decision.decided_at >= since
        )
    ).all()
    return [
        scoring.features(policy(on, JUDGEMENT), scoring.inputs_from_json({"facts": facts, "assets": []})[0])
        for facts, on in rows
    ]


def _indices(
    card: Scorecard, reference: Mapping[str, Any], given: Sequence[Mapping[str, Any]]
) -> tuple[float | None, dict[str, float]]:
    """Stability index of the score, where the card holds its reference, and of each feature."""
    of_score, psi = reference["log_odds"], None
    if of_score is not None:
        odds = [score(card.card, one).log_odds for one in given]
        psi = _index(of_score["rows"], (bisect_left(of_score["edges"], one) for one in odds))
    csi = {
        entry["name"]: _index(
            reference["features"][entry["name"]], (1 + _place(entry, one[entry["name"]]) for one in given)
        )
        for entry in card.document["features"]
    }
    return psi, csi


def _index(reference: Sequence[int], places: Iterable[int]) -> float:
    counts = [0] * len(reference)
    for place in places:
        counts[place] += 1
    shares = [[count / sum(each) for count in each] for each in (reference, counts)]
    return round(population_stability_index(shares[0], shares[1], least_share=_LEAST_SHARE), 6)


def _place(entry: Mapping[str, Any], value: Any) -> int:
    """Attribute of a value as the training counted it; -1 where it has none of its own."""
    if value is None:
        return len(entry["attributes"]) if entry["missing"]["policy"] == "own" else -1
    if entry["kind"] == "number":
        return bisect_left(entry["edges"], value)
    return next((n for n, each in enumerate(entry["attributes"]) if value in each["values"]), -1)


# -- backtest ---------------------------------------------------------------------------------------------------------


def backtest(session: Session) -> dict[str, Any]:
    """Defaults that came true against what was stated, by band of the stated probability.

    A loan counts once for each whole year after it was paid out that it began alive and whose end has come: then its
    outcome is known whatever it was. A loan that was paid back within the year did not default in it.
    """
    today = clock.today()
    rules = policy(today, MONITORING)["model_monitoring"]
    stated = _stated_probabilities(session)
    ends = select(LoanHistory.loan_id, LoanHistory.at).where(LoanHistory.to_state == "closed")
    closed = {row.loan_id: row.at for row in session.execute(ends)}
    edges: list[float] = rules["band_edges"]
    years: list[list[float]] = [[] for _ in range(len(edges) + 1)]
    defaults = [0] * len(years)
    waiting = 0
    loans = session.execute(select(Loan.id, Loan.disbursed_on, Loan.defaulted_on).where(Loan.disbursed_on.is_not(None)))
    for loan_id, paid_on, defaulted_on in loans:
        ended = defaulted_on or (closed[loan_id].astimezone(clock.BUSINESS).date() if loan_id in closed else None)
        probability = stated[loan_id]
        place = bisect_left(edges, probability)
        number = 0
        assert paid_on is not None
        while ended is None or number == 0 or months_after(paid_on, 12 * number) < ended:
            begins, until = months_after(paid_on, 12 * number), months_after(paid_on, 12 * (number + 1))
            if until > today:
                waiting += 1
                break
            years[place].append(probability)
            defaults[place] += defaulted_on is not None and begins <= defaulted_on < until
            number += 1
    bands = [
        _band(low, high, each, came, rules["significance"])
        for low, high, each, came in zip([0.0, *edges], [*edges, 1.0], years, defaults, strict=True)
    ]
    every = [one for each in years for one in each]
    return {
        "as_of": today,
        "significance": rules["significance"],
        "bands": bands,
        "all": _band(0.0, 1.0, every, sum(defaults), rules["significance"]),
        "years_not_ended": waiting,
    }


def _stated_probabilities(session: Session) -> dict[UUID, float]:
    """Yearly default probability of the latest decision on each loan."""
    probability = Decision.result["judgement"]["default_probability"].as_float()
    rows = session.execute(
        select(Decision.loan_id, probability)
        .ext(distinct_on(Decision.loan_id))
        .order_by(Decision.loan_id, Decision.decided_at.desc())
    )
    return {loan_id: float(one) for loan_id, one in rows}


def _band(low: float, high: float, stated: Sequence[float], defaults: int, significance: float) -> dict[str, Any]:
    told: dict[str, Any] = {"above": low, "up_to": high, "loan_years": len(stated), "defaults": defaults}
    names = ("stated", "observed", "binomial_p_value", "jeffreys_p_value")
    if not stated:
        return told | dict.fromkeys(names) | {"verdict": "no_data"}
    mean = sum(stated) / len(stated)
    jeffreys = jeffreys_p_value(defaults, len(stated), mean)
    return told | {
        "stated": mean,
        "observed": defaults / len(stated),
        "binomial_p_value": binomial_p_value(defaults, len(stated), mean),
        "jeffreys_p_value": jeffreys,
        "verdict": "too_low" if jeffreys < significance else "not_rejected",
    }


# -- fairness ---------------------------------------------------------------------------------------------------------

LIMITS = (
    "Sex, nationality, age and ethnicity are sealed or never asked: nothing can be said about them here.",
    "Groups differ in more than their name; a ratio points to where to look and is no finding of unfairness.",
    "Rates of small groups are shown and not judged. Defaults are those known today; young loans had little time.",
)


def fairness(session: Session) -> dict[str, Any]:
    """Grants and defaults by the groups that the data knows: kind of borrower, county, size, small or farmer."""
    rules = policy(clock.today(), MONITORING)["fairness_limits"]
    edges = rules["amount_edges"]
    loans = session.execute(
        select(
            Loan.borrower_kind,
            Loan.county,
            Loan.amount,
            Loan.small_or_farmer,
            Loan.state,
            Loan.legs_by,
            Loan.disbursed_on,
            Loan.defaulted_on,
        )
    ).all()
    dimensions: dict[str, Callable[[Any], str]] = {
        "borrower_kind": lambda one: str(one.borrower_kind),
        "county": lambda one: one.county or "unknown",
        "amount": lambda one: _size(float(one.amount), edges),
        "small_or_farmer": lambda one: "yes" if one.small_or_farmer else "no",
    }
    return {
        "as_of": clock.today(),
        "applications": len(loans),
        "least_ratio": rules["least_ratio"],
        "least_group": rules["least_group"],
        "dimensions": [
            {"dimension": name, "groups": _groups(loans, group, rules)} for name, group in dimensions.items()
        ],
        "limits": list(LIMITS),
    }


def _groups(loans: Sequence[Any], group: Callable[[Any], str], rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    sorted_out: dict[str, list[Any]] = defaultdict(list)
    for one in loans:
        sorted_out[group(one)].append(one)
    told = []
    for name, members in sorted(sorted_out.items()):
        # Granted: credit went on to ask the legs. Whoever stepped back before, or still waits, was not decided on.
        granted = sum(one.legs_by is not None for one in members)
        refused = sum(one.state == "declined" and one.legs_by is None for one in members)
        paid = sum(one.disbursed_on is not None for one in members)
        defaults = sum(one.defaulted_on is not None for one in members)
        decided = granted + refused
        told.append(
            {
                "group": name,
                "applications": len(members),
                "decided": decided,
                "granted": granted,
                "grant_rate": granted / decided if decided else None,
                "paid_out": paid,
                "defaults": defaults,
                "default_rate": defaults / paid if paid else None,
            }
        )
    judged = [one["grant_rate"] for one in told if one["decided"] >= rules["least_group"]]
    for one in told:
        ratio = None
        if judged and one["decided"] >= rules["least_group"]:
            ratio = adverse_impact_ratio(one["grant_rate"], max(judged))
        one["adverse_impact_ratio"] = ratio
        one["below_limit"] = None if ratio is None else ratio < rules["least_ratio"]
    return told


def _size(amount: float, edges: Sequence[float]) -> str:
    place = bisect_left(edges, amount)
    if place == 0:
        return f"up to {edges[0]:,.0f}"
    return f"above {edges[place - 1]:,.0f}" + (f" up to {edges[place]:,.0f}" if place < len(edges) else "")


# -- overrides --------------------------------------------------------------------------------------------------------


def override_report(session: Session, days: int) -> dict[str, Any]:
    """Persons' words against the machine's, by direction and reason, and what became of the loans."""
    since = clock.now() - timedelta(days=days)
    rows = overridden_outcomes(session, since)
    sorted_out: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for one in rows:
        direction = "with" if not one.against_machine else "lenient" if one.outcome == "proceed" else "strict"
        sorted_out[direction, one.reason_code].append(one)
    return {
        "since": since,
        "decisions": len(rows),
        "override_rate": sum(one.against_machine for one in rows) / len(rows) if rows else None,
        "totals": [
            {
                "direction": direction,
                "reason_code": reason,
                "decisions": len(each),
                "paid_out": sum(one.state in (*LIVE, *IN_DEFAULT, "closed") for one in each),
                "defaults": sum(one.defaulted_on is not None for one in each),
            }
            for (direction, reason), each in sorted(sorted_out.items())
        ],
    }

"""The challenger in the shadow: it scores what the champion decides, and decides nothing."""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import models, scoring
from services.credit.actions.scoring import Facts, Judgement
from services.credit.actions.underwriting import Rulebook
from services.credit.challenger_file import Challenger
from services.credit.scorecard_file import Scorecard
from services.credit.tables import Decision, ShadowScore
from shared import clock
from shared.errors import RefusalError
from shared.models import Served


def score_beside(session: Session, decision: Decision, rules: Rulebook, facts: Facts, judgement: Judgement) -> None:
    """Let the challenger score an application; whatever is wrong with it is written down and stops nothing."""
    try:
        challenger = models.challenger(session)
        if challenger is None:
            return
        sha256, failure = challenger.sha256, ""
        stated: float | None = _lifetime_probability(challenger, rules, facts)
    except (RefusalError, ValueError, KeyError, ArithmeticError) as error:
        challenger_row = models.challenger_row(session)
        sha256, stated = "" if challenger_row is None else challenger_row.sha256, None
        failure = f"{type(error).__name__}: {error}"[:200]
    yearly = band = None
    if stated is not None:
        yearly, band = scoring.stands(rules.judged_by, stated, judgement.fire_probability)
    session.add(
        ShadowScore(
            decision=decision,
            institution=decision.institution,
            loan_id=decision.loan.id,
            at=clock.now(),
            champion_sha256=rules.card.sha256,
            challenger_sha256=sha256,
            champion_probability=judgement.default_probability,
            champion_band=judgement.band,
            challenger_probability=yearly,
            challenger_band=band,
            failure=failure,
        )
    )


def _lifetime_probability(challenger: Served, rules: Rulebook, facts: Facts) -> float:
    features = scoring.features(rules.judged_by, facts)
    model = challenger.model
    if isinstance(model, Challenger):
        return model.probability(features)
    assert isinstance(model, Scorecard)
    return scoring.card_probability(model, features)


def agreement(session: Session, days: int) -> dict[str, Any]:
    """How far the present challenger agrees with the champion on the applications of the last days."""
    served = models.challenger(session)
    since = clock.now() - timedelta(days=days)
    empty: dict[str, Any] = {"challenger": None, "since": since, "applications": 0, "failures": [], "bands": []}
    empty |= dict.fromkeys(("same_band", "mean_difference", "largest_difference", "rank_correlation"))
    empty["furthest"] = []
    if served is None:
        return empty
    rows = session.scalars(
        select(ShadowScore)
        .where(ShadowScore.challenger_sha256 == served.sha256, ShadowScore.at >= since)
        .order_by(ShadowScore.at)
    ).all()
    scored = [row for row in rows if row.challenger_probability is not None]
    told = empty | {"challenger": served.label(), "applications": len(rows)}
    told["failures"] = [
        {"failure": failure, "applications": count}
        for failure, count in Counter(row.failure for row in rows if row.failure).most_common(10)
    ]
    if not scored:
        return told
    ours = np.array([row.champion_probability for row in scored])
    theirs = np.array([row.challenger_probability for row in scored], dtype=np.float64)
    pairs = Counter((row.champion_band, row.challenger_band) for row in scored)
    apart = np.abs(ours - theirs)
    furthest = sorted(range(len(scored)), key=lambda place: -apart[place])[:10]
    return told | {
        "same_band": sum(count for (a, b), count in pairs.items() if a == b) / len(scored),
        "bands": [
            {"champion": a, "challenger": b, "applications": count} for (a, b), count in sorted(pairs.items(), key=str)
        ],
        "mean_difference": float((theirs - ours).mean()),
        "largest_difference": float(apart.max()),
        "rank_correlation": _rank_correlation(ours, theirs),
        "furthest": [
            {
                "loan_id": scored[place].loan_id,
                "champion_probability": float(ours[place]),
                "challenger_probability": float(theirs[place]),
            }
            for place in furthest
        ],
    }


def _rank_correlation(ours: Any, theirs: Any) -> float | None:
    """Spearman's, ties sharing their ranks; None where one of the two says the same of all."""
    ranks = []
    for values in (ours, theirs):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[place])
    if any(np.ptp(one) == 0 for one in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])

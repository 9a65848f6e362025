"""Ratings of non-permanence: the answers of a questionnaire become the share of units that the buffer takes.

A rating never lowers the buffer below the programme's own share, and one that fails leaves nothing to issue.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.valuations import basis, own_asset, value_again
from services.sink.formulas.buffer import (
    loss_score,
    natural_risk_score,
    rating_failure,
    risk_rating,
    total_risk_score,
)
from services.sink.tables import Asset, Rating
from shared import audit, clock
from shared.errors import ConflictError, InvalidError
from shared.ids import uuid7
from shared.parameters import InForce


class RatedTwiceError(ConflictError):
    """A day's rating stands."""

    kind, title = "rated-before", "The asset was rated on this day already"


def rate_asset(
    session: Session,
    asset_id: UUID,
    actor: str,
    *,
    rated_on: date,
    internal: Mapping[str, Decimal],
    external: Mapping[str, Decimal],
    natural: Sequence[Mapping[str, Any]],
    evidence: str,
) -> Rating:
    """Enter a rating of an asset of the caller's register; the latest by its day decides what the buffer takes."""
    asset = own_asset(session, asset_id)
    if rated_on > clock.today():
        raise InvalidError("the rating lies in the future", errors=[{"pointer": "/rated_on", "detail": "future"}])
    perils = [one["peril"] for one in natural]
    if len(set(perils)) != len(perils):
        raise InvalidError("a peril is rated twice", errors=[{"pointer": "/natural", "detail": "a peril stands twice"}])
    latest = rating_in_force(session, asset)
    if session.scalar(select(Rating.id).where(Rating.asset_id == asset.id, Rating.rated_on == rated_on)):
        raise RatedTwiceError(f"there is a rating of {rated_on}; it stands as it was entered")
    p = PARAMETERS.at(clock.today())
    scores = (float(sum(internal.values())), float(sum(external.values())), _natural_score(natural, p))
    failed = rating_failure(*scores, p["nprt.category_caps"], p["nprt.rating"]["maximum"])
    share = float(risk_rating(total_risk_score(*scores), p["nprt.rating"]["minimum"])) / 100
    row = Rating(
        id=uuid7(),
        asset_id=asset.id,
        registrar=asset.registrar,
        rated_on=rated_on,
        answers={"internal": _text(internal), "external": _text(external), "natural": [_text(one) for one in natural]},
        evidence=evidence,
        **{
            f"{name}_points": Decimal(str(score)).quantize(Decimal("0.01"), ROUND_CEILING)
            for name, score in zip(("internal", "external", "natural"), scores, strict=True)
        },
        failed=failed,
        buffer_share=Decimal(1) if failed else Decimal(str(share)).quantize(Decimal("0.0001"), ROUND_CEILING),
        unverified_parameters=list(p.unverified),
        recorded_by=actor,
        recorded_at=clock.now(),
    )
    session.add(row)
    audit.record(session, "rate_asset", asset.id, rating=str(row.id), share=str(row.buffer_share), failed=failed)
    if latest is None or latest.rated_on < rated_on:
        asset.rated_share = row.buffer_share
        session.flush()
        value_again(session, asset, "rating", basis(session, asset.registrar))
    session.flush()
    return row


def rating_in_force(session: Session, asset: Asset) -> Rating | None:
    """The rating that decides what the buffer takes, if the asset was ever rated."""
    mine = select(Rating).where(Rating.asset_id == asset.id)
    return session.scalars(mine.order_by(Rating.rated_on.desc()).limit(1)).first()


def _natural_score(natural: Sequence[Mapping[str, Any]], p: InForce) -> float:
    return sum(
        float(
            natural_risk_score(
                loss_score(
                    float(one["loss_share"]),
                    float(one["return_period_years"]),
                    p["nprt.loss_bounds"],
                    p["nprt.period_bounds"],
                    p["nprt.loss_scores"],
                ),
                p["nprt.mitigation"][one["mitigation"]],
            )
        )
        for one in natural
    )


def _text(answers: Mapping[str, Any]) -> dict[str, str]:
    """Decimals as text, for the record."""
    return {key: format(value, "f") if isinstance(value, Decimal) else value for key, value in answers.items()}

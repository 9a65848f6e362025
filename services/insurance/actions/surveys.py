"""What an insurer found at a site: entered once, used by every quote, endorsement, renewal and repricing after it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from services.insurance.actions.pricing import MEASURED, NAMED
from services.insurance.tables import SiteSurvey
from shared import audit, clock
from shared.db import tenant
from shared.errors import InvalidError
from shared.ids import uuid7


def enter_survey(session: Session, given: Mapping[str, Any], who: str) -> SiteSurvey:
    """Keep what was found; the survey of the latest day is the one that counts."""
    if given["surveyed_on"] > clock.today():
        raise InvalidError("the day of the survey lies in the future")
    survey = SiteSurvey(
        id=uuid7(),
        institution=tenant(session),
        asset_id=given["asset_id"],
        surveyed_on=given["surveyed_on"],
        source=given["source"],
        traits={name: str(given[name]) for name in (*MEASURED, *NAMED) if given[name] is not None},
        covariates={name: str(value) for name, value in given["covariates"].items()},
        made_by=who,
        made_at=clock.now(),
    )
    session.add(survey)
    session.flush()
    audit.record(session, "enter_survey", survey.id, asset=str(survey.asset_id), traits=survey.traits)
    return survey

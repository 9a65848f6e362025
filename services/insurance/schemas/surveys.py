"""Surveys of sites: what is entered and how it is shown."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from services.insurance.schemas.prices import Covariates, SiteTraits
from shared.fields import Base, Moment, PageQuery, Text


class SurveyQuery(PageQuery):
    """Which surveys."""

    asset_id = fields.UUID(load_default=None)


class SurveyRequest(SiteTraits):
    """What was found at a site; what is not told moves no rate."""

    asset_id = fields.UUID(required=True)
    surveyed_on = fields.Date(required=True)
    source = Text(required=True, max_length=200)
    covariates = Covariates()

    @validates_schema(skip_on_field_errors=True)
    def refuse_nothing(self, data: dict[str, Any], **_: Any) -> None:
        """A survey that found nothing is none."""
        told = [name for name in SiteTraits().fields if data[name] is not None]
        if not told and not data["covariates"]:
            raise ValidationError("Give at least one thing that was found.")


class SurveyResponse(Base):
    """What was found at a site."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    surveyed_on = fields.Date(required=True)
    source = fields.String(required=True)
    traits = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    covariates = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    made_by = fields.String(required=True)
    made_at = Moment(required=True)

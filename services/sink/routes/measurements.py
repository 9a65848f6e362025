"""What plots say of forests: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import measurements
from services.sink.actions.measurements import Reproduction
from services.sink.actions.surveys import Survey
from services.sink.schemas.measurements import (
    MeasurementReproductionResponse,
    MeasurementRequest,
    MeasurementResponse,
    MeasurementSummary,
)
from services.sink.tables import Asset, Measurement
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("measurements", __name__, url_prefix="/v1", description="What plots say of forests")


@blp.command("POST", "/assets/<uuid:asset_id>/measurements", scope="sink:register")
@blp.arguments(MeasurementRequest())
@blp.response(201, MeasurementResponse())
def post_measurement(session: Session, body: dict[str, Any], asset_id: UUID) -> tuple[Measurement, dict[str, str]]:
    """Enter a survey of plots; the youngest is what the next valuation uses."""
    measurement = measurements.take_measurement(session, asset_id, Survey(**body))
    return measurement, {"Location": f"/v1/measurements/{measurement.id}"}


@blp.query("/assets/<uuid:asset_id>/measurements", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(MeasurementSummary(), "MeasurementPage"))
def get_measurements(session: Session, query: dict[str, Any], asset_id: UUID) -> dict[str, Any]:
    """List a forest's measurements, the last entered first."""
    found(session, Asset, asset_id)
    return page(session, select(Measurement).where(Measurement.asset_id == asset_id), Measurement.id, query)


@blp.query("/measurements/<uuid:measurement_id>", scope="sink:read")
@blp.response(200, MeasurementResponse())
def get_measurement(session: Session, measurement_id: UUID) -> Measurement:
    """Show a measurement with its plots, its figures and their hashes."""
    return found(session, Measurement, measurement_id)


@blp.command("POST", "/measurements/<uuid:measurement_id>/reproduction", scope="sink:read")
@blp.response(200, MeasurementReproductionResponse())
def post_measurement_reproduction(session: Session, measurement_id: UUID) -> Reproduction:
    """Derive a measurement again from its plots and compare the bytes."""
    return measurements.reproduce(found(session, Measurement, measurement_id))

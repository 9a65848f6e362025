"""Plantings and their adopters: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import plantings
from services.sink.actions.plantings import AdoptionFacts, PlantingFacts
from services.sink.schemas.plantings import (
    AdoptionQuery,
    AdoptionRequest,
    AdoptionResponse,
    PlantingQuery,
    PlantingRequest,
    PlantingResponse,
    SurvivalCountRequest,
)
from services.sink.tables import Adoption, Planting
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, page

blp = Blueprint("plantings", __name__, url_prefix="/v1", description="Trees planted for allowances, never for credits")


@blp.command("POST", "/plantings", scope="sink:register")
@blp.arguments(PlantingRequest())
@blp.response(201, PlantingResponse())
def post_planting(session: Session, body: dict[str, Any]) -> tuple[Planting, dict[str, str]]:
    """Enter a planting with the allowance its growth is forecast to bring."""
    planting = plantings.enter_planting(session, PlantingFacts(**body))
    return planting, {"Location": f"/v1/plantings/{planting.id}"}


@blp.query("/plantings", scope="sink:read")
@blp.arguments(PlantingQuery(), location="query")
@blp.response(200, page_of(PlantingResponse(), "PlantingPage"))
def get_plantings(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List plantings, newest first."""
    statement = select(Planting)
    if query["purpose"]:
        statement = statement.where(Planting.purpose == query["purpose"])
    if query["county"]:
        statement = statement.where(Planting.county == query["county"])
    return page(session, statement, Planting.id, query, purpose=query["purpose"], county=query["county"])


@blp.query("/plantings/<uuid:planting_id>", scope="sink:read")
@blp.response(200, PlantingResponse())
def get_planting(session: Session, planting_id: UUID) -> Planting:
    """Show a planting."""
    return found(session, Planting, planting_id)


@blp.command("POST", "/plantings/<uuid:planting_id>/survival-counts", scope="sink:register", if_match=True)
@blp.arguments(SurvivalCountRequest())
@blp.response(200, PlantingResponse())
def post_survival_count(session: Session, body: dict[str, Any], planting_id: UUID) -> Planting:
    """Enter a count of the survivors; from next year on the allowance follows it."""
    return plantings.count_survivors(session, planting_id, **body)


@blp.command("POST", "/plantings/<uuid:planting_id>/adoptions", scope="sink:register")
@blp.arguments(AdoptionRequest())
@blp.response(201, AdoptionResponse())
def post_adoption(session: Session, body: dict[str, Any], planting_id: UUID) -> tuple[Adoption, dict[str, str]]:
    """Give trees of a planting to an adopter, as its registrar."""
    adoption = plantings.adopt(session, planting_id, AdoptionFacts(**body))
    return adoption, {"Location": f"/v1/adoptions/{adoption.id}"}


@blp.query("/adoptions", scope="sink:read")
@blp.arguments(AdoptionQuery(), location="query")
@blp.response(200, page_of(AdoptionResponse(), "AdoptionPage"))
def get_adoptions(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the adoptions that the caller holds or gave, newest first."""
    statement = select(Adoption)
    if query["planting_id"]:
        statement = statement.where(Adoption.planting_id == query["planting_id"])
    return page(session, statement, Adoption.id, query, planting_id=query["planting_id"])


@blp.query("/adoptions/<uuid:adoption_id>", scope="sink:read")
@blp.response(200, AdoptionResponse())
def get_adoption(session: Session, adoption_id: UUID) -> Adoption:
    """Show an adoption."""
    return found(session, Adoption, adoption_id)

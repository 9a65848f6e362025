"""Forests in the register: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import assets
from services.sink.actions.assets import AssetFacts
from services.sink.schemas.assets import AssetQuery, AssetRequest, AssetResponse
from services.sink.tables import Asset
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, page

blp = Blueprint("assets", __name__, url_prefix="/v1", description="The register of forests")


@blp.command("POST", "/assets", scope="sink:register")
@blp.arguments(AssetRequest())
@blp.response(201, AssetResponse())
def post_asset(session: Session, body: dict[str, Any]) -> tuple[Asset, dict[str, str]]:
    """Register a forest."""
    asset = assets.register_asset(session, AssetFacts(**body))
    return asset, {"Location": f"/v1/assets/{asset.id}"}


@blp.query("/assets", scope="sink:read")
@blp.arguments(AssetQuery(), location="query")
@blp.response(200, page_of(AssetResponse(), "AssetPage"))
def get_assets(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the register, newest first."""
    statement = select(Asset)
    if query["county"]:
        statement = statement.where(Asset.county == query["county"])
    if query["kind"]:
        statement = statement.where(Asset.kind == query["kind"])
    return page(session, statement, Asset.id, query, county=query["county"], kind=query["kind"])


@blp.query("/assets/<uuid:asset_id>", scope="sink:read")
@blp.response(200, AssetResponse())
def get_asset(session: Session, asset_id: UUID) -> Asset:
    """Show a forest and the balance of its units."""
    return found(session, Asset, asset_id)

"""Limits and what is left of them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.schemas.headroom import BUCKETS, BucketQuery
from services.guarantee.tables import Bucket
from shared.web import Blueprint, page

blp = Blueprint("headroom", __name__, url_prefix="/v1", description="Limits and what is left of them")


@blp.query("/headroom", scope="guarantee:read")
@blp.arguments(BucketQuery(), location="query")
@blp.response(200, BUCKETS)
def get_headroom(session: Session, query: dict[str, Any]) -> object:
    """Show every limit with what is taken, held and left."""
    statement = select(Bucket)
    if query["kind"] is not None:
        statement = statement.where(Bucket.kind == query["kind"])
    if query["key"] is not None:
        statement = statement.where(Bucket.key == query["key"])
    if query["over_limit"] is not None:
        over = Bucket.cap_effective > Bucket.cap_legal
        statement = statement.where(over if query["over_limit"] else ~over)
    chosen = [query[name] for name in ("kind", "key", "over_limit")]
    return page(session, statement, Bucket.id, query, chosen=chosen)

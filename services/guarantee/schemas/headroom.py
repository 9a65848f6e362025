"""Limits and what is left of them."""

from marshmallow import fields, validate

from services.guarantee.schemas.common import Fen
from shared.fields import Base, PageQuery, Text, page_of

KINDS = ("headroom", "obligor", "county", "province", "national", "pool")


class BucketResponse(Base):
    """One limit: what it allows, what is taken, what is left."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": list(KINDS)})
    key = fields.String(required=True)
    cap = Fen(required=True, attribute="cap_legal")
    cap_effective = Fen(required=True)
    posted = Fen(required=True)
    pending = Fen(required=True)
    room = Fen(required=True)
    over_limit = fields.Boolean(required=True)


class BucketQuery(PageQuery):
    """Which buckets."""

    kind = fields.String(validate=validate.OneOf(KINDS), load_default=None)
    key = Text(max_length=128, load_default=None)
    over_limit = fields.Boolean(load_default=None, truthy={"true"}, falsy={"false"})


BUCKETS = page_of(BucketResponse(), "BucketPage")

"""Prices of room."""

from decimal import Decimal

from marshmallow import fields

from services.guarantee.schemas.common import Fen
from shared.fields import Base, Flag, Moment, Quantity, page_of


class BidPricesRequest(Base):
    """By what requests are weighed from a day on; no allocation means by nothing."""

    allocation_id = fields.UUID(required=True, allow_none=True)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(load_default=None, allow_none=True)
    scale = Quantity(places=8, minimum="0.00000001", maximum="1", load_default=Decimal("0.97"))
    spare_small = Flag(load_default=True)


class PriceOfLimit(Base):
    """What a fen of use of a limit is worth to others; of a loss rate, a fen times a basis point."""

    kind = fields.String(required=True)
    key = fields.String(required=True)
    price = fields.String(required=True)
    cap_pd_bp = fields.Integer()


class BidPricesResponse(Base):
    """Prices that were set."""

    id = fields.UUID(required=True)
    allocation_id = fields.UUID(required=True, allow_none=True)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True, allow_none=True)
    scale = Quantity(places=8, required=True)
    spare_small = fields.Boolean(required=True)
    objective = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    prices = fields.List(fields.Nested(PriceOfLimit()), required=True)
    set_by = fields.String(required=True)
    set_at = Moment(required=True)


class ShadowPrice(Base):
    """A limit's price beside what is left of it; null where the limit is not watched loan by loan."""

    kind = fields.String(required=True)
    key = fields.String(required=True)
    price = Quantity(places=12, required=True)
    weighed = fields.Boolean(required=True, metadata={"description": "Whether requests are weighed by it today"})
    cap = Fen(required=True, allow_none=True)
    room = Fen(required=True, allow_none=True)
    room_worth = Fen(required=True, allow_none=True)


class ShadowPriceList(Base):
    """The dearest first."""

    items = fields.List(fields.Nested(ShadowPrice()), required=True)


BID_PRICES = page_of(BidPricesResponse(), "BidPricesPage")

"""Tables of the guarantee database, by noun."""

from services.guarantee.tables.allocations import Allocation
from services.guarantee.tables.base import Base
from services.guarantee.tables.bid_prices import BidPrices
from services.guarantee.tables.calls import Call, JournalRow, Recovery
from services.guarantee.tables.capacity import LIVE, Bucket, Reservation
from services.guarantee.tables.guarantees import Guarantee
from services.guarantee.tables.profiles import County, Profile

__all__ = [
    "LIVE",
    "Allocation",
    "Base",
    "BidPrices",
    "Bucket",
    "Call",
    "County",
    "Guarantee",
    "JournalRow",
    "Profile",
    "Recovery",
    "Reservation",
]

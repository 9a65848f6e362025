"""One loan at a time: take it if it is worth more than the room it takes, at the prices of a queue that was placed.

Off until a guarantor sets prices from a day on. A loan that policy says must be served, and one for which an accepted
allocation holds room, is never refused by price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.allocation.queue_file import WHOLE_BP, read_queue
from services.guarantee.formulas.bid_price import Limit, placing_value, price_of_use, worth_its_room
from services.guarantee.tables import Allocation, BidPrices, Bucket
from shared import audit, clock
from shared.db import found, tenant
from shared.errors import ConflictError, InvalidError, StateError
from shared.ids import uuid7

#: Kinds of limits that a request tells enough of. The others, sector and group, cost it nothing.
KINDS = ("headroom", "county", "obligor", "province", "national", "bank", "pool", "loss_rate")
_SHARED = ("province", "national", "bank", "pool")


@dataclass(frozen=True)
class Asked:
    """A loan as far as prices go, in fen: `parts` is who bears what, `liability` the weighted primary part."""

    amount: int
    carbon: int
    default_probability: float
    loss_given_default: float
    liability: int
    parts: Mapping[str, int]
    obligor: str
    county: str
    bank: str


@dataclass(frozen=True)
class Bid:
    """What a loan is worth, what its room is worth to others, and what of that each limit makes up. [fen]"""

    value: float
    price: float
    by_limit: Mapping[Limit, float]

    @property
    def taken(self) -> bool:
        """Whether the loan is worth more than its room."""
        return worth_its_room(self.value, self.price)

    @property
    def dearest(self) -> Limit:
        """The limit that makes up most of the price."""
        return max(self.by_limit, key=lambda limit: self.by_limit[limit])

    def record(self, by: BidPrices) -> dict[str, Any]:
        """What is kept with the decision."""
        return {
            "bid_prices_id": str(by.id),
            "value": round(self.value),
            "price": round(self.price),
            "limits": [
                {"kind": kind, "key": key, "worth": round(worth)}
                for (kind, key), worth in sorted(self.by_limit.items())
                if worth
            ],
        }


def bid(by: BidPrices, asked: Asked) -> Bid:
    """Weigh a loan (G67)-(G69)."""
    k = {name: float(value) for name, value in by.objective.items()}
    value = placing_value(
        asked.amount, asked.carbon, asked.default_probability, asked.loss_given_default,
        asked.parts["primary"] / asked.amount, k["amount"], k["carbon"], k["el"],
    )  # fmt: skip
    uses = {
        ("headroom", ""): asked.liability,
        ("county", asked.county): asked.liability,
        ("obligor", asked.obligor): asked.liability,
        ("province", ""): asked.parts["province"],
        ("national", ""): asked.parts["national"],
        ("bank", asked.bank): asked.parts["bank"],
        ("pool", asked.county): asked.parts["pool"],
    }
    prices: dict[Limit, float] = {}
    for one in by.prices:
        limit = one["kind"], one["key"]
        if one["kind"] == "loss_rate":
            above = asked.default_probability * WHOLE_BP - one["cap_pd_bp"]
            uses[limit] = round(above * asked.liability)
        prices[limit] = float(by.price(one))
    by_limit = {limit: prices[limit] * uses[limit] for limit in uses.keys() & prices.keys()}
    return Bid(value, price_of_use(uses, prices), by_limit)


def in_force(session: Session, on: date) -> BidPrices | None:
    """What was set last of what has begun and not ended on a day; None if that is to use no prices."""
    last = session.scalars(
        select(BidPrices)
        .where(
            BidPrices.institution == tenant(session),
            BidPrices.starts_on <= on,
            BidPrices.ends_on.is_(None) | (BidPrices.ends_on >= on),
        )
        .order_by(BidPrices.id.desc())
        .limit(1)
    ).first()
    return last if last is not None and last.on else None


def set_prices(session: Session, terms: Mapping[str, Any], officer: str) -> BidPrices:
    """Weigh requests by the prices of an allocation from a day on, or by none."""
    if terms["ends_on"] is not None and terms["ends_on"] < terms["starts_on"]:
        raise InvalidError("the prices end before they start", errors=[{"pointer": "/ends_on", "detail": "is before"}])
    objective: dict[str, str] = {}
    prices: list[dict[str, Any]] = []
    if terms["allocation_id"] is not None:
        objective, prices = priced(found(session, Allocation, terms["allocation_id"]))
        if not prices:
            raise ConflictError("no limit had a price in this allocation, so no request could be refused by one")
    made = BidPrices(
        id=uuid7(),
        institution=tenant(session),
        allocation_id=terms["allocation_id"],
        starts_on=terms["starts_on"],
        ends_on=terms["ends_on"],
        scale=terms["scale"],
        spare_small=terms["spare_small"],
        objective=objective,
        prices=prices,
        set_by=officer,
        set_at=clock.now(),
    )
    session.add(made)
    audit.record(
        session,
        "set_bid_prices",
        made.id,
        allocation=str(made.allocation_id),
        starts_on=made.starts_on.isoformat(),
        scale=str(made.scale),
    )
    return made


def priced(made: Allocation) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The objective of an allocation, and the limits of the current institution, and of all, that have a price."""
    if made.certificate is None:
        raise StateError("the queue is not placed yet; its job tells how far it has come")
    queue = read_queue(made.queue)
    if made.institution not in {one.id for one in queue.guarantors}:
        raise ConflictError(f"the queue has no guarantor whose id is {made.institution}")
    cut_offs = {one.id: one.cap_pd_bp for one in queue.buckets}
    prices = []
    for one in made.certificate["binding"]:
        kind, keys = one["kind"], list(one["keys"])
        if kind not in _SHARED and keys.pop(0) != made.institution:
            continue
        row = {"kind": kind, "key": keys[0] if keys else "", "price": str(Decimal(repr(one["price"])))}
        prices.append(row | ({"cap_pd_bp": cut_offs[one["bucket"]]} if kind == "loss_rate" else {}))
    k = queue.objective
    return {name: str(float(getattr(k, name))) for name in ("amount", "carbon", "el")}, prices


def shadow_prices(session: Session) -> list[dict[str, Any]]:
    """The prices in force beside what is left of each limit; those of the queue placed last while none are in force."""
    rows, scale, weighed = _published(session)
    buckets = {
        (one.kind, one.key): one
        for one in session.scalars(
            select(Bucket).where(Bucket.institution == tenant(session), Bucket.kind != "obligor")
        )
    }
    shown = []
    for one in rows:
        bucket, price = buckets.get((one["kind"], one["key"])), Decimal(str(one["price"])) * scale
        shown.append(
            {
                "kind": one["kind"], "key": one["key"], "price": price, "weighed": weighed and one["kind"] in KINDS,
                "cap": bucket and bucket.cap_legal, "room": bucket and bucket.room,
                "room_worth": None if bucket is None else round(bucket.room * price),
            }
        )  # fmt: skip
    return sorted(shown, key=lambda one: (-(one["room_worth"] or 0), one["kind"], one["key"]))


def _published(session: Session) -> tuple[list[dict[str, Any]], Decimal, bool]:
    now = in_force(session, clock.today())
    if now is not None:
        return now.prices, now.scale, True
    last = session.scalars(
        select(Allocation)
        .where(Allocation.institution == tenant(session), Allocation.finished_at.is_not(None))
        .order_by(Allocation.id.desc())
        .limit(1)
    ).first()
    try:
        return ([] if last is None else priced(last)[1]), Decimal(1), False
    except ConflictError:
        return [], Decimal(1), False

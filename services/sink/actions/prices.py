"""Price curves: proposed by one person, approved by another, then the whole register is valued anew."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.tables import Asset, PriceCurve
from shared import approvals, audit, clock, jobs, money
from shared.db import found, locked, tenant
from shared.errors import NotFoundError, StateError
from shared.ids import uuid7
from shared.parameters import InForce

#: The curve's name where nobody approved one: prices then come from the parameters.
DEFAULT = "default"
_FIELDS = ("name", "spot_price", "long_run_price", "reversion", "volatility", "drift", "source")


@dataclass(frozen=True)
class Market:
    """What a valuation takes for the market; decimals as text, as it stands in the valuation's inputs."""

    name: str
    spot_price: str
    long_run_price: str
    reversion: str
    volatility: str
    drift: str

    def as_json(self) -> dict[str, str]:
        """The market as JSON data."""
        return asdict(self)


def propose_curve(session: Session, facts: Mapping[str, Any], maker: str) -> PriceCurve:
    """Enter a price curve that waits for a second person."""
    curve = PriceCurve(
        id=uuid7(),
        registrar=tenant(session),
        **{field: facts[field] for field in _FIELDS},
        state="proposed",
        payload_hash="",
        proposed_by=maker,
        decided_by=None,
        proposed_at=clock.now(),
        approved_at=None,
        job_id=None,
    )
    days = PARAMETERS.at(clock.today())["price_curve.approval_days"]
    payload = {"curve": str(curve.id), **{field: str(facts[field]) for field in _FIELDS}}
    asked = approvals.ask(session, "price_curve", curve.id, payload, maker, clock.now() + timedelta(days=days))
    curve.payload_hash = asked.payload_hash
    session.add(curve)
    audit.record(session, "propose_price_curve", curve.id, payload_hash=asked.payload_hash)
    session.flush()
    return curve


def decide_curve(session: Session, curve_id: UUID, seen_hash: str, checker: str, approve: bool) -> PriceCurve:
    """Approve or reject a proposed curve as another person; approval starts the revaluation of the register."""
    if found(session, PriceCurve, curve_id).registrar != tenant(session):
        raise NotFoundError(f"no pricecurve has the id {curve_id}")
    curve = locked(session, PriceCurve, curve_id)
    if curve.state != "proposed":
        raise StateError(f"the curve is {curve.state}")
    approvals.decide(session, "price_curve", curve.id, seen_hash, checker, approve)
    curve.decided_by = checker
    curve.state = "approved" if approve else "rejected"
    if approve:
        curve.approved_at = clock.now()
        total = session.scalar(select(func.count()).where(Asset.registrar == curve.registrar)) or 0
        curve.job_id = jobs.start(session, "revalue", total, curve=str(curve.id)).id
    session.flush()
    return curve


def curve_in_force(session: Session, registrar: str) -> PriceCurve | None:
    """The curve that a registrar's second person approved last."""
    return session.scalars(
        select(PriceCurve)
        .where(PriceCurve.registrar == registrar, PriceCurve.state == "approved")
        .order_by(PriceCurve.approved_at.desc(), PriceCurve.id.desc())
        .limit(1)
    ).first()


def market(session: Session, registrar: str, p: InForce) -> tuple[Market, tuple[str, ...]]:
    """The market in force for a registrar, and the parameters it rests on (none, once a curve was approved)."""
    return market_of(curve_in_force(session, registrar), p)


def market_of(curve: PriceCurve | None, p: InForce) -> tuple[Market, tuple[str, ...]]:
    """The market of a curve and the parameters it rests on: none, but all of them where there is no curve."""
    if curve is None:
        names = ("price.level", "price.long_run", "price.reversion", "price.sigma", "price.drift")
        level, long_run, reversion, sigma, drift = (str(p[name]) for name in names)
        level, long_run = str(money.yuan(Decimal(level))), str(money.yuan(Decimal(long_run)))
        return Market(DEFAULT, level, long_run, reversion, sigma, drift), names
    exact = (curve.reversion, curve.volatility, curve.drift)
    reversion, sigma, drift = (format(value.normalize(), "f") for value in exact)
    return Market(curve.name, str(curve.spot_price), str(curve.long_run_price), reversion, sigma, drift), ()

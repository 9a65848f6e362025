"""From an observation to its payment without an adjuster: every observation is kept, each fen of an index paid once.

An index is computed anew from the last revision of each observation of the cover's time, and what it owes less what
was paid is paid. So the same observation twice, a revision that comes late, or two of them out of their order end the
same; a revision downwards takes no money back, and what was paid too much stands in its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import payments
from services.insurance.actions.pricing import Steps
from services.insurance.formulas.index_years import damaged_shares
from services.insurance.formulas.payout import (
    aggregate_event,
    area_index_payout,
    cumulative_loss,
    shortfall_payout,
    tier_payout,
    top_up,
)
from services.insurance.tables import (
    Claim,
    IndexCover,
    IndexObservation,
    IndexTrigger,
    Policy,
    index_covers_on,
    latest_valuations,
    lock_assets,
)
from shared import audit, clock, money, outbox
from shared.db import locked, tenant
from shared.errors import ConflictError, InvalidError, StateError
from shared.events.insurance import IndexTriggered
from shared.events.sink import ReversalReported
from shared.ids import uuid7

#: The source of what the register itself tells; nobody else delivers in its name.
REGISTER = "register"


@dataclass(frozen=True)
class Reading:
    """Where an index stands, what it must reach, and what it owes in all. [-, tCO2e; fen]"""

    index: float
    threshold: float
    crossed: bool
    owed: int


def observe_reversal(session: Session, event: ReversalReported) -> None:
    """Take what the register tells of a damage as an observation, for the covers that settle on the register."""
    valuation = latest_valuations(session, [event.asset_id]).get(event.asset_id)
    readings = {"annual_aggregate": event.live_carbon_lost}
    if valuation is not None and valuation.area_ha > 0:
        readings["area_index"] = min(event.damaged_ha / valuation.area_ha, Decimal(1))
    for kind, reading in readings.items():
        if any(cover.covers(event.occurred_on) for cover in index_covers_on(session, event.asset_id, kind, REGISTER)):
            given = {"asset_id": event.asset_id, "kind": kind, "source": REGISTER, "name": str(event.reversal_id),
                     "revision": 1, "observed_on": event.occurred_on, "reading": reading}  # fmt: skip
            if _known(session, given) is None:
                _take(session, given, REGISTER)


def observe(session: Session, given: Mapping[str, Any], who: str) -> IndexObservation:
    """Keep an observation and pay what it sets off; delivered again, it is the one that is known already.

    Raises InvalidError for a reading that cannot be, StateError where no cover stands, ConflictError for another number
    under the same revision.
    """
    if given["observed_on"] > clock.today():
        raise InvalidError("the day of the observation lies in the future")
    if given["kind"] == "area_index" and given["reading"] > 1:
        raise InvalidError("a cover of the kind area_index reads a share from 0 to 1")
    if given["source"] == REGISTER:
        raise InvalidError("a cover of the kind that settles on the register hears of it by itself")
    lock_assets(session, [given["asset_id"]])
    known = _known(session, given)
    if known is not None:
        if (known.observed_on, known.reading) != (given["observed_on"], given["reading"]):
            raise ConflictError(
                f"revision {known.revision} of {known.name} is known as {known.reading} of {known.observed_on};"
                " another number is another revision"
            )
        return known
    return _take(session, given, who)


def _known(session: Session, given: Mapping[str, Any]) -> IndexObservation | None:
    names = ("asset_id", "kind", "source", "name", "revision")
    return session.scalars(
        select(IndexObservation).where(*(getattr(IndexObservation, name) == given[name] for name in names))
    ).one_or_none()


def _take(session: Session, given: Mapping[str, Any], who: str) -> IndexObservation:
    """Keep an observation that is new, and say for each cover what it means; the forest is locked."""
    covers = index_covers_on(session, given["asset_id"], given["kind"], given["source"])
    concerned = [cover for cover in covers if _concerns(session, cover, given)]
    if not concerned:
        raise StateError(
            f"当日该林地无以此数据源结算的指数保险。No index cover of the kind {given['kind']} that settles on"
            f" {given['source']} stood on this forest on {given['observed_on']}."
        )
    one = IndexObservation(
        id=uuid7(), institution=tenant(session), **given, arrived_at=clock.now(), arrived_by=who, triggers=[]
    )
    session.add(one)
    session.flush()
    audit.record(
        session, "observe_index", one.id, asset=str(one.asset_id), kind=one.kind, observation=one.name,
        revision=one.revision, reading=str(one.reading),
    )  # fmt: skip
    for cover in concerned:
        one.triggers.append(_trigger(session, cover, one))
    session.flush()
    return one


def _concerns(session: Session, cover: IndexCover, given: Mapping[str, Any]) -> bool:
    """Whether an observation is of the cover's time, or revises one that was."""
    policy = session.get_one(Policy, cover.policy_id)
    if cover.covers(given["observed_on"]) and policy.covers(given["observed_on"]):
        return True
    return any(row.name == given["name"] for row in _observations(session, cover))


def _observations(session: Session, cover: IndexCover) -> list[IndexObservation]:
    """What was delivered of the cover's time by its source, oldest revision first; the last one says of which day."""
    query = select(IndexObservation).where(
        IndexObservation.asset_id == cover.asset_id,
        IndexObservation.kind == cover.kind,
        IndexObservation.source == cover.terms["source"],
    )
    rows = session.scalars(query.order_by(IndexObservation.revision, IndexObservation.id)).all()
    last = {row.name: row for row in rows}
    return [row for row in rows if cover.covers(last[row.name].observed_on)]


def _trigger(session: Session, cover: IndexCover, one: IndexObservation) -> IndexTrigger:
    """What an observation means for one cover; a claim is paid at once where the index owes more than was paid."""
    policy = locked(session, Policy, cover.policy_id)
    steps = Steps()
    found = read(cover, _observations(session, cover), steps)
    late = clock.today() > cover.ends_on + timedelta(days=cover.terms["observation_days"])
    before = money.fen(cover.paid)
    due = 0 if late else top_up(found.owed, before)
    steps.note("(I62)", "top_up", money.from_fen(due), of=cover.kind, owed=money.from_fen(found.owed),
               paid_before=cover.paid, arrived_too_late=late)  # fmt: skip
    claim = _pay(session, cover, policy, one, money.from_fen(due), steps) if due else None
    if late:
        outcome = "late"
    elif due:
        outcome = "paid"
    elif found.owed < before:
        outcome = "overpaid"
    else:
        outcome = "paid_before" if found.crossed else "below"
    index, threshold = (Decimal(f"{value:.8f}") for value in (found.index, found.threshold))
    trigger = IndexTrigger(
        id=uuid7(),
        institution=cover.institution,
        index_cover_id=cover.id,
        observation_id=one.id,
        index=index,
        threshold=threshold,
        outcome=outcome,
        owed=money.from_fen(found.owed),
        paid_before=money.from_fen(before),
        paid=money.from_fen(due),
        claim_id=claim and claim.id,
        explanation=steps.rows,
        made_at=clock.now(),
    )
    audit.record(
        session, "trigger_index", cover.id, observation=str(one.id), outcome=outcome, index=str(index),
        threshold=str(threshold), paid=str(trigger.paid),
    )  # fmt: skip
    if claim is not None:
        outbox.put(
            session,
            IndexTriggered(
                loan_id=cover.loan_id,
                bank=cover.bank,
                insurer=cover.institution,
                policy_id=cover.policy_id,
                index=cover.kind,
                observed=index,
                threshold=threshold,
            ),
        )
    return trigger


def read(cover: IndexCover, observations: Sequence[IndexObservation], steps: Steps) -> Reading:
    """Where a cover's index stands after these observations."""
    limit, terms = money.fen(cover.most), cover.terms
    last = {row.name: row for row in observations}
    if cover.kind == "annual_aggregate":
        rows = [(row.name, row.revision, float(row.reading)) for row in observations]
        index = cumulative_loss(rows)
        tiers = [(float(at), round(limit * paid)) for at, paid in terms["tiers"]]
        threshold = min(at for at, _ in tiers)
        crossed, owed = aggregate_event(index, threshold), tier_payout(index, tiers)
        steps.note("(I59)", "cumulative_loss", index, of=cover.kind, observations=len(last))
        steps.note("(I60)", "aggregate_event", crossed, of=cover.kind, threshold=threshold)
        steps.note("(I61)", "tier_payout", money.from_fen(owed), of=cover.kind, tiers=tiers)
    elif cover.kind == "area_index":
        shares = np.array([float(row.reading) for row in last.values()])
        index = float(damaged_shares(shares, np.zeros(len(shares), dtype=np.int64), 1)[0])
        table = [(float(at), float(paid)) for at, paid in terms["steps"]]
        threshold, owed = table[0][0], area_index_payout(index, limit, table)
        crossed = index >= threshold
        steps.note("(I135)", "damaged_shares", index, of=cover.kind, observations=len(last))
        steps.note("(I58)", "area_index_payout", money.from_fen(owed), of=cover.kind, limit=cover.most, steps=table)
    else:
        threshold = float(terms["target_t"])
        seen = max(last.values(), key=lambda row: (row.observed_on, row.name), default=None)
        index = threshold if seen is None else float(seen.reading)
        owed = shortfall_payout(threshold, index, terms["price"], limit)
        crossed = index < threshold
        steps.note("(I56)", "shortfall_payout", money.from_fen(owed), of=cover.kind, target_t=threshold,
                   actual_t=index, observed_on=seen and seen.observed_on,
                   price=terms["price"], limit=cover.most)  # fmt: skip
    return Reading(index, threshold, crossed, min(owed, limit))


def _pay(
    session: Session, cover: IndexCover, policy: Policy, one: IndexObservation, due: Decimal, steps: Steps
) -> Claim:
    """Open a claim for what an index owes and pay it in the same breath, in the policy's order of payees."""
    claim = Claim(
        id=uuid7(),
        institution=cover.institution,
        policy_id=cover.policy_id,
        loan_id=cover.loan_id,
        bank=cover.bank,
        asset_id=cover.asset_id,
        origin="index",
        reversal_id=one.id,
        peril="index",
        occurred_on=one.observed_on,
        state="open",
        # Nobody assesses a loss: what the index owes stands for it.
        loss=due,
        payable=due,
        reserve=due,
        recovered=Decimal("0.00"),
        explanation=list(steps.rows),
        reasons=[],
        flags=[],
        rejected=False,
        opened_at=clock.now(),
    )
    session.add(claim)
    session.flush()
    cover.paid += due
    payments.settle(session, claim, policy)
    return claim

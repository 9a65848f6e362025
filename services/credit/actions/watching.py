"""Covenants on living collateral: tested on every valuation, payment and lapse; called, cured, or left to default.

One loan or a hundred thousand, a test goes the same way: lock, read, compute as columns, write. Each leaves a row in
covenant_tests.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from services.credit.actions import classes, covenants, reasons
from services.credit.actions.covenants import NEVER, Block, Findings, Forests
from services.credit.actions.policy import CLASSES, COVENANTS, policy
from services.credit.actions.states import may_follow
from services.credit.formulas.covenants import weakest_covers
from services.credit.formulas.staging import FIVE_CLASSES, bucket, five_class
from services.credit.tables import (
    CovenantTest,
    Loan,
    LoanClass,
    LoanHistory,
    Valuation,
    agreed_principal,
    contracts_of,
    debt_service_of,
    live_loans_on,
    lock_live,
    next_due,
    pledges_of,
    valuations_of,
)
from shared import audit, bulk, clock, money, outbox, timers, watchers
from shared.db import acting_for, table_of, tenant
from shared.events.base import Event
from shared.events.credit import MarginCalled, MarginCured
from shared.events.parts import Reason
from shared.ids import uuid7
from shared.inbox import Incoming

#: Loans that are tested together; what is held in memory at once is that many rows.
BLOCK = 10_000


def watch_assets(session: Session, valued: Mapping[UUID, Incoming]) -> None:
    """Test the covenants of every bank's live loans on assets that were valued anew, each on account of its event."""
    for bank, assets in watchers.banks(session, valued).items():
        with acting_for(session, bank):
            retest_all(session, live_loans_on(session, assets), "valuation", valued)


def watch_clock(session: Session, loan_id: UUID) -> None:
    """Test the covenants of a loan because a valuation or the policy may have run out by itself."""
    retest_all(session, [loan_id], "clock")


def retest(session: Session, loan: Loan, cause: str) -> None:
    """Test the covenants of a locked loan that may just have changed."""
    session.flush()
    retest_all(session, [loan.id], cause)
    session.refresh(loan)


def retest_all(
    session: Session, loan_ids: Sequence[UUID], cause: str, came: Mapping[UUID, Incoming] | None = None
) -> None:
    """Test the covenants of this bank's loans, those of them that are live: call the margin on a breach, or end the
    call when it is cured. `came` names, by forest, the event on whose account each is tested.
    """
    ordered = sorted(loan_ids)
    for start in range(0, len(ordered), BLOCK):
        _retest(session, ordered[start : start + BLOCK], cause, came or {})


def class_defaulted(session: Session, loan: Loan, ground: str) -> None:
    """Class a locked loan that is in default: its loss is expected over its life, at the floor of a loan impaired."""
    today, rules = clock.today(), policy(clock.today(), CLASSES)
    late = days_past_due(loan, today)
    floor = FIVE_CLASSES.index(rules["five_class_floors"]["credit_impaired"])
    five = FIVE_CLASSES[max(floor, FIVE_CLASSES.index(five_class(late, rules["five_class_days"])))]
    owed, loss = loan.balance + loan.interest_due, loan.loss_given_default
    entry = LoanClass(
        loan_id=loan.id,
        id=uuid7(),
        institution=loan.institution,
        at=clock.now(),
        actor=session.info.get("actor", "system"),
        days_past_due=late,
        bucket=bucket(late, rules["arrears_buckets"]),
        stage=3,
        five_class=five,
        grounds=[ground],
        exposure=owed,
        origin_probability=loan.origin_probability,
        default_probability=Decimal(1),
        loss_given_default=loss,
        expected_loss=None if loss is None else classes.expected_loss(3, 1.0, float(loss), 0.0, owed, (), today),
        coefficients=rules.digest_of(CLASSES),
    )
    session.add(entry)
    told = {"stage": 3, "five_class": five, "bucket": entry.bucket}
    audit.record(session, "class_loan", loan.id, before=loan.stage, **told)
    loan.stage, loan.five_class, loan.bucket = 3, five, entry.bucket


def days_past_due(loan: Loan, on: date) -> int:
    """Days since the first instalment that has not come in whole. [d]"""
    due = loan.next_due_on or loan.matures_on
    return 0 if due is None else max(0, (on - due).days)


def contract(loan: Loan) -> dict[str, Any]:
    """The covenant levels that the borrower signed."""
    assert loan.offer is not None
    agreed = loan.offer["covenants"]
    return {
        "quantile": agreed["quantile"],
        "margin": float(agreed["margin_call_loan_to_value"]),
        "cure": float(agreed["cure_loan_to_value"]),
        "days": agreed["cure_days"],
    }


def read(session: Session, loan_ids: Sequence[UUID]) -> tuple[Block, Forests, dict[UUID, Valuation]]:
    """Loans as columns, with the valuations of what is pledged for them."""
    loans, pledges = contracts_of(session, loan_ids), pledges_of(session, loan_ids)
    valuations = valuations_of(session, {row.asset_id for row in pledges})
    known = covenants.forests(policy(clock.today(), COVENANTS), valuations)
    return covenants.block(loans, pledges, known), known, valuations


def debt_service_covers(session: Session, block: Block, known: Forests, on: date) -> tuple[Any, Any]:
    """Weakest cover of debt service of each loan over its issuance years, and which year that is."""
    years = covenants.issuance_years(block, known, on)
    due = debt_service_of(session, [block.ids[place] for place in np.unique(years.owner)]) if len(years.owner) else {}
    service = np.array(
        [
            due.get((block.ids[place], year), np.nan)
            for place, year in zip(years.owner.tolist(), years.year.tolist(), strict=True)
        ],
        dtype=np.float64,
    )
    return weakest_covers(years.income, service, years.owner, years.year, len(block))


def _retest(session: Session, loan_ids: Sequence[UUID], cause: str, came: Mapping[UUID, Incoming]) -> None:
    # What the legs tell is written under the lock of the loan, so it is read after that is had.
    live = lock_live(session, loan_ids)
    if not live:
        return
    block, known, valuations = read(session, live)
    today = clock.today()
    found = covenants.examine(block, known, today)
    service = debt_service_covers(session, block, known, today)
    # A valuation changes nothing of what is due; everything else may.
    due = {} if cause == "valuation" else next_due(session, live)
    _Test(session, cause, block, known, valuations, found, service, due).write(came)


class _Test:
    """A block that was tested, on its way into the database."""

    def __init__(
        self,
        session: Session,
        cause: str,
        block: Block,
        known: Forests,
        valuations: Mapping[UUID, Valuation],
        found: Findings,
        service: tuple[Any, Any],
        due: Mapping[UUID, date],
    ) -> None:
        self.session, self.cause, self.block, self.found = session, cause, block, found
        self.known, self.valuations = known, valuations
        self.covers, self.weakest = service
        self.rules = policy(clock.today(), COVENANTS)
        self.now, self.bank = clock.now(), tenant(session)
        self.due = due
        self.short = self.covers < self.rules["minimum_debt_service_cover"]
        self.classing = policy(clock.today(), CLASSES)
        self.days = [due.get(row.id) or row.next_due_on or row.matures_on for row in block.loans]
        days = np.array([one.toordinal() for one in self.days], dtype=np.int64)
        self.classes = classes.classify(self.classing, block, known, found, self.short, days, clock.today())
        # A ratio that is unknown has cured nothing, whatever else holds.
        self.cured = block.called & ~found.broken & ~np.isnan(found.ratio)
        self.breached = ~block.called & found.broken
        self.ratios = [None if one != one else Decimal(f"{one:.8f}") for one in found.ratio.tolist()]
        self.shortfalls = [_yuan(one) for one in found.shortfall.tolist()]
        self.pledges: dict[int, list[int]] = {}
        for number, owner in enumerate(block.owner.tolist()):
            self.pledges.setdefault(owner, []).append(number)
        self.why = {place: self._reasons(place) for place in np.flatnonzero(found.broken).tolist()}

    def write(self, came: Mapping[UUID, Incoming]) -> None:
        """Write the loans, the tests and what follows from them."""
        changed = np.flatnonzero(self.breached | self.cured).tolist()
        self._write_loans(set(changed))
        self._write_tests()
        self._set_freshness()
        self._write_classes(came)
        causes: dict[Incoming | None, list[int]] = {}
        for place in changed:
            causes.setdefault(self._incoming(place, came), []).append(place)
        for incoming, places in causes.items():
            with nullcontext() if incoming is None else incoming.cause(self.session):
                self._tell(places)

    def _write_loans(self, changed: set[int]) -> None:
        rows = []
        for place, row in enumerate(self.block.loans):
            state, steps, cure_by = row.state, row.steps, row.cure_by
            if place in changed:
                state, steps = self._following(place), steps + 1
                cure_by = self._cure_by(place) if self.breached[place] else None
            why = self.why.get(place)
            told = bulk.Json("[]" if why is None else json.dumps(reasons.as_json(why), ensure_ascii=False))
            rows.append(
                (row.id, state, steps, self.ratios[place], self.shortfalls[place], told, self.now, self.now, cure_by)
            )
        columns = ("state", "steps", "loan_to_value", "shortfall", "covenant_reasons", "tested_at", "updated_at")
        bulk.update(self.session, table_of(Loan), "id", (*columns, "cure_by"), rows)

    def _write_tests(self) -> None:
        coefficients = self.rules.digest_of(COVENANTS)
        found, block = self.found, self.block
        values, limits, fresh = found.value.tolist(), found.limit.tolist(), found.fresh_until.tolist()
        pledged = [
            f'{{"asset_id":"{asset}","version":{version},"tonnes":{tonnes},"state":"{state}"}}'
            for asset, version, tonnes, state in zip(
                block.asset_ids,
                self.known.version[block.forest].tolist(),
                block.tonnes.tolist(),
                block.pledge_states,
                strict=True,
            )
        ]
        covers, years = self.covers.tolist(), self.weakest.tolist()
        short, unvalued = self.short.tolist(), found.unvalued.tolist()
        levels = {one: Decimal(f"{one:.8f}") for one in set(limits)}
        # Ids of one test follow each other: what a draw for each would add is nothing but time.
        first, rows = uuid7().int, []
        for place, row in enumerate(block.loans):
            cover, codes = covers[place], [one.code for one in self.why.get(place, ())]
            if short[place]:
                codes.append("debt_service_short")
            unknown, value = unvalued[place], values[place]
            rows.append(
                (
                    row.id,
                    UUID(int=first + place),
                    self.bank,
                    self.now,
                    self.cause,
                    "unknown" if unknown else "broken" if codes else "kept",
                    bulk.Json(json.dumps(codes)) if codes else _NONE,
                    _yuan(row.balance),
                    row.quantile,
                    None if value != value else Decimal(f"{value:.2f}"),
                    None if unknown else self.ratios[place],
                    levels[limits[place]],
                    self.shortfalls[place],
                    day(fresh[place]),
                    row.cover_state,
                    row.cover_until,
                    row.guarantee_state,
                    Decimal(f"{cover:.8f}") if math.isfinite(cover) else None,
                    years[place] or None,
                    bulk.Json(f"[{','.join(pledged[one] for one in self.pledges.get(place, ()))}]"),
                    coefficients,
                )
            )
        bulk.insert_rows(self.session, table_of(CovenantTest), _COLUMNS, rows)

    def _write_classes(self, came: Mapping[UUID, Incoming]) -> None:
        """Write down each loan that passed into another class, and when the days alone will next change one."""
        block, found, session = self.block, self.classes, self.session
        names = [FIVE_CLASSES[one] for one in found.five_class.tolist()]
        changed = [
            place
            for place, (row, *now) in enumerate(
                zip(block.loans, found.stage.tolist(), names, found.bucket, strict=True)
            )
            if [row.stage, row.five_class, row.bucket] != now
        ]
        agreed = agreed_principal(session, [block.ids[place] for place in changed]) if changed else {}
        entries = []
        for place in changed:
            row, stage, loss = block.loans[place], int(found.stage[place]), block.loans[place].loss_given_default
            incoming, owed = self._incoming(place, came), money.from_fen(row.balance + row.interest_due)
            probability = float(found.probability[place])
            entry = {
                "loan_id": row.id,
                "id": uuid7(),
                "institution": self.bank,
                "at": self.now,
                "actor": session.info.get("actor", "system") if incoming is None else incoming.actor,
                "days_past_due": int(found.days_past_due[place]),
                "bucket": found.bucket[place],
                "stage": stage,
                "five_class": names[place],
                "grounds": found.grounds(place, self.classing),
                "exposure": owed,
                "origin_probability": _rate(row.origin_probability),
                "default_probability": _rate(probability),
                "loss_given_default": _rate(loss),
                "expected_loss": classes.expected_loss(
                    stage, probability, loss, row.annual_rate, owed, agreed.get(row.id, ()), clock.today()
                ),
                "coefficients": self.classing.digest_of(CLASSES),
            }
            entries.append(entry)
            told = {name: entry[name] for name in ("stage", "five_class", "bucket")}
            with nullcontext() if incoming is None else incoming.cause(session):
                audit.record(session, "class_loan", row.id, before=row.stage, **told)
        bulk.insert_mappings(session, table_of(LoanClass), entries)
        # The version rose with the test already.
        columns = ("stage", "five_class", "bucket", "next_due_on")
        moved = set(changed) | {place for place, row in enumerate(block.loans) if self.days[place] != row.next_due_on}
        rows = [
            (block.ids[place], int(found.stage[place]), names[place], found.bucket[place], self.days[place])
            for place in sorted(moved)
        ]
        bulk.update(session, table_of(Loan), "id", columns, rows, rising=False)
        looks = {one: classes.next_look(self.classing, day, clock.today()) for one, day in self.due.items()}
        timers.put_all(session, "arrears", {one: _morning(day) for one, day in looks.items() if day is not None})

    def _set_freshness(self) -> None:
        """A valuation grows stale and a policy ends without anybody telling: test again on the first day after.

        A timer that rings earlier stays as it is. It will find nothing and set the next one, once in the life of a
        valuation, where moving it would be one more row with every test.
        """
        today, due = clock.today().toordinal(), {}
        ends = zip(self.found.fresh_until.tolist(), self.block.cover_until.tolist(), strict=True)
        mornings: dict[int, datetime] = {}
        for row, both in zip(self.block.loans, ends, strict=True):
            last = min((day for day in both if day >= today), default=None)
            if last is not None:
                if last not in mornings:
                    mornings[last] = _morning(date.fromordinal(last + 1))
                if row.looked_at is None or row.looked_at > mornings[last]:
                    due[row.id] = mornings[last]
        timers.put_all(self.session, "freshness", due)

    def _tell(self, places: Sequence[int]) -> None:
        """Write down and publish which loans were called and which are cured."""
        block, session = self.block, self.session
        history: list[dict[str, Any]] = []
        events: list[Event] = []
        calls: dict[UUID, datetime] = {}
        for place in places:
            row, following = block.loans[place], self._following(place)
            assert may_follow(row.state, following)
            reason = self.why[place][0].code if self.breached[place] else "margin_cured"
            history.append(
                {
                    "loan_id": row.id,
                    "number": row.steps + 1,
                    "institution": self.bank,
                    "from_state": row.state,
                    "to_state": following,
                    "at": self.now,
                    "actor": session.info.get("actor", "system"),
                    "reason": reason[:64],
                    "comment": "",
                }
            )
            audit.record(session, f"loan_{following}", row.id, before=row.state, reason=reason[:64])
            about = {"loan_id": row.id, "bank": self.bank, "insurer": row.insurer, "guarantor": row.guarantor}
            balance, ratio = money.from_fen(row.balance), self.ratios[place]
            if self.breached[place]:
                calls[row.id] = self._cure_by(place)
                events.append(
                    MarginCalled(
                        **about,
                        balance=balance,
                        loan_to_value=ratio,
                        shortfall=self.shortfalls[place],
                        cure_by=calls[row.id],
                        reasons=tuple(self.why[place]),
                    )
                )
            else:
                assert ratio is not None
                events.append(MarginCured(**about, balance=balance, loan_to_value=ratio))
        bulk.insert_mappings(session, table_of(LoanHistory), history)
        timers.put_all(session, "cure", calls)
        timers.cancel_all(session, "cure", [block.ids[place] for place in places if self.cured[place]])
        outbox.put_all(session, events)

    def _incoming(self, place: int, came: Mapping[UUID, Incoming]) -> Incoming | None:
        """The event on whose account a loan is tested."""
        forests = (self.block.asset_ids[one] for one in self.pledges.get(place, ()))
        return next((came[forest] for forest in forests if forest in came), None)

    def _following(self, place: int) -> str:
        return "margin_called" if self.breached[place] else "performing"

    def _cure_by(self, place: int) -> datetime:
        return self.now + timedelta(days=self.block.loans[place].cure_days)

    def _reasons(self, place: int) -> list[Reason]:
        """What is broken, in words: the margin first, as it decides how much is asked for."""
        found, block, row = self.found, self.block, self.block.loans[place]
        why = []
        if found.margin_broken[place]:
            ratio = float(found.ratio[place])
            why.append(reasons.margin_breached(None if ratio != ratio else ratio, float(found.limit[place])))
        for number in self.pledges.get(place, ()):
            if found.fault[number]:
                why.append(_fault(block.asset_ids[number], self.valuations.get(block.asset_ids[number])))
        if found.cover_lost[place]:
            why.append(reasons.cover_void() if row.cover_state == "void" else reasons.cover_lapsed(row.cover_until))
        if found.guarantee_lost[place]:
            why.append(reasons.guarantee_released("released"))
        for number in self.pledges.get(place, ()):
            if block.released[number]:
                why.append(reasons.pledge_released(str(block.asset_ids[number]), "released"))
        return why


_NONE = bulk.Json("[]")
_COLUMNS = (
    "loan_id",
    "id",
    "institution",
    "at",
    "cause",
    "verdict",
    "broken",
    "balance",
    "quantile",
    "value",
    "loan_to_value",
    "limit_loan_to_value",
    "shortfall",
    "fresh_until",
    "cover_state",
    "cover_until",
    "guarantee_state",
    "debt_service_cover",
    "debt_service_year",
    "pledges",
    "coefficients",
)


def _fault(asset_id: UUID, valuation: Valuation | None) -> Reason:
    if valuation is None:
        return reasons.valuation_missing(str(asset_id))
    return reasons.valuation_stale(str(asset_id), valuation.as_of.isoformat(), valuation.valid_until.isoformat())


def _yuan(fen: int) -> Decimal:
    """As money.from_fen, without its arithmetic."""
    return Decimal(f"{fen // 100}.{fen % 100:02d}")


def _morning(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), clock.BUSINESS)


def _rate(value: float | None) -> Decimal | None:
    return None if value is None or value != value else Decimal(f"{value:.8f}")


def day(ordinal: int) -> date | None:
    """The day of an ordinal; none of NEVER."""
    return None if ordinal == NEVER else date.fromordinal(ordinal)

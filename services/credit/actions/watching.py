"""Covenants on living collateral: tested on every valuation, payment and lapse; called, cured, or left to default.

One loan or a hundred thousand, a test goes the same way: lock, read, compute as columns, write. Each leaves a row in
covenant_tests.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
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
    Loan,
    LoanClass,
    LoanHistory,
    Valuation,
    agreed_principal,
    contracts_of,
    debt_service_of,
    keep_tests,
    live_loans_on,
    lock_live,
    next_due,
    pledges_of,
    valuations_of,
)
from shared import audit, bulk, clock, money, outbox, timers, watchers
from shared.db import acting_for, table_of, tenant
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
    retest_all(session, [str(loan_id)], "clock")


def retest(session: Session, loan: Loan, cause: str) -> None:
    """Test the covenants of a locked loan that may just have changed."""
    session.flush()
    retest_all(session, [str(loan.id)], cause)
    session.refresh(loan)


def retest_all(
    session: Session, loan_ids: Sequence[str], cause: str, came: Mapping[UUID, Incoming] | None = None
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


def read(session: Session, loan_ids: Sequence[str]) -> tuple[Block, Forests, dict[UUID, Valuation]]:
    """Loans as columns, with the valuations of what is pledged for them."""
    loans, pledges = contracts_of(session, loan_ids), pledges_of(session, loan_ids)
    valuations = valuations_of(session, set(pledges.asset_ids))
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


def _retest(session: Session, loan_ids: Sequence[str], cause: str, came: Mapping[UUID, Incoming]) -> None:
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
        due: Mapping[str, date],
    ) -> None:
        self.session, self.cause, self.block, self.found = session, cause, block, found
        self.known, self.valuations = known, valuations
        self.covers, self.weakest = service
        self.rules = policy(clock.today(), COVENANTS)
        self.now, self.bank = clock.now(), tenant(session)
        self.due = due
        self.short = self.covers < self.rules["minimum_debt_service_cover"]
        self.classing = policy(clock.today(), CLASSES)
        self.next_due = np.where(block.next_due == NEVER, block.matures, block.next_due)
        if due:
            self.next_due = np.array([due[one].toordinal() for one in block.ids], dtype=np.int64)
        self.classes = classes.classify(self.classing, block, known, found, self.short, self.next_due, clock.today())
        # A ratio that is unknown has cured nothing, whatever else holds.
        self.cured = block.called & ~found.broken & ~np.isnan(found.ratio)
        self.breached = ~block.called & found.broken
        #: The pledges of each loan are those from its place here to the next.
        self.first = np.searchsorted(block.owner, np.arange(len(block) + 1)).tolist()
        self.why = {place: self._reasons(place) for place in np.flatnonzero(found.broken).tolist()}

    def write(self, came: Mapping[UUID, Incoming]) -> None:
        """Write the loans, the tests and what follows from them."""
        changed = np.flatnonzero(self.breached | self.cured).tolist()
        self._keep(changed)
        self._set_freshness()
        self._write_classes(came)
        self._tell(changed, came)

    def _keep(self, changed: Sequence[int]) -> None:
        """Write each loan as it stands now, and the test of it."""
        found, block, classed = self.found, self.block, self.classes
        texts, count = block.loans.texts, len(block)
        states, steps, cure_by = list(texts("state")), list(texts("steps")), list(texts("cure_by"))
        for place in changed:
            states[place], steps[place] = self._following(place), str(int(steps[place]) + 1)
            cure_by[place] = self._cure_by(place).isoformat() if self.breached[place] else ""
        why, broken, verdicts = ["[]"] * count, ["[]"] * count, ["kept"] * count
        for place in np.flatnonzero(found.broken | self.short).tolist():
            told = self.why.get(place, [])
            codes = [one.code for one in told] + ["debt_service_short"] * bool(self.short[place])
            why[place], broken[place] = json.dumps(reasons.as_json(told), ensure_ascii=False), json.dumps(codes)
            verdicts[place] = "unknown" if found.unvalued[place] else "broken"
        ratios = _fractions(found.ratio)
        # Ids of one test follow each other: what a draw for each would add is nothing but time.
        first = uuid7().int
        arrays: dict[str, Sequence[str]] = {
            "loan_id": block.ids,
            "id": [f"{one:032x}" for one in range(first, first + count)],
            "state": states,
            "steps": steps,
            "cure_by": cure_by,
            "stage": _words(classed.stage, str),
            "five_class": _words(classed.five_class, FIVE_CLASSES.__getitem__),
            "bucket": classed.bucket,
            "next_due_on": _words(self.next_due, _iso),
            "verdict": verdicts,
            "balance": texts("balance"),
            "quantile": texts("quantile"),
            "value": ["" if one != one else f"{one:.2f}" for one in found.value.tolist()],
            "ratio": ratios,
            "known_ratio": ["" if unknown else one for one, unknown in zip(ratios, found.unvalued, strict=True)],
            "level": _words(found.limit, "{:.8f}".format),
            "shortfall": [f"{one // 100}.{one % 100:02d}" if one else "0" for one in found.shortfall.tolist()],
            "fresh_until": _words(found.fresh_until, _iso),
            "cover_state": texts("cover_state"),
            "cover_until": _words(block.cover_until, _iso),
            "guarantee_state": texts("guarantee_state"),
            "service_cover": _fractions(np.where(np.isfinite(self.covers), self.covers, np.nan)),
            "service_year": _words(self.weakest, lambda year: str(year or "")),
        }
        json_arrays = {"reasons": why, "broken": broken, "pledges": self._pledged()}
        keep_tests(
            self.session,
            {name: bulk.array(column) for name, column in arrays.items()}
            | {name: f"[{','.join(column)}]" for name, column in json_arrays.items()},
            institution=self.bank,
            now=self.now,
            cause=self.cause,
            coefficients=self.rules.digest_of(COVENANTS),
        )

    def _pledged(self) -> list[str]:
        """The pledges of each loan as a test keeps them, in JSON."""
        block = self.block
        each = [
            f'{{"asset_id":"{asset}","version":{version},"tonnes":{tonnes},"state":"{state}"}}'
            for asset, version, tonnes, state in zip(
                map({one: str(one) for one in set(block.asset_ids)}.__getitem__, block.asset_ids),
                self.known.version[block.forest].tolist(),
                block.tonnes.tolist(),
                block.pledge_states,
                strict=True,
            )
        ]
        return [f"[{','.join(each[start:end])}]" for start, end in itertools.pairwise(self.first)]

    def _write_classes(self, came: Mapping[UUID, Incoming]) -> None:
        """Write down each loan that passed into another class, and when the days alone will next change one."""
        block, found, session = self.block, self.classes, self.session
        names = _words(found.five_class, FIVE_CLASSES.__getitem__)
        now = zip(_words(found.stage, str), names, found.bucket, strict=True)
        before = zip(*(block.loans.texts(name) for name in ("stage", "five_class", "bucket")), strict=True)
        changed = [place for place, (was, then) in enumerate(zip(before, now, strict=True)) if was != then]
        agreed = agreed_principal(session, [block.ids[place] for place in changed]) if changed else {}
        entries = []
        for place in changed:
            row, stage = block.loans[place], int(found.stage[place])
            incoming, owed = self._incoming(place, came), row.balance + row.interest_due
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
                "loss_given_default": _rate(row.loss_given_default),
                "expected_loss": classes.expected_loss(
                    stage,
                    probability,
                    row.loss_given_default,
                    row.annual_rate,
                    owed,
                    agreed.get(block.ids[place], ()),
                    clock.today(),
                ),
                "coefficients": self.classing.digest_of(CLASSES),
            }
            entries.append(entry)
            told = {name: entry[name] for name in ("stage", "five_class", "bucket")}
            with nullcontext() if incoming is None else incoming.cause(session):
                audit.record(session, "class_loan", row.id, before=row.stage, **told)
        bulk.insert_mappings(session, table_of(LoanClass), entries)
        looks = {UUID(one): classes.next_look(self.classing, day, clock.today()) for one, day in self.due.items()}
        timers.put_all(session, "arrears", {one: _morning(day) for one, day in looks.items() if day is not None})

    def _set_freshness(self) -> None:
        """A valuation grows stale and a policy ends without anybody telling: test again on the first day after.

        A timer that rings earlier stays as it is. It will find nothing and set the next one, once in the life of a
        valuation, where moving it would be one more row with every test.
        """
        today, never = clock.today().toordinal(), np.iinfo(np.int64).max
        both = np.stack([self.found.fresh_until, self.block.cover_until])
        last = np.where(both >= today, both, never).min(axis=0)
        ends, which = np.unique(last, return_inverse=True)
        mornings = [_morning(date.fromordinal(day + 1)) for day in ends[ends < never].tolist()]
        rings = np.array([*(one.timestamp() for one in mornings), np.inf])[which]
        looked_at = covenants.numbers(self.block.loans.texts("looked_at"))
        later = np.flatnonzero((last < never) & ~(looked_at <= rings)).tolist()
        due = {UUID(self.block.ids[place]): mornings[which[place]] for place in later}
        timers.put_all(self.session, "freshness", due)

    def _tell(self, changed: Sequence[int], came: Mapping[UUID, Incoming]) -> None:
        """Write down and publish which loans were called and which are cured, each on account of its event."""
        session = self.session
        causes: dict[Incoming | None, list[int]] = {}
        for place in changed:
            causes.setdefault(self._incoming(place, came), []).append(place)
        history: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        for incoming, places in causes.items():
            with nullcontext() if incoming is None else incoming.cause(session):
                history += map(self._step, places)
                told += outbox.ready(session, map(self._event, places))
        bulk.insert_mappings(session, table_of(LoanHistory), history)
        ids = {place: UUID(self.block.ids[place]) for place in changed}
        timers.put_all(session, "cure", {ids[one]: self._cure_by(one) for one in changed if self.breached[one]})
        timers.cancel_all(session, "cure", [ids[one] for one in changed if self.cured[one]])
        outbox.write(session, told)

    def _step(self, place: int) -> dict[str, Any]:
        """A step of a loan's history, which is entered in the audit trail."""
        row, following = self.block.loans[place], self._following(place)
        assert may_follow(row.state, following)
        reason = (self.why[place][0].code if self.breached[place] else "margin_cured")[:64]
        audit.record(self.session, f"loan_{following}", row.id, before=row.state, reason=reason)
        return {
            "loan_id": row.id,
            "number": row.steps + 1,
            "institution": self.bank,
            "from_state": row.state,
            "to_state": following,
            "at": self.now,
            "actor": self.session.info.get("actor", "system"),
            "reason": reason,
            "comment": "",
        }

    def _event(self, place: int) -> MarginCalled | MarginCured:
        row, one = self.block.loans[place], float(self.found.ratio[place])
        about = {"loan_id": row.id, "bank": self.bank, "insurer": row.insurer, "guarantor": row.guarantor}
        ratio = None if one != one else Decimal(f"{one:.8f}")
        if self.breached[place]:
            return MarginCalled(
                **about,
                balance=row.balance,
                loan_to_value=ratio,
                shortfall=money.from_fen(int(self.found.shortfall[place])),
                cure_by=self._cure_by(place),
                reasons=tuple(self.why[place]),
            )
        assert ratio is not None
        return MarginCured(**about, balance=row.balance, loan_to_value=ratio)

    def _incoming(self, place: int, came: Mapping[UUID, Incoming]) -> Incoming | None:
        """The event on whose account a loan is tested."""
        forests = self.block.asset_ids[self.first[place] : self.first[place + 1]]
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
        for number in range(self.first[place], self.first[place + 1]):
            if found.fault[number]:
                why.append(_fault(block.asset_ids[number], self.valuations.get(block.asset_ids[number])))
        if found.cover_lost[place]:
            why.append(reasons.cover_void() if row.cover_state == "void" else reasons.cover_lapsed(row.cover_until))
        if found.guarantee_lost[place]:
            why.append(reasons.guarantee_released("released"))
        for number in range(self.first[place], self.first[place + 1]):
            if block.released[number]:
                why.append(reasons.pledge_released(str(block.asset_ids[number]), "released"))
        return why


def _fault(asset_id: UUID, valuation: Valuation | None) -> Reason:
    if valuation is None:
        return reasons.valuation_missing(str(asset_id))
    return reasons.valuation_stale(str(asset_id), valuation.as_of.isoformat(), valuation.valid_until.isoformat())


def _words(values: Any, said: Callable[[Any], str]) -> list[str]:
    """What each number of a column is called, asked once for each that there is."""
    each, which = np.unique(values, return_inverse=True)
    words = [said(one) for one in each.tolist()]
    return [words[one] for one in which.tolist()]


def _fractions(values: Any) -> list[str]:
    """Fractions as a column of the database has them; nothing where they are not known."""
    return ["" if one != one else f"{one:.8f}" for one in values.tolist()]


def _iso(ordinal: int) -> str:
    return "" if ordinal == NEVER else date.fromordinal(ordinal).isoformat()


def _morning(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), clock.BUSINESS)


def _rate(value: float | None) -> Decimal | None:
    return None if value is None or value != value else Decimal(f"{value:.8f}")


def day(ordinal: int) -> date | None:
    """The day of an ordinal; none of NEVER."""
    return None if ordinal == NEVER else date.fromordinal(ordinal)

"""The bank's live loans together: early warnings, what the book is made of, and what a stress would do to it.

Each is computed anew from the loans and the latest valuations, block by block, so that memory does not grow with the
book; nothing is locked and nothing kept.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.credit.actions import classes, covenants, reasons, watching
from services.credit.actions.covenants import NEVER, Block, Findings, Forests
from services.credit.actions.policy import CLASSES, COVENANTS, WARNINGS, policy
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas.covenants import Flags, stressed_values
from services.credit.tables import (
    Loan,
    LoanClass,
    classes_of,
    covenant_tests_of,
    expected_losses,
    live_loans,
    missing_covers,
)
from services.credit.tables.watching import CovenantTest
from shared import audit, clock, money
from shared.db import found, tenant
from shared.errors import NotFoundError

#: Upper ends of the classes of loan to value that the book is shown by.
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
#: By what the book is shown, and the cap that each is held against. Connected borrowers are shown apart: who is
#: connected is found for one borrower at a time.
DIMENSIONS = {
    "county": (Loan.county, "county"),
    "fire_zone": (Loan.fire_zone, "fire_zone"),
    "verifier": (Loan.verifier, "verifier"),
    "guarantor": (Loan.guarantor, "guarantor"),
    "borrower": (Loan.obligor, "group"),
}
#: Loans that a stress names one by one.
WORST = 20


@dataclass(frozen=True)
class Tested:
    """A block of live loans as it stands now."""

    block: Block
    known: Forests
    found: Findings
    classes: classes.Classes


def tested(session: Session) -> Iterator[Tested]:
    """This bank's live loans, block by block, tested on the latest valuations."""
    today = clock.today()
    rules, classing = policy(today, COVENANTS), policy(today, CLASSES)
    for ids in live_loans(session, watching.BLOCK):
        block, known, _ = watching.read(session, ids)
        session.expunge_all()
        covers, _ = watching.debt_service_covers(session, block, known, today)
        result = covenants.examine(block, known, today)
        due = np.where(block.next_due == NEVER, block.matures, block.next_due)
        short = covers < rules["minimum_debt_service_cover"]
        yield Tested(block, known, result, classes.classify(classing, block, known, result, short, due, today))


# -- warnings ---------------------------------------------------------------------------------------------------------


def warnings(session: Session, limit: int) -> dict[str, Any]:
    """Loans that need a look before it is too late, the most money at risk first.

    At risk is what is not secured once a ground comes true: the way back to the cure level where the margin is broken
    or close to it, the whole balance where a valuation or a policy runs out, or money is late.
    """
    count, whole, by_ground = 0, Decimal("0.00"), Counter[str]()
    most: list[tuple[int, int, dict[str, Any]]] = []
    for one in tested(session):
        for place, grounds in _grounds(session, one).items():
            at_risk = max(grounds.values())
            count, whole = count + 1, whole + money.from_fen(at_risk)
            by_ground.update(grounds.keys())
            line = (at_risk, -count, _line(one, place, grounds))
            if len(most) < limit:
                heapq.heappush(most, line)
            else:
                heapq.heappushpop(most, line)
    return {
        "loans": count,
        "at_risk": whole,
        "by_ground": [{"ground": name, "loans": many} for name, many in sorted(by_ground.items())],
        "items": [line for *_, line in sorted(most, key=lambda each: each[:2], reverse=True)],
    }


def _grounds(session: Session, one: Tested) -> dict[int, dict[str, int]]:
    """By loan, each ground of a warning and the money at risk if it comes true. [fen]"""
    block, result, today = one.block, one.found, clock.today().toordinal()
    rules = policy(clock.today(), WARNINGS)
    levels, owed = rules["watch_levels"], block.balance
    left, cover_left = result.fresh_until - today, block.cover_until - today
    running = block.balance > 0
    reduced = missing_covers(session, [UUID(one) for one in block.ids])
    missing = np.array([reduced.get(one, 0) for one in block.ids], dtype=np.int64)
    close = ~result.broken & (result.ratio > levels["share_of_limit"] * block.margin)
    signs: list[tuple[str, Flags, Any]] = [
        ("valuation_unusable", result.unvalued, owed),
        ("margin_broken", result.margin_broken, result.shortfall),
        ("margin_close", close, result.shortfall),
        ("cover_lost", result.cover_lost, owed),
        ("guarantee_lost", result.guarantee_lost, owed),
        ("pledge_lost", result.pledge_lost, result.shortfall),
        ("valuation_ageing", ~result.unvalued & (left >= 0) & (left <= levels["valuation_days_left"]), owed),
        ("cover_breached", covenants.are(block.loans.texts("cover_state"), "breached"), owed),
        ("cover_reduced", ~result.cover_lost & (missing > 0), missing),
        (
            "cover_ending",
            ~result.cover_lost & (block.cover_until != NEVER) & (cover_left <= rules["cover_warning_days"]),
            owed,
        ),
        ("past_due", one.classes.days_past_due > 0, owed),
        ("debt_service_short", one.classes.short, owed),
    ]
    grounds: dict[int, dict[str, int]] = {}
    for name, holds, money_at_risk in signs:
        for place in np.flatnonzero(holds & running).tolist():
            grounds.setdefault(place, {})[name] = int(money_at_risk[place])
    return grounds


def _line(one: Tested, place: int, grounds: Mapping[str, int]) -> dict[str, Any]:
    row, ratio = one.block.loans[place], float(one.found.ratio[place])
    return {
        "loan_id": row.id,
        "state": row.state,
        "balance": row.balance,
        "loan_to_value": None if ratio != ratio else Decimal(f"{ratio:.8f}"),
        "margin_call_loan_to_value": Decimal(f"{row.margin:.8f}"),
        "shortfall": money.from_fen(int(one.found.shortfall[place])),
        "fresh_until": _day(one.found.fresh_until[place]),
        "cover_until": row.cover_until,
        "days_past_due": int(one.classes.days_past_due[place]),
        "stage": int(one.classes.stage[place]),
        "cure_by": row.cure_by,
        "at_risk": money.from_fen(max(grounds.values())),
        "grounds": reasons.as_json([reasons.warning(name) for name in grounds]),
    }


# -- the book ---------------------------------------------------------------------------------------------------------


def portfolio(session: Session) -> dict[str, Any]:
    """What the book is made of: loan to value, places and parties it stands on, stages, classes and arrears."""
    spread = _Spread()
    for one in tested(session):
        spread.add(one.found, one.block)
    caps = policy(clock.today(), WARNINGS)["concentration_caps"]
    out = Loan.state.in_(("performing", "margin_called", "defaulted", "enforcing"))
    count, whole = session.execute(select(func.count(), func.coalesce(func.sum(Loan.balance), 0)).where(out)).one()
    concentrations = []
    for dimension, (column, cap) in DIMENSIONS.items():
        largest = func.sum(Loan.balance)
        rows = session.execute(
            select(column, func.count(), largest).where(out).group_by(column).order_by(largest.desc(), column).limit(20)
        )
        for name, many, balance in rows:
            concentrations.append(
                {
                    "dimension": dimension,
                    "name": name,
                    "loans": many,
                    "balance": balance,
                    "share": Decimal(f"{balance / whole:.8f}") if whole else Decimal(0),
                    "cap": Decimal(str(caps[cap])),
                }
            )
    by_class = [dict(row._mapping) for row in expected_losses(session)]
    return {
        "loans": count,
        "balance": whole,
        "loan_to_value": spread.levels(),
        "called": spread.called,
        "shortfall": money.from_fen(spread.shortfall),
        "concentrations": concentrations,
        "classes": by_class,
    }


class _Spread:
    """Loans and what they owe by level of loan to value."""

    def __init__(self) -> None:
        # One more for what lies above all levels, and one for what is unknown.
        self.count, self.owed = np.zeros(len(LEVELS) + 2, dtype=np.int64), np.zeros(len(LEVELS) + 2, dtype=np.int64)
        self.called = self.broken = self.shortfall = self.uncovered = 0

    def add(self, result: Findings, block: Block) -> None:
        level = np.searchsorted(LEVELS, np.where(np.isnan(result.ratio), np.inf, result.ratio), "left")
        level = np.where(result.unvalued, len(LEVELS) + 1, level)
        self.count += np.bincount(level, minlength=len(self.count))
        np.add.at(self.owed, level, block.balance)
        self.called += int(block.called.sum())
        self.broken += int(result.broken.sum())
        self.shortfall += int(result.shortfall[result.broken].sum())
        # Of what cannot be valued nothing is known to be covered.
        worth = np.where(np.isnan(result.value), 0.0, result.value)
        self.uncovered += int(np.maximum(0, block.balance - np.floor(worth * 100)).sum())

    def levels(self) -> list[dict[str, Any]]:
        ends: list[tuple[float | None, float | None]] = [
            *zip([0.0, *LEVELS], [*LEVELS, None], strict=True),
            (None, None),
        ]
        return [
            {
                "known": low is not None,
                "above": None if low is None else Decimal(str(low)),
                "to": None if high is None else Decimal(str(high)),
                "loans": int(self.count[place]),
                "balance": money.from_fen(int(self.owed[place])),
            }
            for place, (low, high) in enumerate(ends)
        ]


# -- stress -----------------------------------------------------------------------------------------------------------


def stress(
    session: Session, price_change: Decimal, burnt_county: str | None, fire_loss: Decimal | None
) -> dict[str, Any]:
    """Test every live loan's covenants as if the carbon price moved and a county had burnt."""
    today = clock.today()
    loss = float(fire_loss) if fire_loss is not None else policy(today, WARNINGS)["carbon_loss_given_fire"]
    before, after = _Spread(), _Spread()
    newly, worst = 0, list[tuple[int, int, dict[str, Any]]]()
    touched = 0
    for one in tested(session):
        burnt = np.array([county == burnt_county for county in one.known.county]) & (burnt_county is not None)
        known = replace(
            one.known,
            values=stressed_values(one.known.values, float(price_change), burnt[:, None], loss),
            spot=one.known.spot * (1 + float(price_change)),
        )
        result = covenants.examine(one.block, known, today)
        before.add(one.found, one.block)
        after.add(result, one.block)
        touched += int(burnt[:-1].sum())
        fresh = result.broken & ~one.found.broken
        newly += int(fresh.sum())
        for place in np.flatnonzero(fresh).tolist():
            short, ratio = int(result.shortfall[place]), float(result.ratio[place])
            row = one.block.loans[place]
            line = {
                "loan_id": row.id,
                "balance": row.balance,
                "loan_to_value": _ratio(float(one.found.ratio[place])),
                "stressed_loan_to_value": _ratio(ratio),
                "shortfall": money.from_fen(short),
            }
            heapq.heappush(worst, (short, -len(worst), line))
            if len(worst) > WORST:
                heapq.heappop(worst)
    audit.record(session, "stress_book", tenant(session), price_change=str(price_change), county=burnt_county or "")
    return {
        "price_change": price_change,
        "burnt_county": burnt_county,
        "fire_loss": Decimal(str(loss)) if burnt_county is not None else None,
        "burnt_forests": touched,
        "before": _summary(before),
        "after": _summary(after),
        "newly_broken": newly,
        "worst": [line for *_, line in sorted(worst, key=lambda each: each[:2], reverse=True)],
    }


def _summary(spread: _Spread) -> dict[str, Any]:
    return {
        "broken": spread.broken,
        "shortfall": money.from_fen(spread.shortfall),
        "uncovered": money.from_fen(spread.uncovered),
        "loan_to_value": spread.levels(),
    }


# -- one loan ---------------------------------------------------------------------------------------------------------


def covenants_of(session: Session, loan_id: UUID) -> dict[str, Any]:
    """The covenants of a loan as last tested, each with its value, limit and verdict, and the tests before."""
    loan = found(session, Loan, loan_id)
    tests = covenant_tests_of(session, loan_id)
    if not tests:
        raise NotFoundError("no covenant of this loan was tested yet; that begins when the money goes out")
    last, cure = tests[0], watching.contract(loan)["cure"]
    further = None
    if last.value is not None:
        further = money.yuan_up(ltv.top_up_value(float(last.balance), float(last.value), cure))
    return {
        "loan_id": loan_id,
        "items": _each(last),
        "cure_cash": last.shortfall,
        "cure_pledge_value": further,
        "tests": tests,
    }


def trail_of_classes(session: Session, loan_id: UUID) -> dict[str, list[LoanClass]]:
    """Every class a loan passed through, oldest first."""
    found(session, Loan, loan_id)
    return {"items": classes_of(session, loan_id)}


def _each(test: CovenantTest) -> list[dict[str, Any]]:
    minimum = policy(clock.today(), COVENANTS)["minimum_debt_service_cover"]
    unusable = [code for code in test.broken if code.startswith("valuation_")]
    margin = "unknown" if test.verdict == "unknown" else _verdict(test, "margin_breached", "collateral_worthless")
    service = "not tested" if test.debt_service_cover is None else _verdict(test, "debt_service_short")
    return [
        _covenant("loan_to_value", test.loan_to_value, test.limit_loan_to_value, margin),
        _covenant("valuation_fresh", test.fresh_until, test.at.date(), "broken" if unusable else "kept"),
        _covenant(
            "insurance", test.cover_until or test.cover_state, "bound", _verdict(test, "cover_lapsed", "cover_void")
        ),
        _covenant("guarantee", test.guarantee_state, "issued", _verdict(test, "guarantee_released")),
        _covenant("pledge", len(test.pledges), "placed", _verdict(test, "pledge_released")),
        _covenant("debt_service_cover", test.debt_service_cover, minimum, service),
    ]


def _covenant(name: str, value: Any, limit: Any, verdict: str) -> dict[str, Any]:
    return {"covenant": name, "value": None if value is None else str(value), "limit": str(limit), "verdict": verdict}


def _verdict(test: CovenantTest, *codes: str) -> str:
    return "broken" if any(code in test.broken for code in codes) else "kept"


def _ratio(value: float) -> Decimal | None:
    return None if value != value else Decimal(f"{value:.8f}")


def _day(ordinal: int) -> Any:
    return watching.day(int(ordinal))

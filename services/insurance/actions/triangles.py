"""Run-off of the insurer's claims: what was paid by period of loss and of payment, and what is still to come.

Chain ladder and Bornhuetter-Ferguson stand side by side. Where a period of development has nothing to learn from, its
factor is 1 and the answer says so; chain ladder alone then says nothing about the youngest periods.
"""

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, policies
from services.insurance.formulas import reserve
from services.insurance.tables import Claim, Policy, Proceeds
from shared import clock, money


def run_off(session: Session, months: int, periods: int) -> dict[str, Any]:
    """The paid triangle of the last periods of so many months, net of what came back, and the reserves. [CNY]"""
    p = PARAMETERS.at(clock.today())
    starts = _starts(clock.today(), months, periods)
    paid = np.zeros((periods, periods))
    outstanding = [Decimal(0)] * periods
    for claim in session.scalars(select(Claim).where(Claim.occurred_on >= starts[0]).order_by(Claim.id)):
        origin = _period(starts, claim.occurred_on)
        outstanding[origin] += claim.reserve
        if claim.paid_at is not None:
            day = claim.paid_at.astimezone(clock.BUSINESS).date()
            total = (claim.to_bank or Decimal(0)) + (claim.to_owner or Decimal(0))
            paid[origin, _period(starts, day) - origin] += money.fen(total)
    back = select(Claim.occurred_on, Proceeds.received_on, Proceeds.amount).join(Claim, Claim.id == Proceeds.claim_id)
    for occurred_on, received_on, amount in session.execute(back.where(Claim.occurred_on >= starts[0])):
        origin = _period(starts, occurred_on)
        paid[origin, max(_period(starts, received_on) - origin, 0)] -= money.fen(amount)
    triangle = np.cumsum(paid, axis=1)
    triangle[np.add.outer(np.arange(periods), np.arange(periods)) >= periods] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        found = reserve.development_factors(triangle)
    factors = np.where(np.isfinite(found) & (found > 0), found, 1.0)
    ultimates = reserve.ultimates(triangle, factors)
    earned = _earned(session, starts)
    ratio = float(p["expected_loss_ratio"])
    origins: list[dict[str, Any]] = []
    for i in range(periods):
        later = factors[periods - 1 - i :]
        latest, prior = float(triangle[i, periods - 1 - i]), ratio * earned[i]
        origins.append(
            {
                "starts_on": starts[i],
                "paid": [None if np.isnan(x) else money.yuan(x / 100) for x in triangle[i].tolist()],
                "latest": money.yuan(latest / 100),
                "case_reserve": outstanding[i],
                "earned_premium": money.yuan(earned[i] / 100),
                "chain_ladder_ultimate": money.yuan(float(ultimates[i]) / 100),
                "chain_ladder_reserve": money.yuan((float(ultimates[i]) - latest) / 100),
                "bornhuetter_ferguson_reserve": money.yuan(
                    reserve.bornhuetter_ferguson_reserve(prior, later) / 100
                ),
            }
        )  # fmt: skip
    return {
        "as_of": clock.today(),
        "months": months,
        "origins": origins,
        "factors": [f"{factor:.8f}" for factor in factors.tolist()],
        "assumed_factors": [
            j + 1 for j, factor in enumerate(found.tolist()) if not (np.isfinite(factor) and factor > 0)
        ],
        "expected_loss_ratio": f"{ratio:.8f}",
        **{
            name: sum((one[name] for one in origins), Decimal(0))
            for name in ("case_reserve", "chain_ladder_reserve", "bornhuetter_ferguson_reserve")
        },
        "parameters_digest": p.digest,
        "unverified_parameters": list(p.unverified),
    }


def _starts(today: date, months: int, periods: int) -> list[date]:
    """First days of the last periods, the present one last, and the first day after it."""
    first = date(today.year, (today.month - 1) // months * months + 1, 1) if months < 12 else date(today.year, 1, 1)
    return [policies.months_later(first, months * k) for k in range(1 - periods, 2)]


def _period(starts: list[date], day: date) -> int:
    return max(k for k, start in enumerate(starts) if start <= max(day, starts[0]))


def _earned(session: Session, starts: list[date]) -> list[float]:
    """Premium earned by the days of cover in each period, of every policy. [fen]"""
    earned = [0.0] * (len(starts) - 1)
    for policy in session.scalars(select(Policy).where(Policy.ends_on > starts[0]).order_by(Policy.id)):
        premium = money.fen(policy.annual_premium)
        for k, (start, end) in enumerate(pairwise(starts)):
            until = min(end, policy.ends_on, clock.today())
            days = max((until - max(start, policy.inception)).days, 0)
            earned[k] += reserve.earned_premium(premium, days)
    return earned

"""The repayment schedule of a loan: its due days on working days, its day count, and what of the carbon's income it
follows.

A due day that is no working day moves to the next one. Holidays and days worked in lieu are those the State Council
publishes each autumn for the year to come, as the library `chinesecalendar` holds them; in years that it does not know
a day moves off the weekend only, and the schedule says from which year on that is so.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import chinese_calendar
from sqlalchemy.orm import Session

from services.credit.actions.dates import months_after
from services.credit.formulas import schedule
from services.credit.formulas.schedule import Instalment
from services.credit.tables import Loan, instalments_of
from shared import clock, money
from shared.events.parts import PrincipalDue

#: Day counts a contract may have, and the days of their year.
DAY_COUNTS = {"ACT/360": 360, "ACT/365": 365, "30/360": 360}
CALENDAR = "mainland China, following working day"
#: What is kept of an instalment.
KEPT = ("number", "due_on", "principal", "interest")
KNOWN_UNTIL = max(chinese_calendar.constants.holidays).year


def working_day(day: date) -> date:
    """The day itself or the next working day after it.

    >>> working_day(date(2026, 10, 1)), working_day(date(2026, 10, 10)), working_day(date(2031, 10, 4))
    (datetime.date(2026, 10, 8), datetime.date(2026, 10, 10), datetime.date(2031, 10, 6))
    """
    while not (chinese_calendar.is_workday(day) if day.year <= KNOWN_UNTIL else day.weekday() < 5):
        day += timedelta(days=1)
    return day


def period(day_count: str, first: date, then: date) -> schedule.Period:
    """Length of the time between two days, in the days and years of a day count. Never negative.

    >>> [period(name, date(2026, 1, 15), date(2026, 3, 15)) for name in DAY_COUNTS]
    [(59, 360), (59, 365), (60, 360)]
    """
    if day_count == "30/360":
        days = schedule.days_of_thirty((first.year, first.month, first.day), (then.year, then.month, then.day))
    else:
        days = (then - first).days
    return max(0, days), DAY_COUNTS[day_count]


def accrued(balance: Decimal, annual_rate: Decimal, day_count: str, first: date, then: date) -> Decimal:
    """Interest on a balance between two days. [CNY]"""
    days, year = period(day_count, first, then)
    return money.from_fen(schedule.accrued_interest(money.fen(balance), float(annual_rate), days, year))


def accrued_of(loan: Loan, until: date) -> Decimal:
    """Interest of a loan since its balance last changed, not yet added to what is due. [CNY]"""
    if loan.interest_until is None or loan.annual_rate is None or loan.day_count is None:
        return Decimal("0.00")
    return accrued(loan.balance, loan.annual_rate, loan.day_count, loan.interest_until, until)


def due_days(start: date, months: int) -> list[date]:
    """The days on which a loan paid out on a day pays, month by month."""
    return [working_day(months_after(start, number)) for number in range(1, months + 1)]


def matures_on(start: date, months: int) -> date:
    """The last due day of a loan paid out on a day."""
    return working_day(months_after(start, months))


def first_issuance_months(start: date, incomes: Sequence[dict[str, Any]]) -> int | None:
    """Due days before the first that has some of the carbon's income behind it; None if none is expected."""
    first: date | None = min((one["on"] for one in incomes if one["income"] > 0), default=None)
    if first is None:
        return None
    months = max(0, (first.year - start.year) * 12 + first.month - start.month - 1)
    while working_day(months_after(start, months + 1)) < first:
        months += 1
    return months


def plan(loan: Loan, start: date | None = None) -> list[dict[str, Any]]:
    """Instalments of a loan as agreed, by month; principal sums to the amount. None before it is priced.

    Its days count from the disbursement; before that, from the day given or today, as if it were paid out then.
    """
    if loan.annual_rate is None or loan.day_count is None:
        return []
    start = loan.disbursed_on or start or clock.today()
    return planned(loan, loan.annual_rate, loan.day_count, loan.issuances or [], start)


def planned(
    loan: Loan, annual_rate: Decimal, day_count: str, issuances: Sequence[Sequence[Any]], start: date
) -> list[dict[str, Any]]:
    """Instalments of a loan at a rate, a day count and what the carbon is expected to bring: day and fen of each."""
    days = due_days(start, loan.term_months)
    lengths = [period(day_count, before, day) for before, day in zip([start, *days[:-1]], days, strict=True)]
    income = _income_by_period(issuances, start, days)
    return [
        {
            "number": row.number,
            "due_on": day,
            "principal": money.from_fen(row.principal),
            "interest": money.from_fen(row.interest),
            "balance": money.from_fen(row.balance),
        }
        for day, row in zip(days, _rows(loan, float(annual_rate), lengths, income), strict=True)
    ]


def _rows(loan: Loan, rate: float, lengths: Sequence[schedule.Period], income: Sequence[int]) -> list[Instalment]:
    amount, grace = money.fen(loan.amount), loan.grace_months
    if loan.repayment == "interest_only":
        return schedule.interest_only(amount, rate, lengths)
    if loan.repayment == "issuance_matched":
        return schedule.issuance_matched(amount, rate, income, lengths)
    make = schedule.equal_principal if loan.repayment == "equal_principal" else schedule.equal_instalment
    return make(amount, rate, lengths, grace_periods=grace)


def _income_by_period(issuances: Sequence[Sequence[Any]], start: date, days: Sequence[date]) -> list[int]:
    """What the carbon is expected to bring from each due day on until the next. [fen]"""
    income = [0] * len(days)
    for on, brings in issuances:
        place = next((number for number, day in enumerate(days) if day >= date.fromisoformat(on)), None)
        if place is not None and date.fromisoformat(on) > start:
            income[place] += brings
    return income


def agreed(session: Session, loan: Loan) -> list[dict[str, Any]]:
    """Instalments as they were kept when the money went out; before that, as it would be if it went out today.

    A later release of the calendar moves no day that was agreed.
    """
    balance, items = loan.disbursed, []
    for row in instalments_of(session, loan.id):
        balance -= row.principal
        items.append({name: getattr(row, name) for name in KEPT} | {"balance": balance})
    return items or plan(loan)


def as_told(rows: Sequence[Mapping[str, Any]]) -> tuple[PrincipalDue, ...]:
    """The part of a schedule that others are told: when which principal falls due."""
    return tuple(
        PrincipalDue(month=row["number"], due_on=row["due_on"], principal=row["principal"])
        for row in rows
        if row["principal"]
    )


def show(session: Session, loan: Loan) -> dict[str, Any]:
    """The schedule of a loan with how its days are counted."""
    items = agreed(session, loan)
    return {
        "repayment": loan.repayment,
        "grace_months": loan.grace_months,
        "day_count": loan.day_count,
        "calendar": CALENDAR,
        "calendar_known_until": KNOWN_UNTIL,
        "days_to_be_confirmed": any(row["due_on"].year > KNOWN_UNTIL for row in items),
        "indicative": loan.disbursed_on is None,
        "items": items,
    }


def terms(loan: Loan, start: date) -> dict[str, Any]:
    """The schedule as an offer puts it, in texts and whole numbers only: as if it were paid out on a day."""
    rows = plan(loan, start)
    payments = [row["principal"] + row["interest"] for row in rows]
    principal = [row for row in rows if row["principal"] > 0]
    return {
        "day_count": loan.day_count,
        "calendar": CALENDAR,
        "if_paid_out_on": start.isoformat(),
        "payments": len(rows),
        "first_principal_on": principal[0]["due_on"].isoformat(),
        "first_principal": str(principal[0]["principal"]),
        "last_due_on": rows[-1]["due_on"].isoformat(),
        "largest_payment": str(max(payments)),
        "interest": str(sum((row["interest"] for row in rows), Decimal("0.00"))),
    }

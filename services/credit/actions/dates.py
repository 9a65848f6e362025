"""Calendar arithmetic of a loan's term."""

from calendar import monthrange
from datetime import date


def months_after(day: date, months: int) -> date:
    """The same day some months later; the last of the month where that month is shorter.

    >>> months_after(date(2026, 1, 31), 1), months_after(date(2024, 2, 29), 12)
    (datetime.date(2026, 2, 28), datetime.date(2025, 2, 28))
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))

"""When the loans of a file were made: the column that tells it, and the periods that an out-of-time test goes by."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?|(\d{2})(\d{2})?)?(?:[T ]\d.*)?")
#: A bare year tells when a loan was made only under such a name; a day tells it under any.
_NAMED = re.compile(r"(?i)date|year|month|period|vintage|fiscal|approv|issue|orig|appl|时间|日期|年份|年度")
#: An out-of-time test needs loans to learn from, to set the level on, and to test.
LEAST = 3


def day(told: str) -> tuple[int, int, int] | None:
    """Year, month, day of a date whose order is beyond doubt, 0 for what it does not say; None of anything else.

    >>> day("2007-03-31"), day("200703"), day("2007"), day("31/03/2007")
    ((2007, 3, 31), (2007, 3, 0), (2007, 0, 0), None)
    """
    found = _DATE.fullmatch(told.strip())
    if not found:
        return None
    year, month, number = int(found[1]), int(found[2] or found[4] or 0), int(found[3] or found[5] or 0)
    try:
        date(year, month or 1, number or 1)
    except ValueError:
        return None
    return (year, month, number) if 1900 <= year <= 2100 else None


def periods(values: Sequence[str]) -> tuple[list[int], list[str]] | None:
    """Place of each value among the periods, -1 of an empty one, and the periods in order; None if they have none.

    Dates go by years, or by months where the years are too few; other numbers by themselves.
    """
    known = [one.strip() for one in values if one.strip()]
    days = [day(one) for one in known]
    keys: list[tuple[float, ...]]
    if known and all(one is not None for one in days):
        keys = [one[:1] for one in days if one is not None]
        if len(set(keys)) < LEAST and all(one is not None and one[1] for one in days):
            keys = [one[:2] for one in days if one is not None]
        names = {key: "-".join(f"{int(part):02d}" for part in key) for key in keys}
    else:
        try:
            keys = [(float(one),) for one in known]
        except ValueError:
            return None
        names = {key: f"{key[0]:g}" for key in keys}
    order = {key: place for place, key in enumerate(sorted(names))}
    places = iter(keys)
    return [order[next(places)] if one.strip() else -1 for one in values], [names[key] for key in sorted(names)]


def dated_column(rows: Sequence[Mapping[str, str]], apart_from: Iterable[str] = ()) -> str | None:
    """The column that dates every loan; of several the one with the earliest days, as an application comes first."""
    found: list[tuple[float, str]] = []
    for column in rows[0]:
        if column in apart_from:
            continue
        texts = [row[column].strip() for row in rows]
        days = [one for one in map(day, texts) if one is not None]
        if len(days) < len(texts) or len(set(days)) < LEAST:
            continue
        if _NAMED.search(column) or all(not one.isdigit() and len(one) > 7 for one in texts):
            # In the middle of what it does not say.
            found.append((sum(y + (m or 6.5) / 12 + (d or 15) / 365 for y, m, d in days), column))
    return min(found)[1] if found else None

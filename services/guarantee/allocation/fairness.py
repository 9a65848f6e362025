"""Why a loan was refused, and which later ones were given the room it asked for."""

from bisect import bisect_right
from typing import Any

import numpy as np

from services.guarantee.allocation.placing import NONE, Placing
from services.guarantee.allocation.problem import Floats, Problem

#: Later loans named for each refusal; all of them are counted.
NAMED = 5


def refusals(problem: Problem, placing: Placing, prices: Floats) -> list[dict[str, Any]]:
    """Each refused loan in order of arrival, the limit that stands in its way, and the later loans that used it.

    That limit is the one its best column lacks room in; where all have room, the one that costs the column most: others
    are worth more for what they take of it.
    """
    queue = problem.queue
    reduced = problem.value - (prices[problem.row] * problem.use).sum(axis=1)
    order = np.lexsort((-reduced, ~problem.possible(), problem.loan))
    taken_by: dict[int, list[int]] = {}
    for column in placing.columns:
        for row in problem.row[column][problem.use[column] > 0].tolist():
            taken_by.setdefault(row, []).append(int(problem.loan[column]))
    told = []
    for number in np.flatnonzero(placing.chosen == NONE).tolist():
        begin, end = problem.start[number], problem.start[number + 1]
        one: dict[str, Any] = {"loan": queue.loans[number].id, "rule": None, "later": [], "later_count": 0}
        if begin < end:
            column = order[begin]
            row, use = problem.row[column], problem.use[column]
            short = np.maximum(use - np.maximum(placing.room[row], 0), 0) * (use > 0)
            binding = row[np.argmax(np.where(short > 0, 1e300 * (use > 0), 0) + prices[row] * use)]
            if binding < len(queue.buckets):
                users = taken_by.get(int(binding), [])
                later = users[bisect_right(users, number) :]
                one |= {
                    "rule": queue.buckets[binding].id, "price": float(prices[binding]),
                    "need": int(use[row == binding].max()), "room": int(placing.room[binding]),
                    "offer": queue.guarantors[problem.guarantor[column]].id,
                    "later": [queue.loans[other].id for other in later[:NAMED]], "later_count": len(later),
                }  # fmt: skip
        told.append(one)
    return told

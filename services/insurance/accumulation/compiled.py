"""The pass over all cells in one loop, compiled where numba is there (the extra `fast`): the same bytes, sooner.

Each cell goes through the operations that numpy puts it through, in their order, nothing fused and nothing
reassociated, so a run has one digest with or without the extra. Sums stay numpy's. The terms of a parcel stand in one
row, which is what the processor fetches at once.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Cells of a block from which on compiling, a second once a process, is worth its while.
LEAST = 20_000
AVAILABLE = find_spec("numba") is not None


def cells(damage: Floats, parcel: npt.NDArray[np.int32], terms: Floats, share: Floats | None) -> tuple[Floats, Floats]:
    """Ground-up loss of each cell, and what (I114) leaves of its insured part. [CNY]

    `terms` has a row for each parcel: value, insured value, deductible and its rate, limit and its rate, franchise;
    `share` is the part of each cell that a wording looks at, all of it if nothing is said.
    """
    ground_up, after = np.empty_like(damage), np.empty_like(damage)
    _loop()(damage, parcel, terms, np.ones(0) if share is None else share, share is not None, ground_up, after)
    return ground_up, after


@cache
def _loop() -> Callable[..., None]:
    # Half a second that few processes need.
    import numba

    def loop(damage: Any, parcel: Any, terms: Any, share: Any, shared: bool, ground_up: Any, after: Any) -> None:
        for cell in range(damage.shape[0]):
            row = terms[parcel[cell]]
            ground_up[cell] = damage[cell] * row[0]
            loss = damage[cell] * row[1]
            if shared:
                loss *= share[cell]
            left = loss * (1 - row[3]) - row[2]
            # Read before it is compared, so that the processor chooses and does not jump: four times as fast.
            most, by_rate, franchise = row[4], row[5] * loss if loss > 0.0 else 0.0, row[6]
            if left < 0.0:
                left = 0.0
            if by_rate < most:
                most = by_rate
            if most < left:
                left = most
            after[cell] = left if loss > franchise or franchise == 0.0 else 0.0

    compiled: Callable[..., None] = numba.njit(loop, nogil=True)
    return compiled

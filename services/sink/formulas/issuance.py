"""Units at issuance and after a reversal.        docs/equations/sink.md (S150)-(S152), (S154)-(S155)

n  units issued to the owner [tCO2e]      b  buffer share [-]      C  living stock [tCO2e]
N  net removal (S78) [tCO2e]              u  uncertainty deduction (S41) [-]      l  leakage share [-]

Units are whole tonnes, and rounding is always to the buffer's advantage.
"""

import numpy as np
from numpy.typing import NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative

#: Decimals at which a float that should be a whole number is one.
_SLACK = 9


def buffer_beside(units: Numbers, buffer_share: Numbers) -> NDArray[np.float64]:
    """Eq. (S150): whole units for the buffer beside an issuance to the owner, ⌈n·b/(1-b)⌉. [tCO2e]

    The share b is of the whole, the buffer's part included, as in (S53) and (S80).
    Source: Verra AFOLU NPRT v4.2 (buffer before issuance); the rounding is this project's.

    >>> float(buffer_beside(90.0, 0.1)), float(buffer_beside(91.0, 0.1))
    (10.0, 11.0)
    """
    if np.any(np.asarray(fraction("buffer share", buffer_share)) >= 1):
        raise ValueError("a buffer share of 1 leaves nothing to issue")
    beside = nonnegative("units", units) * np.asarray(buffer_share) / (1 - np.asarray(buffer_share))
    return np.asarray(np.ceil(np.round(beside, _SLACK)))


def reversed_tonnes(issued_tonnes: Numbers, verified_stock: Numbers, live_stock: Numbers) -> NDArray[np.float64]:
    """Eq. (S151): issued tonnes that a loss undid, min(issued, max(0, C_verified-C_live)). [tCO2e]

    Source: this project; what stands above the level that was verified is lost to nobody but the forecast.

    >>> float(reversed_tonnes(100.0, 1000.0, 960.0)), float(reversed_tonnes(100.0, 1000.0, 1200.0))
    (40.0, 0.0)
    """
    lost = nonnegative("verified stock", verified_stock) - nonnegative("live stock", live_stock)
    return np.asarray(np.minimum(nonnegative("issued tonnes", issued_tonnes), np.maximum(0.0, lost)))


def units_to_cover(reversed_tonnes: Numbers, covered_tonnes: Numbers) -> NDArray[np.float64]:
    """Eq. (S152): whole units still to be covered after a loss, max(0, ⌈reversed⌉-covered). [tCO2e]

    Source: this project; a second loss is covered as far as it goes beyond the first.

    >>> float(units_to_cover(40.2, 30.0))
    11.0
    """
    whole = np.ceil(np.round(nonnegative("reversed tonnes", reversed_tonnes), _SLACK))
    return np.asarray(np.maximum(0.0, whole - nonnegative("covered tonnes", covered_tonnes)))


def issuable_units(removal: Numbers, deduction: Numbers, buffer_share: Numbers) -> NDArray[np.float64]:
    """Eq. (S154): most whole units an owner may be issued, ⌊(1-b)·⌊(1-u)·max(0, N)⌋⌋. [tCO2e]

    N is what has grown by the end of the monitoring period and no issued unit stands on. With the buffer's part of
    (S150) beside them never more than (1-u)·N are minted.
    Source: AR-TOOL14 v04.2 (discount), Verra AFOLU NPRT v4.2 (buffer before issuance); the rounding is this project's.

    >>> float(issuable_units(104.0, 0.0375, 0.1)), float(issuable_units(-3.0, 0.0375, 0.1))
    (90.0, 0.0)
    """
    minted = np.floor(np.round((1 - fraction("deduction", deduction)) * np.maximum(0.0, removal), _SLACK))
    return np.asarray(np.floor(np.round((1 - fraction("buffer share", buffer_share)) * minted, _SLACK)))


def credited_stock(minted: Numbers, deduction: Numbers, leakage_share: Numbers) -> NDArray[np.float64]:
    """Eq. (S155): growth of the stock that minted units stand on, (n+b)/((1-u)·(1-l)). [tCO2e]

    The next issuance counts from the stock at the start of crediting and all of this.
    Source: this project; (S154) read backwards.

    >>> float(credited_stock(77.0, 0.0375, 0.0))
    80.0
    """
    kept = (1 - fraction("deduction", deduction)) * (1 - fraction("leakage share", leakage_share))
    return np.asarray(nonnegative("minted units", minted) / kept)

"""One event on three balance sheets: insurer, bank, guarantor.        docs/equations/insurance.md (I144)-(I147)

P  payment of the policy  [CNY]      B  balance owed to the bank before the event  [CNY]
s  share of the pledged forests' value that the event takes  [-]      p  default probability before it  [-]
g  share of a default that the guarantor's side carries  [-]
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def exposures_after_payment(balances: Array, payments: Array) -> Array:
    """Eq. (I144): what the bank is still owed after the payees' order, B − min(P, B). [CNY]

    The first lender takes all of a payment up to its balance, as (I63) has it for one lender.

    Source: trade press on loss-payee clauses, interest as it may appear. Verified: secondary.

    >>> exposures_after_payment(np.array([300.0, 300.0]), np.array([100.0, 400.0]))
    array([200.,   0.])
    """
    return np.asarray(balances - np.minimum(payments, balances))


def stressed_default_probability(probabilities: Array, lost_shares: Array) -> Array:
    """Eq. (I145): chance of a default after a loss, p + (1 − p)·s: who lost all of the pledge is taken to default. [-]

    Source: this project, an assumption that no loan data was held to. Verified: no.

    >>> stressed_default_probability(np.array([0.02, 0.02]), np.array([0.0, 1.0]))
    array([0.02, 1.  ])
    """
    return np.asarray(probabilities + (1 - probabilities) * np.clip(lost_shares, 0, 1))


def guarantor_calls(exposures: Array, default_probabilities: Array, guarantee_shares: Array) -> Array:
    """Eq. (I146): expected call on the guarantor's side, g·p·E; the bank keeps (1 − g)·p·E. [CNY]

    Nothing is recovered from what is left of the forests: it comes later, and is shared back.

    Source: sharing by scheme, textbook. Verified: no.

    >>> guarantor_calls(np.array([200.0]), np.array([0.5]), np.array([0.8]))
    array([80.])
    """
    return np.asarray(exposures * default_probabilities * guarantee_shares)


def tail_means(year_losses: Array, others: Array, worst: int) -> Array:
    """Eq. (I147): mean of others' years in the worst years of one's own, by row: what falls together. [CNY]

    Equal years are taken in table order, as in (I81).

    Source: conditional tail expectation, textbook. Verified: measured.

    >>> tail_means(np.array([0.0, 5.0, 9.0]), np.array([[1.0, 2.0, 3.0]]), worst=2)
    array([2.5])
    """
    return np.asarray(others[:, np.argsort(-year_losses, kind="stable")[:worst]].mean(axis=1))

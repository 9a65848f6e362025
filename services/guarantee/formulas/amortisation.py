"""Use of a limit while the loan is paid back.        docs/equations/guarantee.md (G66)"""


def amortised_use(granted: int, balance: int, amount: int) -> int:
    """Eq. (G66): use left at a balance, pro rata, ⌈granted·balance/amount⌉: it only falls, and is 0 at 0. [fen]

    Source: project rule, release pro rata with principal. Verified: no.

    >>> [amortised_use(80, balance, amount=100) for balance in (100, 99, 50, 0)]
    [80, 80, 40, 0]
    """
    if granted < 0 or not 0 <= balance <= amount or amount == 0:
        raise ValueError(f"no use of {granted} is left at {balance} of {amount}")
    return -(-granted * balance // amount)

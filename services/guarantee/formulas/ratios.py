"""Ratios of a guarantor's report.        docs/equations/guarantee.md (G71)-(G72)"""


def leverage(liability: int, net_assets: int) -> float:
    """Eq. (G71): liability balance in multiples of net assets, B/NA; no net assets have no multiple. [-]

    Source: State Council Order 683 art. 15. Verified: read.

    >>> leverage(230_000_000_000, net_assets=20_000_000_000)
    11.5
    """
    if net_assets <= 0:
        raise ValueError(f"net assets are above 0: {net_assets}")
    return liability / net_assets


def share_of_book(part: int, whole: int) -> float:
    """Eq. (G72): share that a kind of business has in the book, part/whole; a book of nothing has no share. [-]

    Source: Caijin [2025] 11 for small and agricultural business. Verified: read.

    >>> share_of_book(80, whole=100)
    0.8
    """
    if whole <= 0 or not 0 <= part <= whole:
        raise ValueError(f"a part lies within its whole: {part} of {whole}")
    return part / whole

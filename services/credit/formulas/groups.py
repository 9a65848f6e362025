"""Borrowers that belong together.        docs/equations/credit.md (C91)

Whoever shares a representative, an owner or an account with another is one risk with it, and so with everybody the
other is connected with.
"""

from collections.abc import Iterable


def connected_groups(members: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Eq. (C91): group of each of n members by their links, the smallest member of its connected component. [-]

    Union by the smaller member with path halving, so almost linear in the links.
    Source: disjoint-set forest, textbook; no.

    >>> connected_groups(5, [(3, 1), (4, 3)])
    [0, 1, 2, 1, 1]
    """
    above = list(range(members))

    def top(member: int) -> int:
        while above[member] != member:
            above[member] = above[above[member]]
            member = above[member]
        return member

    for one, other in links:
        first, second = sorted((top(one), top(other)))
        above[second] = first
    return [top(member) for member in range(members)]

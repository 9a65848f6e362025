"""Connected borrowers: who belongs together within one bank, and what the bank has at risk with all of them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions.policy import PARTIES, policy
from services.credit.formulas.groups import connected_groups
from services.credit.tables import Party, exposures, group_of, shared_marks, sharing
from shared import clock
from shared.db import found

#: Groups in one answer.
_MOST = 100


def members(session: Session, party_id: UUID) -> list[UUID]:
    """A party and everybody connected with it."""
    return group_of(session, party_id, _links())


def show(session: Session, party_id: UUID) -> dict[str, Any]:
    """A party's group: who, what the bank has at risk with each, and what this party shares with whom."""
    found(session, Party, party_id)
    everybody = members(session, party_id)
    at_risk = exposures(session, everybody)
    return {
        "members": [{"party_id": one, "exposure": at_risk.get(one, Decimal("0.00"))} for one in everybody],
        "exposure": sum(at_risk.values(), Decimal("0.00")),
        "shared": [{"party_id": other, "link": kind} for other, kind in sharing(session, party_id)],
        "links": _links(),
    }


def show_all(session: Session) -> dict[str, Any]:
    """Every group of more than one borrower, the largest exposure first."""
    links = shared_marks(session, _links())
    everybody = sorted({party for parties in links for party in parties})
    number = {party: place for place, party in enumerate(everybody)}
    pairs = ((number[parties[0]], number[other]) for parties in links for other in parties[1:])
    at_risk = exposures(session, everybody)
    groups: dict[int, list[UUID]] = {}
    for party, group in zip(everybody, connected_groups(len(everybody), pairs), strict=True):
        groups.setdefault(group, []).append(party)
    shown: list[dict[str, Any]] = [
        {
            "members": [{"party_id": one, "exposure": at_risk.get(one, Decimal("0.00"))} for one in group],
            "exposure": sum((at_risk.get(one, Decimal(0)) for one in group), Decimal("0.00")),
        }
        for group in groups.values()
    ]
    shown.sort(key=lambda group: (-group["exposure"], str(group["members"][0]["party_id"])))
    return {"items": shown[:_MOST]}


def _links() -> list[str]:
    links: list[str] = policy(clock.today(), PARTIES)["group_links"]
    return links

"""Issued forests, requests and steps for the tests of compensation."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from services.sink.actions.units import issue_credits
from services.sink.tables import Asset
from shared import clock
from tests.conftest import Database
from tests.harness import BUREAU, Client, body, client
from tests.sink.examples import forests, years_from_today

MEMBER, OTHER_MEMBER = "campus-yanmen", "village-sanggan"


def member(database: Database, institution: str = MEMBER) -> Client:
    """An institution that makes up for its own emissions."""
    return client("sink", database, "member", institution)


def bureau(database: Database) -> Client:
    """The bureau's person."""
    return client("sink", database, "bureau", BUREAU)


def issued(database: Database, sealed: Any, *tonnes: str) -> list[Asset]:
    """Forests with so many tonnes issued each."""
    made = forests(database, sealed, len(tonnes), crediting_from=years_from_today(-5))
    with sealed(database.sessions, BUREAU) as session:
        for number, (asset, mass) in enumerate(zip(made, tonnes, strict=True)):
            until = clock.today() - timedelta(days=1)
            issue_credits(session, asset.id, f"ccer:{number}", asset.crediting_from, until, Decimal(mass))
    return made


def meeting(**changes: Any) -> dict[str, Any]:
    """A meeting of 120 people who come by train and four who come in two cars."""
    return {
        "kind": "meeting",
        "name": "林长会议",
        "period_from": clock.today().isoformat(),
        "period_until": clock.today().isoformat(),
        "journeys": [
            {"mode": "rail", "travellers": 120, "distance_km": "320"},
            {"mode": "car", "travellers": 2, "distance_km": "100"},
        ],
        "activities": {"electricity_national": "1000", "room_night": "40", "meal": "240"},
    } | changes


def order(**changes: Any) -> dict[str, Any]:
    """An order for ten tonnes."""
    return {"registrar": BUREAU, "beneficiary": "雁门大学", "purpose": "2026 meeting", "tonnes": "10"} | changes


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def tag(thing: dict[str, Any]) -> str:
    """The ETag of a resource as it was read."""
    return f'"v{thing["version"]}"'


def paid(database: Database, buyer: Client, **changes: Any) -> dict[str, Any]:
    """An order whose payment the bureau recorded."""
    made = body(buyer.post("/v1/compensation-orders", order(**changes)), 201)
    receipt = {"amount": made["amount"], "reference": "bank slip 7"}
    path = f"/v1/compensation-orders/{made['id']}/receipt"
    recorded: dict[str, Any] = body(bureau(database).post(path, receipt, If_Match=tag(made)))
    return recorded


def retired(database: Database, buyer: Client, **changes: Any) -> dict[str, Any]:
    """An order whose units are retired."""
    made = paid(database, buyer, **changes)
    path = f"/v1/compensation-orders/{made['id']}/retirement"
    done: dict[str, Any] = body(bureau(database).post(path, If_Match=tag(made)))
    return done

"""Forests and loans for the tests of the sink."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from services.sink.actions.assets import AssetFacts, import_assets
from services.sink.actions.projects import advance_project, enter_project
from services.sink.actions.valuations import Newcomer
from services.sink.tables import Asset
from shared import clock
from shared.errors import RefusalError
from shared.events.base import REGISTRY, decode
from shared.events.credit import LoanAccepted
from shared.events.parts import PledgedAsset
from shared.outbox import Outbox
from tests.conftest import Database
from tests.harness import BANK, BUREAU, body, client

SIDE = 0.01  # degrees, about a kilometre


def square(place: int = 0, *, side: float = SIDE) -> dict[str, Any]:
    """A square parcel at a numbered place; neighbouring numbers do not touch."""
    west, south = 112.0 + 0.02 * (place % 60), 39.2 + 0.02 * (place // 60)
    ring = [[west, south], [west + side, south], [west + side, south + side], [west, south + side], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def asset_request(place: int = 0, **changes: Any) -> dict[str, Any]:
    """The body that registers a forest of larch and pine at a numbered place."""
    today = clock.today()
    return {
        "name": f"Parcel {place}",
        "county": "youyu",
        "geometry": square(place),
        "species": [
            {"species": "larix_principis", "share": "0.6"},
            {"species": "pinus_tabuliformis", "share": "0.4"},
        ],
        "planted_year": 2012,
        "survival": "0.85",
        "volume_m3_ha": "20",
        "sampling_uncertainty": "0.15",
        "hazards": {"fire": "0.4", "drought": "0.5"},
        "title_until": today.replace(year=today.year + 40, day=1).isoformat(),
        "crediting_until": today.replace(year=today.year + 25, day=1).isoformat(),
    } | changes


def facts(place: int = 0, **changes: Any) -> AssetFacts:
    """What the action gets for the same forest."""
    today = clock.today()
    given: dict[str, Any] = {
        "name": f"Parcel {place}",
        "kind": "forest",
        "programme": "ccer",
        "county": "youyu",
        "geometry": square(place),
        "species": [
            {"species": "larix_principis", "share": Decimal("0.6")},
            {"species": "pinus_tabuliformis", "share": Decimal("0.4")},
        ],
        "planted_year": 2012,
        "survival": Decimal("0.85"),
        "volume_m3_ha": Decimal(20),
        "sampling_uncertainty": Decimal("0.15"),
        "hazards": {"fire": Decimal("0.4"), "drought": Decimal("0.5")},
        "title_until": today.replace(year=today.year + 40, day=1),
        "crediting_until": today.replace(year=today.year + 25, day=1),
    }
    return AssetFacts(**given | changes)


def forests(database: Database, sealed: Any, count: int = 1, **changes: Any) -> list[Asset]:
    """Register and value forests for the bureau."""
    with sealed(database.sessions, BUREAU) as session:
        made = imported(session, [facts(place, **changes) for place in range(count)])
    in_a_project(database, sealed, [one for one in made if one.programme == "ccer"])
    return made


def imported(session: Session, many: Sequence[AssetFacts]) -> list[Asset]:
    """Register and value forests, every one of them, and read them."""
    entered = import_assets(session, many)
    assert not [one for one in entered if isinstance(one, RefusalError)], entered
    return [session.get_one(Asset, one.id) for one in entered if isinstance(one, Newcomer)]


def in_a_project(database: Database, sealed: Any, assets: Sequence[Asset]) -> UUID | None:
    """Put forests into a project whose reductions up to today are registered, so that their units can be issued."""
    if not assets:
        return None
    today = clock.today()
    with sealed(database.sessions, BUREAU) as session:
        project = enter_project(
            session, "Windbreaks", "CCER-14-001-V01", [one.id for one in assets], today, "notice of the portal"
        )
        advance_project(session, project.id, "registered", today, "decision of the registry")
        start = min(one.crediting_from for one in assets)
        advance_project(session, project.id, "reductions_notice", today, "notice of the portal", start, today)
        advance_project(session, project.id, "reductions_registered", today, "decision of the registry")
        return project.id


def minted(database: Database, sent: dict[str, Any], institution: str = BUREAU) -> TestResponse:
    """Propose an issuance and have a second person approve it; the answer to the last that was asked."""
    proposed = client("sink", database, "bureau", institution).post("/v1/issuance-proposals", sent)
    if proposed.status_code != 201:
        return proposed
    made = body(proposed, 201)
    approver = client("sink", database, "bureau-approver", institution)
    return approver.post(f"/v1/issuance-proposals/{made['id']}/issuance", {"payload_hash": made["payload_hash"]})


def story(database: Database, asset_id: UUID) -> list[Any]:
    """What was told of one asset, in the order of its numbers."""
    with database.worker_sessions() as session:
        rows = session.scalars(select(Outbox).where(Outbox.key == str(asset_id)).order_by(Outbox.sequence)).all()
    return [decode(REGISTRY[row.type], row.payload) for row in rows]


def read_asset(database: Database, asset_id: UUID) -> Asset:
    """An asset as it stands now."""
    with database.sessions() as session:
        return session.get_one(Asset, asset_id)


def accepted(
    pledges: Sequence[tuple[UUID, str]], *, loan_id: UUID | None = None, bank: str = BANK, **changes: Any
) -> LoanAccepted:
    """A loan accepted on pledges of assets, each with its tonnes."""
    given: dict[str, Any] = {
        "loan_id": loan_id or uuid4(),
        "bank": bank,
        "insurer": "insurer-jinbei",
        "guarantor": "guarantor-shuozhou",
        "amount": Decimal("500000.00"),
        "term_months": 36,
        "cover_id": uuid4(),
        "guarantee_id": uuid4(),
        "pledges": tuple(
            PledgedAsset(
                asset_id=asset_id, valuation_version=1, county="youyu", tonnes=Decimal(tonnes), value=Decimal("1.00")
            )
            for asset_id, tonnes in pledges
        ),
        "bind_by": clock.now() + timedelta(hours=1),
    }
    return LoanAccepted(**given | changes)


def years_from_today(years: int) -> date:
    """The first of this month some years away."""
    today = clock.today()
    return today.replace(year=today.year + years, day=1)

"""A reading sees one moment, however many statements it takes and whatever is committed between them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from marshmallow import fields
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared import db
from shared import fields as house
from shared.ids import uuid7
from shared.web import Blueprint, Service, create_app
from tests.shared.notes import BANK, Note, Notes


class Counts(house.Base):
    before = fields.Integer(required=True)
    after = fields.Integer(required=True)


def test_what_is_committed_in_the_midst_of_a_reading_is_not_seen_by_it(notes: Notes) -> None:
    blp = Blueprint("counts", __name__, url_prefix="/v1", description="Counts")

    @blp.query("/counts", scope="notes:read")
    @blp.response(200, Counts())
    def get_counts(session: Session) -> dict[str, Any]:
        """Count, let somebody write, count again."""
        count = select(func.count()).select_from(Note)
        before = session.scalar(count)
        with notes.database.sessions.begin() as other:
            db.act_for(other, BANK)
            other.add(Note(id=uuid7(), institution=BANK, title=str(UUID(int=before or 0)), amount=Decimal(1)))
        return {"before": before, "after": session.scalar(count)}

    service = Service(
        name="notes",
        title="Notes",
        sessions=notes.database.sessions,
        verifier=notes.verifier,
        cursor_key=b"a key of the test",
        ready=lambda: {"ready": True},
        version="0",
    )
    notes.app = create_app(service, blp)
    assert notes.get("/v1/counts").get_json() == {"before": 0, "after": 0}
    assert notes.get("/v1/counts").get_json() == {"before": 1, "after": 1}

"""The smallest service there can be: notes with an amount, behind the real door, in a real database of their own."""

import json
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from marshmallow import fields
from sqlalchemy import CheckConstraint, Engine, String, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.test import TestResponse

from shared import audit, db, outbox
from shared import fields as house
from shared.auth import Keys, Verifier
from shared.db import Id, Institution, MoneyColumn, Versioned
from shared.errors import ConflictError
from shared.events.credit import LoanWithdrawn
from shared.ids import uuid7
from shared.web import Blueprint, Service, create_app, page
from tests.conftest import Database

ISSUER, AUDIENCE = "https://issuer.example", "notes"
BANK, OTHER = "bank-yanmen", "bank-sanggan"


class Base(DeclarativeBase):
    metadata = db.metadata()


class Note(Versioned, Base):
    __tablename__ = "notes"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    title: Mapped[str] = mapped_column(String(40), unique=True)
    amount: Mapped[MoneyColumn]


def lay_down(database: Database) -> None:
    """Make the table of notes."""
    Base.metadata.create_all(database.owner)
    with database.owner.begin() as connection:
        for rule in db.private_table("sink", "notes"):
            connection.execute(text(rule))


class NoteRequest(house.Base):
    title = house.Text(max_length=40, required=True)
    amount = house.Money(required=True, minimum="0.00")
    tonnes = house.Quantity(places=3, load_default=None)
    years = house.Whole(minimum=1, maximum=60, load_default=None)
    tags = fields.List(house.Text(max_length=10), load_default=list)


class NoteResponse(house.Versioned):
    title = fields.String(required=True)
    amount = house.Money(required=True)


class NotesQuery(house.PageQuery):
    title = house.Text(load_default=None)


@dataclass
class Switch:
    """Lets a test hold a view in its middle, or make it fail there."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)
    calls: int = 0


def blueprint(switch: Switch) -> Blueprint:
    blp = Blueprint("notes", __name__, url_prefix="/v1", description="Notes")

    def made(session: Session, body: dict[str, Any]) -> Note:
        note = Note(id=uuid7(), institution=db.tenant(session), title=body["title"], amount=body["amount"])
        session.add(note)
        audit.record(session, "note", note.id)
        outbox.put(session, LoanWithdrawn(loan_id=note.id, bank=BANK, insurer="i", guarantor="g", reason="note"))
        switch.calls += 1
        return note

    @blp.command("POST", "/notes", scope="notes:write")
    @blp.arguments(NoteRequest())
    @blp.response(201, NoteResponse())
    def post_note(session: Session, body: dict[str, Any]) -> Any:
        """Make a note."""
        note = made(session, body)
        return note, 201, {"Location": f"/v1/notes/{note.id}"}

    @blp.query("/notes", scope="notes:read")
    @blp.arguments(NotesQuery(), location="query")
    @blp.response(200, house.page_of(NoteResponse(), "NotePage"))
    def get_notes(session: Session, query: dict[str, Any]) -> Any:
        """List notes, newest first."""
        statement = select(Note).where(Note.title.startswith(query["title"])) if query["title"] else select(Note)
        return page(session, statement, Note.id, query, title=query["title"])

    @blp.query("/notes/<uuid:note_id>", scope="notes:read")
    @blp.response(200, NoteResponse())
    def get_note(session: Session, note_id: UUID) -> Note:
        """Show a note."""
        return db.found(session, Note, note_id)

    @blp.command("POST", "/notes/<uuid:note_id>/doubling", scope="notes:write", if_match=True)
    @blp.response(200, NoteResponse())
    def post_doubling(session: Session, note_id: UUID) -> Note:
        """Double the amount."""
        note = db.locked(session, Note, note_id)
        note.amount *= 2
        audit.record(session, "double", note.id)
        return note

    @blp.command("PUT", "/notes/<uuid:note_id>", scope="notes:write", if_match=True)
    @blp.arguments(NoteRequest())
    @blp.response(200, NoteResponse())
    def put_note(session: Session, body: dict[str, Any], note_id: UUID) -> Note:
        """Write a note anew."""
        note = db.locked(session, Note, note_id)
        note.title, note.amount = body["title"], body["amount"]
        return note

    @blp.command("POST", "/troubles", scope="notes:write")
    @blp.arguments(NoteRequest())
    @blp.response(201, NoteResponse())
    def post_trouble(session: Session, body: dict[str, Any]) -> Note:
        """Make a note, then wait or fail in the middle as the test has it."""
        note = made(session, body)
        session.flush()
        switch.arrived.release()
        assert switch.go.wait(60)
        if switch.failures:
            raise switch.failures.pop()
        return note

    @blp.command("POST", "/refusals", scope="notes:write")
    @blp.arguments(NoteRequest())
    @blp.response(201, NoteResponse())
    def post_refusal(session: Session, body: dict[str, Any]) -> Note:
        """Make a note, then refuse it."""
        made(session, body)
        session.flush()
        raise ConflictError("not this one")

    @blp.question("/guesses", scope="notes:read")
    @blp.arguments(NoteRequest())
    @blp.response(200, NoteResponse())
    def post_guess(session: Session, body: dict[str, Any]) -> Note:
        """Say what a note would be, and how many this session sees."""
        seen = len(session.scalars(select(Note)).all())
        return Note(id=uuid7(), version=seen, institution="", title=body["title"], amount=body["amount"])

    @blp.query("/writes", scope="notes:read")
    @blp.response(200, NoteResponse())
    def get_write(session: Session) -> Note:
        """Do what a query should not."""
        return made(session, {"title": "sneaky", "amount": Decimal(1)})

    return blp


@dataclass
class Issuer:
    """An issuer of test tokens: a key, and the file of its public half."""

    folder: Path
    key: ECKey = field(
        default_factory=lambda: ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    )

    def __post_init__(self) -> None:
        self.publish(self.key)

    @property
    def jwks(self) -> Path:
        return self.folder / "jwks.json"

    def publish(self, *keys: Any) -> None:
        self.jwks.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)), encoding="utf-8")

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": "ann",
            "institution": BANK,
            "scope": "notes:read notes:write",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        } | more

    def token(self, **more: Any) -> str:
        claims = {name: value for name, value in self.claims(**more).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)


@dataclass
class Notes:
    """The service, running, and somebody who calls it."""

    database: Database
    issuer: Issuer
    #: The superuser, who sees every institution's rows.
    admin: Engine
    switch: Switch = field(default_factory=Switch)
    verifier: Verifier = field(init=False)
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self.verifier = Verifier(Keys(str(self.issuer.jwks)), ISSUER, AUDIENCE)
        self.restart()

    def restart(self) -> None:
        """Make the app anew, as another process would."""
        service = Service(
            name="notes",
            title="Notes",
            sessions=self.database.sessions,
            verifier=self.verifier,
            cursor_key=b"a key of the test",
            ready=lambda: {"ready": True, "outbox_oldest_age_seconds": 0.0},
            version="0",
        )
        self.app = create_app(service, blueprint(self.switch))

    def call(self, method: str, path: str, *, who: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        """Call with a good token and a fresh key, unless other headers are given; a header of None is left out."""
        headers = {"Authorization": f"Bearer {self.issuer.token(**(who or {}))}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid4())
        headers |= more.pop("headers", {})
        sent = {name: value for name, value in headers.items() if value is not None}
        return self.app.test_client().open(path, method=method, headers=sent, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str = "/v1/notes", body: Any = None, **more: Any) -> TestResponse:
        """POST; bytes as they are, anything else as JSON."""
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json"} | more.pop("headers", {})
            return self.call("POST", path, data=body, headers=headers, **more)
        return self.call("POST", path, json=body, **more)

    def make(self, title: str = "first", amount: str = "1000.00", **more: Any) -> TestResponse:
        return self.post(body=note(title, amount), **more)

    def left(self) -> dict[str, int]:
        """How many rows each table has that a request may write, whoever owns them."""
        with self.admin.connect() as connection:
            return {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in NOTHING}


NOTHING = {"notes": 0, "outbox": 0, "audit_entries": 0, "idempotent_answers": 0}
ONE = {"notes": 1, "outbox": 1, "audit_entries": 1, "idempotent_answers": 1}


def note(title: str = "first", amount: str = "1000.00", **more: Any) -> dict[str, Any]:
    return {"title": title, "amount": {"amount": amount, "currency": "CNY"}, **more}


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.get_data(as_text=True)[:1000]}"
    assert answer.mimetype == "application/problem+json"
    read: dict[str, Any] = json.loads(answer.get_data())
    assert read["status"] == status
    assert read["type"].startswith("https://heartwood.example/problems/")
    assert read["title"]
    assert len(read["detail"]) > 10
    assert read["instance"] == answer.headers["X-Request-Id"]
    return read

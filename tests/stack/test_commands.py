"""The operators' commands against a real database, as they are typed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from deploy.embedded import EmbeddedPostgres
from services.credit.tables import Valuation
from shared import audit, inbox
from shared.errors import RefusalError
from shared.events.sink import CarbonAssetValued
from shared.inbox import Consumer, DeadLetter, Record
from tests.conftest import Database
from tests.credit.story import ASSET, valued
from tests.harness import record
from tests.stack.conftest import heartwood

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(credit_db: Database, postgres: EmbeddedPostgres) -> Run:
    """Run a command beside credit's database."""
    variables = {**os.environ, "HEARTWOOD_WORKER_DATABASE_URL": credit_db.url(postgres, "worker")}
    return lambda *arguments, **more: heartwood(*arguments, env={**variables, **more})


def refusing(session: Session, event: CarbonAssetValued) -> None:
    raise RefusalError("not before [red]noon[/red]")


def bury(database: Database, *records: Record) -> list[UUID]:
    """Let a consumer that refuses everything receive these; the dead letters, oldest first."""
    consumer = Consumer("credit", {CarbonAssetValued: refusing}, lambda event: "")
    inbox.receive(database.worker_sessions, consumer, records, "a cluster")
    with database.worker_sessions() as session:
        return list(session.scalars(select(DeadLetter.id).order_by(DeadLetter.id)))


def test_a_dead_letter_is_listed_shown_and_replayed_once(credit_db: Database, run: Run) -> None:
    assert run("dead", "list") == (0, "no dead letters\n")
    (letter,) = bury(credit_db, record(valued(), offset=41))

    code, told = run("dead", "list")
    assert code == 0
    assert str(letter) in told
    assert "sink.events 0/41" in told
    assert "not before [red]noon[/red]" in told

    code, told = run("dead", "show", str(letter))
    shown = json.loads(told)
    assert code == 0
    assert shown["topic"] == "sink.events"
    assert shown["offset"] == 41
    assert shown["headers"]["ce_type"].endswith("CarbonAssetValued.v1")
    assert json.loads(shown["value"])["asset_id"] == str(ASSET)

    assert run("dead", "replay", "credit", str(letter)) == (0, "applied\n")
    with credit_db.worker_sessions() as session:
        assert session.scalars(select(Valuation.asset_id)).all() == [ASSET]
    assert run("dead", "replay", "credit", str(letter)) == (0, "replayed before\n")
    assert run("dead", "list") == (0, "no dead letters\n")


def test_the_whole_id_is_listed_however_narrow_the_terminal(credit_db: Database, run: Run) -> None:
    (letter,) = bury(credit_db, record(valued()))
    code, told = run("dead", "list", COLUMNS="60")
    assert code == 0
    assert str(letter) in told


def test_what_cannot_be_replayed_is_told_in_one_line(credit_db: Database, run: Run) -> None:
    good = record(valued())
    (letter,) = bury(credit_db, Record(good.topic, 0, 0, good.key, b"{not json", good.headers))
    code, told = run("dead", "replay", "credit", str(letter))
    assert code == 1
    assert told.startswith("still unreadable: ")
    assert told.count("\n") == 1
    nobody = uuid4()
    assert run("dead", "replay", "credit", str(nobody)) == (1, f"no dead letter has the id {nobody}\n")
    code, told = run("dead", "show", str(nobody))
    assert code == 1
    assert told.count("\n") == 1


def test_a_broken_audit_chain_is_found_and_named(credit_db: Database, run: Run, sealed: Any) -> None:
    assert run("audit", "verify") == (0, "")
    for bank in ("bank-sanggan", "bank-yanmen"):
        for _ in range(3):
            with sealed(credit_db.worker_sessions, bank) as session:
                audit.record(session, "test", uuid4())
    assert run("audit", "verify") == (0, "bank-sanggan: the chain holds\nbank-yanmen: the chain holds\n")

    def sabotage(statement: str) -> None:
        admin = create_engine(credit_db.admin_url)
        with admin.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))
        admin.dispose()

    sabotage("UPDATE audit_entries SET actor = 'nobody' WHERE institution = 'bank-yanmen' AND number = 2")
    broken = "bank-sanggan: the chain holds\nbank-yanmen: entry 2: the entry was changed\n"
    assert run("audit", "verify") == (1, broken)
    assert run("audit", "verify", "bank-sanggan") == (0, "bank-sanggan: the chain holds\n")
    sabotage("DELETE FROM audit_entries WHERE institution = 'bank-sanggan' AND number = 3")
    code, told = run("audit", "verify", "bank-sanggan")
    assert (code, told) == (1, "bank-sanggan: entry 3: entries are missing at the end\n")


def test_a_token_says_who_and_for_what(place: Path) -> None:
    code, told = heartwood("token", "officer", "bank-yanmen", "--state", place, "--subject", "ann")
    assert code == 0
    keys = KeySet.import_key_set(json.loads((place / "issuer" / "jwks.json").read_text()))
    claims = jwt.decode(told.strip(), keys, algorithms=["ES256"]).claims
    assert (claims["sub"], claims["institution"], claims["role"]) == ("ann", "bank-yanmen", "officer")
    assert claims["aud"] == ["credit", "sink"]
    assert (place / "issuer" / "issuer-key.json").stat().st_mode & 0o077 == 0, "the key is its owner's alone"


def test_no_token_is_made_in_production(place: Path) -> None:
    production = {
        "HEARTWOOD_MODE": "production",
        "HEARTWOOD_CURSOR_KEY": "k",
        "HEARTWOOD_ISSUER": "https://id.bank.example",
        "HEARTWOOD_JWKS": "https://id.bank.example/jwks.json",
    }
    code, told = heartwood("token", "officer", "bank-yanmen", "--state", place, env={**os.environ, **production})
    assert (code, told.count("\n")) == (1, 1)
    assert "refuses to start in production mode" in told
    assert list(place.iterdir()) == []


def test_the_help_lists_every_command() -> None:
    code, told = heartwood("--help")
    assert code == 0
    for command in ("audit", "dead", "demo", "docs", "doctor", "migrate", "serve", "token", "up", "work"):
        assert f"\n  {command}  " in told
    code, told = heartwood("dead", "--help")
    assert code == 0
    for command in ("list", "replay", "show"):
        assert f"\n  {command}  " in told


@pytest.mark.parametrize(
    ("arguments", "variables", "what"),
    [
        (
            ["dead", "list"],
            {},
            "HEARTWOOD_WORKER_DATABASE_URL is missing: set it, or HEARTWOOD_WORKER_DATABASE_URL_FILE",
        ),
        (
            ["dead", "list"],
            {"HEARTWOOD_WORKER_DATABASE_URL": "postgresql://user:secret@host/credit"},
            "HEARTWOOD_WORKER_DATABASE_URL is not the address of a database: write postgresql+psycopg://",
        ),
        (
            ["audit", "verify"],
            {"HEARTWOOD_WORKER_DATABASE_URL": "postgresql+psycopg://user:secret@host:port/credit"},
            "HEARTWOOD_WORKER_DATABASE_URL is not the address of a database: write postgresql+psycopg://",
        ),
        (
            ["audit", "verify"],
            {"HEARTWOOD_WORKER_DATABASE_URL": "postgresql+psycopg://user:secret@127.0.0.1:1/credit"},
            "the database does not do it: connection failed",
        ),
        (["work", "credit"], {}, "HEARTWOOD_WORKER_DATABASE_URL is missing"),
        (["serve", "credit"], {"HEARTWOOD_MODE": "testing"}, "HEARTWOOD_MODE is 'testing'"),
        (["migrate", "credit"], {"HEARTWOOD_PORT": "http"}, "HEARTWOOD_PORT is 'http': set a whole number"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(arguments: list[str], variables: dict[str, str], what: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTWOOD_")}
    code, told = heartwood(*arguments, env={**clean, **variables})
    assert (code, told.count("\n")) == (1, 1), told
    assert told.startswith(what)
    assert "secret" not in told


def test_a_database_without_tables_is_told_in_one_line(postgres: EmbeddedPostgres) -> None:
    bare = {**os.environ, "HEARTWOOD_WORKER_DATABASE_URL": postgres.url("postgres", "postgres")}
    code, told = heartwood("dead", "list", env=bare)
    assert (code, told.count("\n")) == (1, 1)
    assert 'relation "dead_letters" does not exist' in told

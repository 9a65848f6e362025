"""What people write is looked for where it has no business: every text of every command is one of a kind.

The commands are made from the OpenAPI documents. What is accepted is written down; what is refused is refused in words
of our own. Neither may be told in an event, an entry of the audit, a line of the log, a metric or the text of an error.
"""

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from shared.schema import SERVICES
from tests.conftest import Database
from tests.contracts.conftest import OWNERS
from tests.contracts.test_access import every_scope, mint
from tests.harness import app
from tests.routes_check import app_of, routes_of

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
CANARY = re.compile(r"canary-[a-z0-9]+-\d+")
#: What says to others, or to people later, what was done.
TELLING = ("outbox", "audit_entries", "dead_letters", "inbox_parked", "(SELECT log FROM jobs)")

#: The one text that is a part of the deed: which county was asked about, what if it burnt.
EXPECTED = {("what credit tells", "credit stress.burnt_county")}


class Canaries:
    """Texts that are like no other, and where each was put."""

    def __init__(self) -> None:
        self.numbers, self.places = count(1), dict[str, str]()

    def text(self, place: str, longest: int = 200) -> str:
        """A fresh text for a place."""
        made = f"canary-{uuid4().hex[:6]}-{next(self.numbers)}"[:longest]
        self.places[made] = place
        return made

    def fill(self, schema: Any, schemas: Any, place: str, wrong: bool) -> Any:
        """A value for a schema, with canaries for its texts; with `wrong` for everything that is no object or list."""
        while "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        for joined in ("allOf", "anyOf", "oneOf"):
            if joined in schema:
                return self.fill(schema[joined][0], schemas, place, wrong)
        kind = schema.get("type")
        kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            fields = schema.get("properties", {})
            writable = {name: one for name, one in fields.items() if not one.get("readOnly")}
            return {name: self.fill(one, schemas, f"{place}.{name}", wrong) for name, one in writable.items()}
        if kind == "array":
            return [self.fill(schema.get("items", {}), schemas, place, wrong)]
        plain = kind == "string" and not {"enum", "pattern", "format"} & {*schema}
        if wrong or plain:
            return self.text(place, schema.get("maxLength", 200))
        return self.other(schema, kind)

    @staticmethod
    def other(schema: Any, kind: str | None) -> Any:
        """What is no text of its own."""
        if "enum" in schema:
            return next((one for one in schema["enum"] if one is not None), None)
        known = {"uuid": str(uuid4()), "date": "2030-01-01", "date-time": "2030-01-01T00:00:00Z", "decimal": "1"}
        if schema.get("format") in known:
            return known[schema["format"]]
        return {"integer": schema.get("minimum", 1), "number": 1, "boolean": True}.get(str(kind), "1")


def commands() -> Iterator[tuple[str, str, str, Any, Any]]:
    """Every command with a body: service, method, path, schema and the schemas it refers to."""
    for service in SERVICES:
        document = json.loads((DOCUMENTS / f"{service}.json").read_text())
        for path, methods in document["paths"].items():
            for method in {"post", "put", "patch"} & {*methods}:
                content = methods[method].get("requestBody", {}).get("content", {})
                if "application/json" in content:
                    filled = re.sub(r"\{(\w+)\}", lambda _: str(uuid4()), path)
                    yield (
                        service,
                        method,
                        filled,
                        content["application/json"]["schema"],
                        document["components"]["schemas"],
                    )


def told(database: Database, *tables: str) -> str:
    """Everything in these tables; in all of them if none is named."""
    admin = create_engine(database.admin_url)
    with admin.connect() as connection:
        every = text("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        found = [
            str(row)
            for table in tables or connection.scalars(every).all()
            for row in connection.execute(text(f"SELECT it::text FROM {table} AS it"))
        ]
    admin.dispose()
    return "\n".join(found)


def test_what_people_write_is_told_nowhere_else(
    sink_db: Database,
    credit_db: Database,
    insurance_db: Database,
    guarantee_db: Database,
    capsys: pytest.CaptureFixture[str],
) -> None:
    databases = {one.service: one for one in (sink_db, credit_db, insurance_db, guarantee_db)}
    canaries, leaks, answered = Canaries(), set[tuple[str, str]](), set[int]()

    def search(where: str, content: str, only: str = "") -> None:
        found = {canaries.places[one] for one in CANARY.findall(content) if one in canaries.places}
        leaks.update((where, place) for place in found if place.startswith(only))

    def ask(service: str, method: str, path: str, **more: Any) -> None:
        headers = {
            "Authorization": f"Bearer {mint(every_scope(), audience=service, institution=OWNERS[service])}",
            "Idempotency-Key": canaries.text(f"{service} key"),
            "If-Match": '"v1"',
        }
        answer = app(service, databases[service]).test_client().open(path, method=method, headers=headers, **more)
        answered.add(answer.status_code)
        if answer.status_code >= 400:
            search(f"answer {answer.status_code}", answer.get_data(as_text=True))

    for service, method, path, schema, schemas in commands():
        for wrong in (False, True):
            place = f"{service} {path.split('/')[2]}"
            ask(service, method.upper(), path, json=canaries.fill(schema, schemas, place, wrong))
    for service in SERVICES:
        for route in routes_of(app_of(service)):
            if route.method == "GET" and route.scope:
                place = f"{service} {route.rule}"
                asked = {name: canaries.text(f"{place}?{name}") for name in ("limit", "cursor", "state", "what")}
                ask(service, "GET", route.path, query_string=asked)
    for service, database in databases.items():
        search(f"what {service} tells", told(database, *TELLING))
        registry = app(service, database).extensions["heartwood.metrics"].registry
        search("metrics", "".join(map(str, registry.collect())))
    # Of a borrower nothing may be read anywhere, for it is sealed.
    search("the database of credit", told(credit_db), only="credit parties")
    captured = capsys.readouterr()
    search("log", captured.out + captured.err)
    assert leaks == EXPECTED
    assert {200, 201, 202, 404, 409, 412, 422} <= answered


def test_a_canary_that_sings_is_heard() -> None:
    canaries = Canaries()
    sung = canaries.fill({"type": "object", "properties": {"name": {"type": "string"}}}, {}, "here", wrong=False)
    assert CANARY.findall(json.dumps(sung)) == [*canaries.places]

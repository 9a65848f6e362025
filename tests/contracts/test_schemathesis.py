"""Schemathesis against the four real apps on PostgreSQL: it tries to prove the OpenAPI documents wrong."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
import schemathesis
from flask import Flask
from hypothesis.internal.conjecture import providers
from schemathesis import Case, Config
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from deploy.issuer import ROLES
from shared.schema import SERVICES
from tests.contracts.conftest import OWNERS, Story
from tests.harness import app, token
from tests.routes_check import document_of

#: Examples for each operation and phase beside the systematic ones; the same in every run.
EXAMPLES = 10

#: What a document cannot say: a request may be refused for these reasons though its schema holds.
UNSAID = (
    "control character",  # categories of Unicode, which not every reader of patterns knows
    "contains NUL",  # which JSON can write and PostgreSQL cannot
    "not a valid integer",  # 1.0 is a whole number to JSON Schema, and no way to write one to us
    "outside of",  # geometry
    "looks? ",
    "the file ",  # what a file holds
    "is shown by",  # a kind of evidence against its rule
    "lies in the future",
    "a ring ",
    "the polygon",
    "give either",  # one field against another
    "give at least",
    "only a person",
    "is no (resident|unified)",  # what check characters say, a file against its document, money against belief
    "must be named",
    "registered under this id",
    "is needed of",
    "belongs to in the end",
    "more than the whole",
    "proves itself by",
    "not believed",
    "has not come yet",
    "has (passed|expired)",
    "a check (holds|cannot hold)",
    "lies in the future",
    "lies before the period",
    "nobody keeps a register",
    "grace must end",
    "stands here twice",
    "add up to",
    "sort the series",  # one price of a history against another, or against today
    "the price before",
    "a fit needs",
    "spans less than",
    "lies in the future",
    "curve fits this series",
    "only with them",
    "one stratum at least",  # a survey against its asset, and its plots against each other
    "ha together",
    "two plots",
    "a plot tells",
    "follow each other",
    "table of increments",
    "an amount from",  # bounds inside of a schema that goes out as well
    "the queue cannot be placed",
    "end before they start",
    "say (where|what) the forest",  # one field of a forest that is not registered, or the register's own
    "no valuation of this forest",
    "no rates are in force",
    "a code in small letters",  # the names in an object, of which a document can list the allowed ones only
    "a value from -",  # bounds on both sides of zero
    "policy does not insure",  # a forest that is none of this policy's
    "are no programme",  # one field of a contract against another
    "and nothing else, has (a radius|an outline)",
    "outline (lies beyond|is no area)",
    "(is rated|stands) twice",
    "a cover of the kind",  # what one kind of cover needs and another does not take
)


@pytest.fixture(autouse=True)
def _the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Draw the same whatever else is loaded: Hypothesis likes to try the constants of all local modules it finds."""
    monkeypatch.setattr(providers, "_get_local_constants", providers.Constants)
    providers.CONSTANTS_CACHE.cache.clear()
    yield
    providers.CONSTANTS_CACHE.cache.clear()


@pytest.fixture(autouse=True)
def _sent_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send each request under a key of its own, and without options of the network, which is not there.

    Schemathesis 4.32.5 hands such options to the test client when it repeats a request without its token.
    """
    send = WSGITransport.send

    def sent(self: WSGITransport, case: Case, *, session: object = None, **options: object) -> object:
        for name in ("max_redirects", "verify", "cert"):
            options.pop(name, None)
        key = (case.headers or {}).get("Idempotency-Key")
        invalid = case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER)
        if isinstance(key, str) and key.strip() and not invalid:
            case.headers["Idempotency-Key"] = str(uuid4())
        return send(self, case, session=session, **options)

    monkeypatch.setattr(WSGITransport, "send", sent)


def role_of(service: str) -> str:
    """The role that may do most in a service."""
    return max(ROLES, key=lambda role: sum(scope.startswith(f"{service}:") for scope in ROLES[role]))


def configured(service: str) -> Config:
    made = Config(seed=1)
    project = made.projects.default
    project.headers = {"Authorization": f"Bearer {token(role_of(service), OWNERS[service])}"}
    project.continue_on_failure = True
    project.generation.deterministic = True
    project.generation.max_examples = EXAMPLES
    project.phases.stateful.enabled = False
    checks = project.checks
    # Institutions are told apart in test_access.
    checks.object_level_authorization.enabled = False
    checks.missing_required_header.expected_statuses = ["400", "401", "403", "415", "422", "428"]
    # 400 and 412: a cursor, a key or an ETag of the right form that we never gave. 422 is judged below.
    checks.positive_data_acceptance.expected_statuses = ["2xx", "400", "401", "403", "404", "409", "412"]
    return made


def schema_of(service: str, flask: Flask) -> schemathesis.BaseSchema:
    """The app's document, without the answer for everything that nobody foresaw: each status must be named."""
    document = document_of(flask)
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method != "parameters":
                operation["responses"].pop("default")
    schema = schemathesis.openapi.from_dict(document, config=configured(service))
    schema.app = flask
    return schema


def failures(schema: schemathesis.BaseSchema, asked: set[str]) -> Iterator[str]:
    """What Schemathesis found, but for refusals whose reason no document can say."""
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            yield f"{event.label}: {event.value!r}"
        elif isinstance(event, events.FatalError):
            yield repr(event.exception)
        elif isinstance(event, events.ScenarioFinished):
            found = event.recorder
            asked.update(found.label for _ in found.interactions)
            for case_id, checks in found.checks.items():
                for check in (check for check in checks if check.failure_info is not None):
                    answer = found.interactions[case_id].response
                    text = answer.content.decode() if answer is not None else ""
                    if check.name != "positive_data_acceptance" or not unsaid(text):
                        failed = check.failure_info
                        title = f"{found.label}: {check.name}: {failed.failure.title}"
                        yield f"{title}\n  {failed.code_sample[:400]}\n  {text[:400]}"


def unsaid(text: str) -> bool:
    return any(re.search(rf"\b{reason}", text, re.IGNORECASE) for reason in UNSAID)


@pytest.mark.parametrize("service", SERVICES)
def test_schemathesis_cannot_prove_the_document_wrong(story: Story, service: str) -> None:
    asked: set[str] = set()
    schema = schema_of(service, app(service, story.databases[service]))
    found = list(failures(schema, asked))
    assert found == [], "\n".join(sorted(set(found))[:12])
    assert asked == {result.ok().label for result in schema.get_all_operations()}


def test_schemathesis_finds_a_status_that_the_document_conceals(story: Story) -> None:
    schema = schema_of("guarantee", app("guarantee", story.databases["guarantee"]))
    del schema.raw_schema["paths"]["/v1/calls/{call_id}"]["get"]["responses"]["404"]
    found = list(failures(schema.include(path="/v1/calls/{call_id}"), set()))
    assert found
    assert all("status_code_conformance" in one for one in found)

"""The documents under docs/ are what the code does, and what their own standards ask."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from deploy.docs import documents, write
from deploy.issuer import ROLES
from shared.events import REGISTRY, TOPICS
from shared.schema import SERVICES
from tests.routes_check import Route, all_routes_of, app_of, demand, document_of, routes_of

DOCS = Path(__file__).parents[2] / "docs"

app = cache(app_of)
ROUTES = [(service, route) for service in SERVICES for route in routes_of(app(service))]
EVERY_ROUTE = pytest.mark.parametrize(("service", "route"), ROUTES, ids=lambda value: str(value).replace("/v1/", ""))
EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES)


def read(name: str) -> Any:
    return json.loads((DOCS / name).read_text(encoding="utf-8"))


def operation_of(service: str, route: Route) -> dict[str, Any]:
    found: dict[str, Any] = read(f"openapi/{service}.json")["paths"][route.documented_path][route.method.lower()]
    return found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolve(document: Any, reference: str) -> Any:
    """What a local reference points at; KeyError if it points nowhere."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


# -- all of them ------------------------------------------------------------------------------------------------------


def test_the_documents_are_up_to_date() -> None:
    assert write(DOCS, check=True) == [], "run: make docs"


def test_no_document_is_left_of_an_interface_that_is_gone() -> None:
    made = set(documents(DOCS))
    assert {*DOCS.glob("openapi/*"), *DOCS.glob("events/*")} - made == set()


# -- OpenAPI ----------------------------------------------------------------------------------------------------------


@EVERY_SERVICE
def test_an_openapi_document_is_valid_openapi(service: str) -> None:
    document = read(f"openapi/{service}.json")
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
        assert set(schema.get("required", ())) <= set(schema["properties"]), name
    for reference in set(references(document)):
        assert resolve(document, reference)


def test_a_document_that_is_not_openapi_is_found_out() -> None:
    broken = read("openapi/sink.json")
    broken["paths"]["/v1/assets"]["get"]["responses"] = []
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


@EVERY_SERVICE
def test_the_document_names_exactly_the_routes_of_the_app(service: str) -> None:
    paths = read(f"openapi/{service}.json")["paths"]
    documented = {
        (method.upper(), path) for path, operations in paths.items() for method in operations if method != "parameters"
    }
    assert documented == {(route.method, route.documented_path) for route in routes_of(app(service))}


@EVERY_SERVICE
def test_operation_ids_are_unique(service: str) -> None:
    ids = [operation_of(service, route)["operationId"] for route in routes_of(app(service))]
    assert sorted(ids) == sorted(set(ids))


@EVERY_SERVICE
def test_the_open_pages_are_the_known_few(service: str) -> None:
    assert {route.rule for route in all_routes_of(app(service)) if route.public} == {
        *("/livez", "/readyz", "/version", "/metrics", "/v1/openapi.json", "/v1/docs", "/v1/docs/<name>")
    }


@EVERY_ROUTE
def test_every_operation_has_a_summary_a_scope_and_its_problems(service: str, route: Route) -> None:
    demand(app(service), route, service)
    operation = operation_of(service, route)
    assert re.fullmatch(r"[A-Z].{5,118}[.]", operation["summary"]), operation["summary"]
    assert any(route.scope in scopes for scopes in ROLES.values()), f"no role may ever use {route}"
    responses = operation["responses"]
    assert len([code for code in responses if code.startswith("2")]) == 1
    writes = {"400", "409", "413", "415", "422"} if route.method != "GET" else {"422"}
    assert {"401", "403", "503", "default", *writes} <= set(responses)
    assert "404" in responses or "<" not in route.rule
    document = read(f"openapi/{service}.json")
    for code, response in responses.items():
        if not code.startswith("2"):
            content = resolve(document, response["$ref"])["content"]
            assert list(content) == ["application/problem+json"], code


@EVERY_ROUTE
def test_what_a_query_takes_can_be_said_in_an_address(service: str, route: Route) -> None:
    for parameter in operation_of(service, route).get("parameters", ()):
        assert "null" not in parameter["schema"]["type"], f"{parameter['name']}: an address cannot say null"
        assert parameter["schema"].get("default", 0) is not None


@EVERY_SERVICE
def test_no_request_takes_what_only_the_service_may_decide(service: str) -> None:
    document = document_of(app(service))
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            forbidden = {"institution", "tenant", "version", "outcome", "bank"} & set(schema["properties"])
            assert not forbidden, f"{name} takes {forbidden}"
            assert schema["additionalProperties"] is False, f"{name} passes over what it does not know"


@EVERY_SERVICE
def test_patterns_are_of_javascript_and_of_whole_strings(service: str) -> None:
    def patterns(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("pattern"), str):
                yield part["pattern"]
            for inner in part.values():
                yield from patterns(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from patterns(inner)

    for pattern in set(patterns(read(f"openapi/{service}.json"))):
        assert pattern.startswith("^"), pattern
        assert pattern.endswith("$"), pattern
        assert not re.search(r"\\[AZz]|\(\?[P<]", pattern), f"{pattern} is Python's alone"


# -- AsyncAPI ---------------------------------------------------------------------------------------------------------


def test_the_asyncapi_document_is_whole() -> None:
    document = read("asyncapi.json")
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    assert set(document) <= {"asyncapi", "id", "info", "defaultContentType", "channels", "operations", "components"}
    for reference in set(references(document)):
        if reference.startswith("#/"):
            assert resolve(document, reference)
        else:
            assert (DOCS / reference).is_file(), reference


def test_every_topic_is_a_channel_with_the_events_that_run_on_it() -> None:
    channels = read("asyncapi.json")["channels"]
    states = {event.STATE_TOPIC for event in REGISTRY.values() if event.STATE_TOPIC}
    assert set(channels) == {*TOPICS, *states}
    for topic, channel in channels.items():
        assert channel["address"] == topic
        running = {e.__name__ for e in REGISTRY.values() if topic in (e.TOPIC, e.STATE_TOPIC)}
        assert set(channel["messages"]) == running
        policy = channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
        assert policy == (["compact"] if topic in states else ["delete"])


def test_every_message_is_an_event_with_a_payload_a_key_and_a_summary() -> None:
    messages = read("asyncapi.json")["components"]["messages"]
    assert {message["name"] for message in messages.values()} == set(REGISTRY)
    for title, message in messages.items():
        event = REGISTRY[message["name"]]
        assert title == message["title"] == event.__name__
        assert len(message["summary"]) > 10
        assert message["payload"] == {"$ref": f"./events/{message['name']}.json"}
        payload = read(f"events/{message['name']}.json")
        jsonschema_rs.Draft202012Validator(payload)
        assert event.KEY in payload["required"]
        assert f"`{event.KEY}`" in message["bindings"]["kafka"]["key"]["description"]


def test_operations_name_messages_of_their_own_channel() -> None:
    document = read("asyncapi.json")
    for name, operation in document["operations"].items():
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        service, action = name.split(".")[:2]
        assert operation["action"] == {"sends": "send", "receives": "receive"}[action]
        assert (channel.split(".")[0] == service) == (action == "sends"), name
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"#/channels/{channel}/messages/"), name


# -- roles ------------------------------------------------------------------------------------------------------------


def test_the_matrix_of_roles_has_a_line_for_every_operation() -> None:
    text = (DOCS / "roles.md").read_text(encoding="utf-8")
    for service, route in ROUTES:
        (line,) = [
            x for x in text.splitlines() if x.startswith(f"| {route.method} {route.documented_path} | {service}:")
        ]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == route.scope
        assert [mark == "✓" for mark in cells[2:]] == [route.scope in scopes for scopes in ROLES.values()]


def test_nobody_may_both_propose_and_approve() -> None:
    for makes, approves in (("sink:value", "sink:approve"), ("credit:apply", "credit:approve")):
        assert not [role for role, scopes in ROLES.items() if {makes, approves} <= set(scopes)]

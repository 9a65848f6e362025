"""Documents that are made from the code and committed: whoever changes an interface sees it in the diff."""

import importlib
import json
from pathlib import Path
from typing import Any

from deploy import supply
from deploy.issuer import ROLES
from shared.events import REGISTRY, TOPICS, json_schema
from shared.schema import SERVICES
from shared.settings import settings

#: No document needs a database; an engine only connects when it is used.
_NOWHERE = {"HEARTWOOD_DATABASE_URL": "postgresql+psycopg://nobody@/nowhere", "HEARTWOOD_JWKS": "nowhere"}

_BINDING = "0.5.0"


def write(folder: Path, check: bool = False) -> list[Path]:
    """Write what differs, or only name it when checking."""
    stale = []
    for path, text in documents(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return stale


def documents(folder: Path) -> dict[Path, str]:
    """Every generated document with its text."""
    made: dict[Path, Any] = {folder / "openapi" / f"{service}.json": openapi(service) for service in SERVICES}
    for name, event in sorted(REGISTRY.items()):
        made[folder / "events" / f"{name}.json"] = json_schema(event)
    made[folder / "asyncapi.json"] = asyncapi()
    texts = {path: json.dumps(data, indent=2, ensure_ascii=False) + "\n" for path, data in made.items()}
    return texts | {folder / "roles.md": roles(), folder / "licences.md": supply.page()}


def openapi(service: str) -> dict[str, Any]:
    """The OpenAPI document that a service serves."""
    app = importlib.import_module(f"services.{service}.app").create_app(settings(_NOWHERE))
    document: dict[str, Any] = app.test_client().get("/v1/openapi.json").get_json()
    return document


def roles() -> str:
    """Which role may do what: every operation of every service, by the scopes that the issuer gives to each role."""
    lines = [
        "# Roles and routes",
        "",
        "Made by `make docs` from the scopes of the routes and of the development issuer's roles. A ✓ says that a",
        "token of the role carries the scope. Whose resources it reaches is a matter of the institution.",
    ]
    for service in SERVICES:
        lines += [
            "",
            f"## {service}",
            "",
            f"| Operation | Scope | {' | '.join(ROLES)} |",
            "|---|---" + "|---" * len(ROLES) + "|",
        ]
        for path, operations in openapi(service)["paths"].items():
            for method, operation in operations.items():
                if method == "parameters":
                    continue
                (scope,) = operation["security"][0]["bearer"]
                marks = " | ".join("✓" if scope in scopes else "" for scopes in ROLES.values())
                lines.append(f"| {method.upper()} {path} | {scope} | {marks} |")
    return "\n".join(lines) + "\n"


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: who sends what on which topic, payloads by reference to the event schemas."""
    events = dict(sorted(REGISTRY.items()))
    messages = {
        event.__name__: {
            "name": name,
            "title": event.__name__,
            "summary": " ".join((event.__doc__ or "").split()),
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/Envelope"},
            "payload": {"$ref": f"./events/{name}.json"},
            "bindings": {
                "kafka": {"key": {"type": "string", "description": f"`{event.KEY}`"}, "bindingVersion": _BINDING}
            },
        }
        for name, event in events.items()
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    states = {event.STATE_TOPIC: event for event in events.values() if event.STATE_TOPIC}
    for topic in (*TOPICS, *states):
        inside = [e.__name__ for e in events.values() if topic in (e.TOPIC, e.STATE_TOPIC)]
        channels[topic] = {
            "address": topic,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in inside},
            "bindings": {
                "kafka": {
                    "topicConfiguration": {"cleanup.policy": ["compact" if topic in states else "delete"]},
                    "bindingVersion": _BINDING,
                }
            },
        }
        operations[f"{topic.split('.')[0]}.sends.{topic}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in inside],
        }
    for service in SERVICES:
        handled = importlib.import_module(f"services.{service}.consumers").HANDLERS
        for topic in sorted({event.TOPIC for event in handled}):
            operations[f"{service}.receives.{topic}"] = {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{topic}"},
                "messages": [
                    {"$ref": f"#/channels/{topic}/messages/{event.__name__}"}
                    for event in handled
                    if topic == event.TOPIC
                ],
            }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:heartwood:events",
        "defaultContentType": "application/json",
        "info": {
            "title": "Heartwood events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in the Kafka binary binding. Delivered at least once, numbered from 1 for"
            " each key by ce_sequence; apply each number once, in order.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"Envelope": _envelope()}},
    }


def _envelope() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "Kafka headers of every event",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "format": "uuid", "description": "The same on every delivery"},
            "ce_type": text,
            "ce_source": text,
            "ce_subject": {**text, "description": "The aggregate: also the Kafka key"},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_sequence": {**text, "description": "1, 2, 3 … without gaps for each topic and subject"},
            "ce_institution": {**text, "description": "Whose act this is"},
            "ce_traceparent": {**text, "description": "W3C trace context"},
            "ce_requestid": text,
            "content-type": {"const": "application/json"},
        },
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_sequence"],
    }

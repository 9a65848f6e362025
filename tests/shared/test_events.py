"""Events survive the way there and back, and their schemas stay compatible."""

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import uuid4

import jsonschema
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from shared import events
from shared.events.base import REGISTRY, Event, EventError, decode, encode, json_schema
from tests.harness import record


def example(hint: Any) -> Any:
    """Some value of a field's type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Decimal or (args and args[0] is Decimal):
        return Decimal("0.25")
    if origin is Literal:
        return args[-1]
    if origin is tuple:
        return (example(args[0]),) * 2
    if origin is dict:
        return {"fire": example(args[1])}
    if args and type(None) in args:
        return example(args[0])
    if dataclasses.is_dataclass(hint):
        return made(hint)
    return {
        str: "青山 & <co>",
        int: 7,
        bool: True,
        date: date(2026, 2, 28),
        datetime: datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    }.get(hint) or uuid4()


def made(cls: Any) -> Any:
    hints = get_type_hints(cls, include_extras=True)
    return cls(**{field.name: example(hints[field.name]) for field in dataclasses.fields(cls)})


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=REGISTRY.keys())
def test_an_event_survives_json_and_fits_its_schema(cls: type[Event]) -> None:
    event = made(cls)
    data = json.loads(json.dumps(encode(event)))
    jsonschema.Draft202012Validator(json_schema(cls)).validate(data)
    assert decode(cls, data) == event


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=REGISTRY.keys())
def test_a_missing_field_is_refused_by_name(cls: type[Event]) -> None:
    data = encode(made(cls))
    for name in json_schema(cls)["required"]:
        without = {k: v for k, v in data.items() if k != name}
        with pytest.raises(EventError, match=name):
            decode(cls, without)


def test_an_amount_must_be_a_string() -> None:
    data = encode(made(events.credit.LoanRepaid))
    for wrong in (100.1, 100, "1e3", "100.005", "１.00", "-1.00", "", "1.00\n", None):
        with pytest.raises(EventError, match="amount"):
            decode(events.credit.LoanRepaid, data | {"amount": wrong})


def test_the_topic_of_an_event_is_declared() -> None:
    assert {cls.TOPIC for cls in REGISTRY.values()} == set(events.TOPICS)


def test_our_envelope_is_a_cloudevent_to_the_reference_library() -> None:
    event = made(events.credit.LoanRepaid)
    one = record(event, 3)

    read = from_binary_event(KafkaMessage(headers=dict(one.headers), key=one.key, value=one.value))
    assert read.get_type() == "heartwood.credit.LoanRepaid.v1"
    assert read.get_specversion() == "1.0"
    assert read.get_subject() == event.key
    assert read.get_extension("sequence") == "3"
    assert read.get_data() == encode(event)

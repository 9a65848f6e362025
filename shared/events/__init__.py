"""The one language the services share: every event type, declared once."""

from shared.events import credit, guarantee, insurance, sink
from shared.events.base import REGISTRY, Event, EventError, decode, encode, json_schema

#: Every topic, in the order it is created.
TOPICS = ("sink.events", "credit.events", "insurance.events", "guarantee.events")

__all__ = [
    "REGISTRY",
    "TOPICS",
    "Event",
    "EventError",
    "credit",
    "decode",
    "encode",
    "guarantee",
    "insurance",
    "json_schema",
    "sink",
]

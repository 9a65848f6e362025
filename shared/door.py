"""The Kafka door of a service: what it does with events, deadlines and long work."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.inbox import Consumer
from shared.jobs import Step
from shared.timers import TimerHandler


@dataclass(frozen=True)
class Door:
    """Everything that reaches a service's actions other than by HTTP."""

    consumer: Consumer
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    jobs: Mapping[str, Step] = field(default_factory=dict)

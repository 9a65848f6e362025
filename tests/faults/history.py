"""What clients were told, written down as they were told it, and compared at the end with what the databases hold."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.flows.invariants import Books


@dataclass
class Command:
    """A command that was sent, perhaps several times under its one key, and what came back in the end."""

    service: str
    institution: str
    subject: str
    path: str
    key: str
    request_id: str
    #: What stands in one row and no other if the command was carried out: table, column and value.
    mark: tuple[str, str, Decimal] | None = None
    #: None as long as nobody told.
    status: int | None = None
    answer: Any = None
    sent: int = 0

    @property
    def outcome(self) -> str:
        """What the client knows."""
        if self.status is None:
            return "unknown"
        return "acknowledged" if self.status < 300 else "refused"

    def __str__(self) -> str:
        return f"{self.service} POST {self.path} (request {self.request_id}, {self.outcome}, sent {self.sent} times)"


@dataclass
class History:
    """Every command of every client."""

    commands: list[Command] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, command: Command) -> Command:
        """Note a command before it is sent."""
        with self.lock:
            self.commands.append(command)
        return command

    def outcomes(self) -> Counter[str]:
        """How many commands ended how."""
        return Counter(command.outcome for command in self.commands)

    def faults(self, books: Books) -> Iterator[str]:
        """Every difference between what clients were told and what the databases hold.

        What was acknowledged was done once and its answer kept as it was told; what was refused was not done; what
        nobody told was done once or not at all, and if it was, whoever asks again will be told.
        """
        deeds = {service: books.by(service, "audit_entries", "request_id") for service in books.databases}
        kept = {
            service: {(row.institution, row.key): row for row in books.rows(service, "idempotent_answers")}
            for service in books.databases
        }
        told = {service: books.by(service, "outbox", "request_id") for service in books.databases}
        for command in self.commands:
            mine = [one for one in deeds[command.service][command.request_id] if one.actor == command.subject]
            answer = kept[command.service].get((command.institution, command.key))
            for (action, subject), times in Counter((one.action, one.subject) for one in mine).items():
                if times > 1:
                    yield f"{command}: {action} of {subject} was done {times} times"
            if (told[command.service][command.request_id] or mine) and answer is None:
                yield f"{command}: something was done, and no answer is kept"
            if command.outcome == "acknowledged":
                if answer is None or not mine:
                    yield f"{command}: it was acknowledged, and nothing is there"
                elif (answer.status, json.loads(answer.body)) != (command.status, command.answer):
                    yield f"{command}: its repeat would be told something else"
            if command.outcome == "refused" and (mine or answer is not None):
                yield f"{command}: it was refused with {command.status}, and something was done"
            if command.mark is not None:
                table, column, value = command.mark
                rows = len(books.by(command.service, table, column)[value])
                allowed = {"acknowledged": {1}, "refused": {0}, "unknown": {0, 1}}[command.outcome]
                if rows not in allowed:
                    yield f"{command}: {rows} rows of {table} have the {column} {value}"

"""Events at a steady rate through the whole stack, watched: `python -m tests.bench.soak 1000000 --minutes 60`.

A register of forests is valued anew under one price curve after another, approved by two people over HTTP: each curve
makes an event for every forest, which the relay sends and other services take in. Memory of every process, the age of
the oldest unsent event and what waits on the broker are read every two seconds and drawn; at the end every event has to
have had its effect once at each of them.
"""

import argparse
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from deploy.demo.player import Person
from deploy.stack import HOST, Stack, running
from shared import db
from shared.events.sink import CarbonAssetValued
from shared.pictures import line_chart
from shared.schema import SERVICES
from tests.bench.sink import CURVE, memory, seed_register
from tests.conftest import Database
from tests.flows.people import money
from tests.harness import BUREAU, door
from tests.stack.conftest import free_base

#: Who takes note of what a forest is worth.
READERS = tuple(service for service in SERVICES if CarbonAssetValued in door(service).consumer.handlers)
FIGURES = {
    "unsent": "heartwood_outbox_unsent",
    "age": "heartwood_outbox_oldest_age_seconds",
    "behind": "heartwood_consumer_records_behind",
}
#: How long the last events may take to arrive. [s]
PATIENCE = 900.0


@dataclass
class Soak:
    """What was seen, every two seconds."""

    began: float = field(default_factory=time.monotonic)
    #: By process: minutes since the beginning, and MB.
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    #: By figure and service.
    figures: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    #: Events that had their effect, by reader.
    applied: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def minutes(self) -> float:
        """Since the beginning."""
        return (time.monotonic() - self.began) / 60

    def look(self, stack: Stack) -> None:
        """Read what every process holds, and what every worker tells."""
        for part in stack.parts:
            if not part.name.endswith("workbench") and part.name != "postgres":
                self.memory.setdefault(part.name, []).append((self.minutes, memory("VmRSS", part.child.pid)))
        for service in SERVICES:
            with urllib.request.urlopen(f"http://{HOST}:{stack.metrics_port(service)}/metrics", timeout=30) as answer:
                told = answer.read().decode()
            for figure, name in FIGURES.items():
                if found := re.search(rf"^{name} ([0-9.e+-]+)$", told, re.MULTILINE):
                    self.figures.setdefault((figure, service), []).append((self.minutes, float(found[1])))
            if found := re.search(r'^heartwood_events_total\{outcome="applied"\} ([0-9.e+-]+)$', told, re.MULTILINE):
                self.applied.setdefault(service, []).append((self.minutes, float(found[1])))

    def pictures(self, title: str) -> str:
        """The four charts, beside each other."""
        work = [(name, line) for name, line in self.memory.items() if name.startswith("work")]
        charts = [
            line_chart(f"{title}: events applied", [(s, self.applied.get(s, [])) for s in READERS], "minutes", ""),
            line_chart("memory of the workers [MB]", work, "minutes", ""),
            line_chart("oldest unsent event of sink [s]", [("sink", self.figures["age", "sink"])], "minutes", ""),
            line_chart(
                "records that wait on the broker",
                [(s, self.figures.get(("behind", s), [])) for s in READERS],
                "minutes",
                "",
            ),
        ]
        placed = [chart.replace("<svg ", f'<svg x="{370 * n}" height="300" ', 1) for n, chart in enumerate(charts)]
        size = f'viewBox="0 0 {370 * len(charts)} 300" width="{370 * len(charts)}"'
        ground = '<rect width="100%" height="100%" fill="white"/>'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{ground}{"".join(placed)}</svg>\n'


def soak(stack: Stack, register: Database, wanted: int, rate: float, minutes: float, forests: int) -> Soak:
    """Make so many events at this rate, or for so long."""
    seed_register(register, forests)
    maker = Person(stack.url("sink"), stack.token("bureau", BUREAU))
    checker = Person(stack.url("sink"), stack.token("bureau-approver", BUREAU))
    seen, turns = Soak(), 0
    job: dict[str, Any] = {"state": "finished"}
    while turns * forests < wanted and seen.minutes < minutes:
        if job["state"] == "finished" and 60 * seen.minutes >= turns * forests / rate:
            curve = {name: str(value) for name, value in CURVE.items()} | {"name": f"soak {turns}"}
            made = maker.post(
                "/v1/price-curves", curve | {"spot_price": money(55 + turns % 7), "long_run_price": money(60)}
            )
            approval = {"payload_hash": made["payload_hash"], "approve": True}
            job = checker.post(f"/v1/price-curves/{made['id']}/approval", approval)
            job, turns = {"state": "running", "id": job["job_id"]}, turns + 1
        stack.supervise()
        seen.look(stack)
        time.sleep(2)
        if job["state"] != "finished":
            job = maker.get(f"/v1/jobs/{job['id']}")
            if job["state"] == "failed":
                raise SystemExit(f"the job failed: {job['log']}")
    end = time.monotonic() + PATIENCE
    while not _arrived(register, stack, turns * forests) and time.monotonic() < end:
        stack.supervise()
        seen.look(stack)
        time.sleep(2)
    return seen


_SENT = (
    f"SELECT count(*), sum(hashtextextended(id::text, 0)) FROM outbox WHERE type = '{CarbonAssetValued.type_name()}'"
)
_TAKEN = f"""SELECT count(*), sum(hashtextextended(event_id::text, 0)) FROM inbox
WHERE type = '{CarbonAssetValued.type_name()}'"""


def _arrived(register: Database, stack: Stack, wanted: int, say: Callable[[str], None] = lambda line: None) -> bool:
    """Whether exactly the events that were told had their effect at each reader, once, by number and by id."""
    with register.worker.connect() as connection:
        told = tuple(connection.execute(text(_SENT)).one())
    whole = told[0] >= wanted
    for service in READERS:
        engine = db.engine(stack.postgres.url(f"{service}_worker", service))
        with engine.connect() as connection:
            taken = tuple(connection.execute(text(_TAKEN)).one())
            wrong = connection.scalar(text("SELECT (SELECT count(*) FROM dead_letters) + count(*) FROM inbox_parked"))
        engine.dispose()
        say(f"{service} took {taken[0]:,} of {told[0]:,} events; {wrong} are parked or dead letters")
        whole = whole and taken == told and not wrong
    return whole


def main() -> None:
    """Run it on a durable stack of its own, draw it and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=300.0, help="events a second")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--forests", type=int, default=2000)
    parser.add_argument("--picture", type=Path, default=Path("var/bench/soak.svg"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hw-") as folder, running(Stack(Path(folder), free_base())) as stack:
        url = stack.postgres.url
        engines = [db.engine(url(f"sink_{role}", "sink")) for role in ("owner", "app", "worker")]
        register = Database("sink", "sink", *engines, url("postgres", "sink"))
        seen = soak(stack, register, asked.events, asked.rate, asked.minutes, asked.forests)
        with register.worker.connect() as connection:
            made = connection.execute(text(_SENT)).one()[0]
        whole = _arrived(register, stack, made, print)
        register.dispose()
    restarts = {part.name: part.starts - 1 for part in stack.parts if part.starts > 1}
    asked.picture.parent.mkdir(parents=True, exist_ok=True)
    asked.picture.write_text(seen.pictures(f"{made:,} events"), encoding="utf-8")
    print(
        f"{made:,} events in {seen.minutes:.1f} minutes, {made / seen.minutes / 60:.0f} a second; restarts: {restarts}"
    )
    print(f"each had its effect once at {', '.join(READERS)}: {'yes' if whole else 'NO'}")
    for name, line in sorted(seen.memory.items()):
        quarter = line[len(line) // 4][1]
        print(f"  {name:<16} {line[0][1]:6.0f} MB first, {quarter:.0f} after a quarter, {line[-1][1]:.0f} at the end")
    for (figure, service), line in sorted(seen.figures.items()):
        values = sorted(value for _, value in line)
        median, most, last = values[len(values) // 2], values[-1], line[-1][1]
        print(f"  {figure} {service}: median {median:.1f}, most {most:.1f}, last {last:.1f}")
    if not whole:
        raise SystemExit("not every event had its effect once")


if __name__ == "__main__":
    main()

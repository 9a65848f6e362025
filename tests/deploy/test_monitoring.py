"""The alerts and the dashboard ask for figures that there are, and every alert has a page that says what to do."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.credit.consumers import DOOR
from shared import clock, inbox, jobs, outbox, timers
from shared.events import REGISTRY
from shared.events.credit import LoanWithdrawn
from shared.web import Metrics
from shared.worker import Worker, _Figures
from tests.conftest import Database
from tests.harness import record, test_settings

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
NAME = re.compile(r"\bheartwood_\w+")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return group["rules"]


def panels() -> list[dict[str, Any]]:
    return json.loads((MONITORING / "dashboard.json").read_text())["panels"]


def asked() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def told(registry: CollectorRegistry) -> dict[str, dict[tuple[str, ...], float]]:
    """Value of every figure, by name and labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.fixture
def worker(credit_db: Database) -> Iterator[Worker]:
    made = Worker("credit", test_settings(credit_db), DOOR)
    yield made
    made.engine.dispose()


def figures(worker: Worker) -> dict[str, dict[tuple[str, ...], float]]:
    registry = CollectorRegistry()
    registry.register(_Figures(worker))
    return told(registry)


def test_the_worker_tells_what_waits_and_what_failed(worker: Worker, credit_db: Database, sealed: Any) -> None:
    before = figures(worker)
    assert "heartwood_consumer_records_behind" not in before, "nobody has asked the broker yet"
    withdrawn = LoanWithdrawn(loan_id=uuid4(), bank="bank-yanmen", insurer="i", guarantor="g", reason="none")
    with sealed(credit_db.worker_sessions, "bank-yanmen") as session:
        outbox.put(session, withdrawn)
        timers.put(session, "legs", uuid4(), clock.now() - timedelta(minutes=5))
        failed = jobs.start(session, "none", 1)
        failed.state = "failed"
    early, broken = record(withdrawn, 2), replace(record(withdrawn), value=b"{", offset=1)
    consumer = replace(DOOR.consumer, handlers={LoanWithdrawn: lambda *_: None})
    inbox.receive(credit_db.worker_sessions, consumer, [early, broken], "town")
    worker._count_behind(7)
    worker.sent[withdrawn.type_name()] += 3
    after = figures(worker)
    assert after["heartwood_consumer_records_behind"][()] == 7
    assert after["heartwood_events_sent_total"][withdrawn.type_name(),] == 3
    assert [after[f"heartwood_{name}"][()] for name in ("outbox_unsent", "inbox_parked", "jobs_failed")] == [1, 1, 1]
    assert after["heartwood_timers_overdue_seconds"][()] >= 300
    assert after["heartwood_outbox_oldest_age_seconds"][()] >= 0
    assert after["heartwood_dead_letters"][()] == 1


def test_every_figure_that_is_asked_for_is_told(worker: Worker) -> None:
    worker._count_behind(0)
    worker.sent["x"] += 1
    worker.door.consumer.counts["applied"] += 1
    door = Metrics()
    door.answered("/v1/score", 200, 0.1)
    there = {*figures(worker), *told(door.registry)}
    wanted = {name for expression in asked() for name in NAME.findall(expression)}
    assert wanted <= there
    types = {name for expression in asked() for name in re.findall(r"heartwood\.\w+\.\w+\.v1", expression)}
    assert types
    assert types <= {*REGISTRY}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert [rule["alert"] for rule in alerts()] == pages
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_part_of_the_stack_is_read() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    read = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {target.partition(":")[0] for job in read for part in job["static_configs"] for target in part["targets"]}
    assert targets == {name for name in services if name.endswith(("-serve", "-work"))}


def test_every_panel_says_what_it_shows() -> None:
    assert len({panel["title"] for panel in panels()}) == len(panels())
    assert all(panel["description"] for panel in panels())

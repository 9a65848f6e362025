"""The house rules that a program can check: what is drawn equals what is there."""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shared.events import REGISTRY
from shared.parameters import Parameters
from shared.schema import SERVICES

ROOT = Path(__file__).parent.parent
#: A room that grew is a package of the same name, a module for each noun.
ROOMS = ("app", "routes", "consumers", "schemas", "actions", "tables", "formulas", "migrations")
#: The doors: the only files that open or close a transaction. Idempotency forgets old answers on its own; what
#: shared.kafka commits is its offsets.
DOORS = {f"shared/{name}.py" for name in ("web", "inbox", "timers", "jobs", "relay", "schema", "idempotency", "kafka")}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    home = ROOT / "services" / service
    assert [room for room in ROOMS if not (home / f"{room}.py").exists() and not (home / room).is_dir()] == []
    assert (home / "parameters.yaml").exists()
    paragraph = importlib.import_module(f"services.{service}").__doc__ or ""
    assert len(paragraph) > 80, "say in a paragraph what the service decides, publishes and listens to"


def test_only_the_doors_commit() -> None:
    for path in sources("services", "shared"):
        name = path.relative_to(ROOT).as_posix()
        if name in DOORS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
        assert not calls & {"commit", "begin", "begin_nested"}, f"{name} opens or closes a transaction"


def test_nothing_unpickles_and_nothing_runs_a_shell() -> None:
    for path in sources("services", "shared", "deploy"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not imported & {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}, path
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                raise AssertionError(f"{path} runs a shell")


def test_every_event_has_a_producer_and_every_handler_an_event() -> None:
    made = set()
    for service in SERVICES:
        for path in sources(f"services/{service}"):
            made |= set(re.findall(r"\b([A-Z]\w+)\(", path.read_text(encoding="utf-8")))
        for event in importlib.import_module(f"services.{service}.consumers").HANDLERS:
            assert REGISTRY[event.type_name()] is event
    unmade = {event.__name__ for event in REGISTRY.values()} - made
    assert unmade == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_producer_publishes_on_its_own_topic(service: str) -> None:
    own = {event.__name__ for event in REGISTRY.values() if f"{service}.events" == event.TOPIC}
    others = {event.__name__ for event in REGISTRY.values()} - own
    for path in sources(f"services/{service}"):
        for put in re.findall(r"outbox\.put\(\s*session,\s*(?:\w+\.)?([A-Z]\w+)\(", path.read_text(encoding="utf-8")):
            assert put not in others, f"{path} publishes {put}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_parameter_is_dated_sourced_and_flagged(service: str) -> None:
    parameters = Parameters(ROOT / "services" / service / "parameters.yaml")
    assert parameters.service == service
    for entries in parameters.entries.values():
        for entry in entries:
            assert len(entry.source) > 8, entry.name


def _reads(service: str) -> Callable[[str], bool]:
    """Whether a service's code names a parameter: whole, by its family, or put together of words that it knows."""
    words: set[str] = set()
    shapes: set[str] = set()
    for path in sources(f"services/{service}"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    re.escape(str(p.value)) if isinstance(p, ast.Constant) else "([a-z0-9_]+)" for p in node.values
                )
                shapes.add("".join(parts))
    families = tuple(word for word in words if re.fullmatch(r"[a-z_.]+\.", word))
    names = Parameters(ROOT / "services" / service / "parameters.yaml").entries
    known = words | {name.removeprefix("species.") for name in names if name.startswith("species.")}

    def reads(name: str) -> bool:
        put_together = (re.fullmatch(shape, name) for shape in shapes)
        return (
            name in words or name.startswith(families) or any(m and known.issuperset(m.groups()) for m in put_together)
        )

    return reads


@pytest.mark.parametrize("service", SERVICES)
def test_every_parameter_is_read_or_listed_as_not_read_yet(service: str) -> None:
    path = ROOT / "services" / service / "parameters.yaml"
    reads = _reads(service)
    unread = {name for name in Parameters(path).entries if not reads(name)}
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["not_read_yet"]
    assert all(len(reason) > 15 for reason in listed.values())
    covered = {
        entry: {name for name in unread if name == entry or (entry[-1] in "._" and name.startswith(entry))}
        for entry in listed
    }
    assert unread - set().union(*covered.values()) == set(), "read it, or list it under not_read_yet with a reason"
    assert [entry for entry, names in covered.items() if not names] == [], (
        "listed as not read, but it is, or is not there"
    )


def test_every_equation_has_one_function_and_every_function_an_equation() -> None:
    for service in SERVICES:
        text = (ROOT / "docs" / "equations" / f"{service}.md").read_text(encoding="utf-8")
        named = re.findall(r"`(services\.[a-z_.]+)`", text)
        assert named
        for name in set(named):
            module, _, function = name.rpartition(".")
            assert hasattr(importlib.import_module(module), function), f"{name} does not exist"


def test_the_index_of_equations_names_functions_and_numbers_as_the_tables_do() -> None:
    index = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    for service, rows in zip(SERVICES, re.split(r"^## .*$", index, flags=re.MULTILINE)[1:], strict=True):
        table = (ROOT / "docs" / "equations" / f"{service}.md").read_text(encoding="utf-8")
        numbered = re.findall(r"^\| \((\w+)\) .*`services\.\w+\.formulas\.([\w.]+)` \|$", table, re.MULTILINE)
        indexed = re.findall(r"`([\w.]+)` \((\w+)\)", rows)
        assert indexed
        assert {(number, function) for function, number in indexed} <= set(numbered)


def test_every_decision_record_is_listed() -> None:
    listed = set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in (ROOT / "docs/adr").glob("0*.md")}


def test_the_documents_name_no_file_that_is_not_there() -> None:
    for document in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs/adr").glob("*.md"))):
        for name in re.findall(
            r"`((?:services|shared|deploy|tests|docs)/[\w./-]+)`", document.read_text(encoding="utf-8")
        ):
            assert (ROOT / name).exists(), f"{document.name} names {name}"


def test_whatever_ground_the_register_takes_the_insurers_events_reach() -> None:
    """A forest that could be insured and not be struck would hold up the whole book."""

    def box(service: str, name: str) -> dict[str, float]:
        (value,) = yaml.safe_load((ROOT / "services" / service / "parameters.yaml").read_text())["parameters"][name]
        found: dict[str, float] = value["value"]
        return found

    assert box("insurance", "event_region") == box("sink", "register.extent")

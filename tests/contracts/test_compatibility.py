"""An event type changes within its version only so that old and new services go on reading each other."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.events import REGISTRY, json_schema
from tests.contracts.compatibility import breakages

ROOT = Path(__file__).parents[2]

SCHEMA: dict[str, Any] = {
    "title": "LoanRepaid",
    "type": "object",
    "properties": {
        "loan_id": {"type": "string", "format": "uuid"},
        "amount": {"type": "string", "pattern": "^[0-9]+$"},
        "source": {"type": "string", "enum": ["borrower", "insurance"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "parts": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        },
        "shares": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["loan_id", "amount", "source", "parts"],
}


def _with(*path: Any, value: Any = None, remove: bool = False) -> dict[str, Any]:
    """The schema with one thing changed."""
    changed = copy.deepcopy(SCHEMA)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    if remove:
        place.pop(path[-1])
    else:
        place[path[-1]] = value
    return changed


PLANTED = {
    "a field removed": (_with("properties", "note", remove=True), "/properties/note: removed"),
    "a new required field": (
        {
            **SCHEMA,
            "properties": {**SCHEMA["properties"], "bank": {"type": "string"}},
            "required": [*SCHEMA["required"], "bank"],
        },
        "/properties/bank: new and required",
    ),
    "an optional field required": (_with("required", value=[*SCHEMA["required"], "note"]), "required now"),
    "a required field optional": (_with("required", value=["loan_id", "amount", "source"]), "optional now"),
    "a type narrowed": (
        _with("properties", "note", "anyOf", value=[{"type": "string"}]),
        "/properties/note/anyOf",
    ),
    "a type changed": (_with("properties", "amount", "type", value="integer"), "'string' has become 'integer'"),
    "a pattern narrowed": (_with("properties", "amount", "pattern", value="^[1-9]+$"), "/pattern"),
    "a pattern added": (_with("properties", "loan_id", "pattern", value="^a"), "/properties/loan_id/pattern: new"),
    "a format changed": (_with("properties", "loan_id", "format", value="date"), "/properties/loan_id/format"),
    "a choice removed": (_with("properties", "source", "enum", value=["borrower"]), "'insurance' is refused now"),
    "a choice that readers do not know": (
        _with("properties", "source", "enum", value=["borrower", "insurance", "gift"]),
        "'gift' is unknown to readers",
    ),
    "a choice demanded of a free text": (
        _with("properties", "amount", "enum", value=["1"]),
        "/properties/amount/enum: new",
    ),
    "a null that readers do not expect": (
        _with("properties", "amount", value={"anyOf": [SCHEMA["properties"]["amount"], {"type": "null"}]}),
        "/properties/amount/anyOf: new",
    ),
    "a field of an item removed": (
        _with("properties", "parts", "items", "properties", "n", remove=True),
        "/properties/parts/items/properties/n: removed",
    ),
    "an item's type changed": (
        _with("properties", "parts", "items", "properties", "n", "type", value="string"),
        "/properties/parts/items/properties/n/type",
    ),
    "values of a map changed": (
        _with("properties", "shares", "additionalProperties", "type", value="integer"),
        "/properties/shares/additionalProperties/type",
    ),
    "unknown fields forbidden": (_with("additionalProperties", value=False), "/additionalProperties: new"),
}


@pytest.mark.parametrize(("changed", "reason"), PLANTED.values(), ids=PLANTED)
def test_a_planted_breakage_is_found(changed: dict[str, Any], reason: str) -> None:
    assert [found for found in breakages(SCHEMA, changed) if reason in found], list(breakages(SCHEMA, changed))


def test_the_same_schema_breaks_nothing() -> None:
    assert list(breakages(SCHEMA, copy.deepcopy(SCHEMA))) == []


def test_new_optional_fields_and_new_words_break_nothing() -> None:
    changed = _with("properties", "reference", value={"type": "string", "description": "new"})
    changed["description"] = "said better"
    changed["properties"]["amount"]["description"] = "CNY"
    changed["properties"]["parts"]["items"]["properties"]["m"] = {"type": "integer"}
    assert list(breakages(SCHEMA, changed)) == []


def _committed(name: str) -> dict[str, Any]:
    """The schema in the last commit; skips when there is none to compare with."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no earlier schema to compare with")
    shown = subprocess.run(["git", "show", f"HEAD:docs/events/{name}.json"], cwd=ROOT, capture_output=True, check=False)
    if shown.returncode:
        pytest.skip(f"{name} is not in the last commit: it is new")
    schema: dict[str, Any] = json.loads(shown.stdout)
    return schema


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_an_event_type_stays_compatible_with_the_last_commit(name: str) -> None:
    found = list(breakages(_committed(name), json_schema(REGISTRY[name])))
    assert found == [], f"raise the VERSION of {REGISTRY[name].__name__}, and keep the old type until nobody writes it"


def test_no_event_type_of_the_last_commit_is_gone() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no earlier schema to compare with")
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD", "docs/events/"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("git cannot show the last commit")
    before = {Path(line).stem for line in listed.stdout.split()}
    assert before - set(REGISTRY) == set(), "events of this type may still be in a topic, and somebody must read them"

"""Worked examples with their source and printed precision, by id."""

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES: dict[str, dict[str, Any]] = {
    example["id"]: example
    for example in json.loads((Path(__file__).parent / "cases" / "guarantee.json").read_text(encoding="utf-8"))
}


def example(name: str) -> dict[str, Any]:
    return EXAMPLES[f"guarantee-{name}"]


def examples(prefix: str) -> list[Any]:
    found = [pytest.param(case, id=name) for name, case in EXAMPLES.items() if name.startswith(f"guarantee-{prefix}")]
    assert found, prefix
    return found


def close(case: dict[str, Any], field: str | None = None) -> Any:
    """The expected value, to the tolerance stated for it."""
    tolerance = case["tolerance"]
    if isinstance(tolerance, dict):
        tolerance = tolerance[field]
    expected = case["expected"] if field is None else case["expected"][field]
    return pytest.approx(expected, rel=0, abs=tolerance)

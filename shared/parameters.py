"""Coefficients as dated data: what is in force on a date, where it comes from, and whether anybody verified it."""

import hashlib
import json
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml

Verified = Literal["read", "secondary", "no"]


class ParameterError(LookupError):
    """A parameter is not in force on the date, or the file is not well formed."""


@dataclass(frozen=True)
class Parameter:
    """One coefficient, in force from a date until the next entry of its name."""

    name: str
    value: Any
    unit: str
    from_: date
    source: str
    verified: Verified
    note: str = ""


@dataclass
class InForce:
    """The coefficients in force on one date; remembers which of them a decision used."""

    on: date
    entries: dict[str, Parameter]
    used: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        """Value of a coefficient; a missing one is an error, never a default."""
        if name not in self.entries:
            raise ParameterError(f"no parameter {name} is in force on {self.on}")
        self.used.add(name)
        return self.entries[name].value

    @property
    def unverified(self) -> tuple[str, ...]:
        """Names of the coefficients used so far that nobody checked against their source."""
        return tuple(sorted(name for name in self.used if self.entries[name].verified == "no"))

    @property
    def digest(self) -> str:
        """SHA-256 over all values in force, so that a decision can name its parameter set."""
        values = {name: entry.value for name, entry in sorted(self.entries.items())}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


class Parameters:
    """A service's parameters.yaml, read once at start."""

    def __init__(self, path: Path) -> None:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader, only stricter
        self.service: str = document["service"]
        self.entries: dict[str, list[Parameter]] = {}
        for name, entries in document["parameters"].items():
            read = sorted((_parameter(path, name, entry) for entry in entries), key=lambda entry: entry.from_)
            if len({entry.from_ for entry in read}) != len(read):
                raise ParameterError(f"{path.name}: {name} has two entries from the same date")
            self.entries[name] = read

        #: What is in force changes on these dates only; each set is made once.
        self._dates = sorted({entry.from_ for entries in self.entries.values() for entry in entries})
        self._sets = [self._in_force(on) for on in self._dates]

    def at(self, on: date) -> InForce:
        """The coefficients in force on a date."""
        number = bisect_right(self._dates, on)
        return InForce(on, self._sets[number - 1] if number else {})

    def _in_force(self, on: date) -> dict[str, Parameter]:
        latest = {
            name: [entry for entry in entries if entry.from_ <= on][-1:] for name, entries in self.entries.items()
        }
        return {name: entries[0] for name, entries in latest.items() if entries}


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice: the first coefficient would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if len(set(names)) != len(names):
            raise ParameterError(f"{next(n for n in names if names.count(n) > 1)} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _parameter(path: Path, name: str, entry: dict[str, Any]) -> Parameter:
    missing = {"value", "unit", "from", "source", "verified"} - set(entry)
    # YAML reads a bare `no` as false.
    verified: Any = "no" if entry.get("verified") is False else entry.get("verified")
    if missing or verified not in ("read", "secondary", "no") or type(entry["from"]) is not date:
        raise ParameterError(f"{path.name}: {name} needs value, unit, from, source and verified (read, secondary, no)")
    return Parameter(
        name=name,
        value=entry["value"],
        unit=entry["unit"],
        from_=entry["from"],
        source=entry["source"],
        verified=verified,
        note=entry.get("note", ""),
    )

"""Whether a reader built for one version of an event's schema reads what another version writes, both ways.

Events stay in the topics and services are deployed one after the other, so old writers meet new readers and the other
way about. Within one version of an event type only an optional field may therefore be added, and words may change.
"""

from collections.abc import Iterator
from typing import Any

#: What no reader looks at.
_WORDS = {"$schema", "$id", "title", "description", "examples", "default"}


def breakages(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Every reason why a schema may not take another's place, by JSON Pointer."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{where or '/'}: {_short(old)} has become {_short(new)}"
        return
    yield from _fields(old, new, where)
    for name in sorted((old.keys() | new.keys()) - _WORDS - {"properties", "required"}):
        place = f"{where}/{name}"
        if name not in new:
            yield f"{place}: gone"
        elif name not in old:
            yield f"{place}: new"
        elif name == "enum":
            yield from (f"{place}: {_short(value)} is refused now" for value in old[name] if value not in new[name])
            yield from (
                f"{place}: {_short(value)} is unknown to readers" for value in new[name] if value not in old[name]
            )
        elif name == "anyOf" and len(old[name]) == len(new[name]):
            for number, (one, other) in enumerate(zip(old[name], new[name], strict=True)):
                yield from breakages(one, other, f"{place}/{number}")
        else:
            yield from breakages(old[name], new[name], place)


def _fields(old: dict[str, Any], new: dict[str, Any], where: str) -> Iterator[str]:
    """The fields of an object: none goes, none becomes required, none that readers rely on becomes optional."""
    before, after = old.get("properties", {}), new.get("properties", {})
    must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        place = f"{where}/properties/{name}"
        if name not in after:
            yield f"{place}: removed"
            continue
        yield from breakages(before[name], after[name], place)
        if name in must_after - must_before:
            yield f"{place}: required now, and old events may lack it"
        if name in must_before - must_after:
            yield f"{place}: optional now, and old readers demand it"
    for name in after:
        if name not in before and name in must_after:
            yield f"{where}/properties/{name}: new and required, and old events lack it"


def _short(value: Any) -> str:
    return repr(value)[:80]

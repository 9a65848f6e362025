"""JSON as strict as money needs it: no duplicate keys, no NaN, no bottomless nesting, no endless integers."""

import json
from typing import Any

MAX_DEPTH = 32


class JsonError(ValueError):
    """The text is not JSON that we take; says why."""


def loads(raw: bytes) -> Any:
    """Read a JSON document from UTF-8 bytes, or say what is wrong with it."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("the body is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise JsonError("the body begins with a byte-order mark")
    if _depth(text) > MAX_DEPTH:
        raise JsonError(f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int)
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def canonical(data: Any) -> bytes:
    """The one way we write JSON: keys sorted, no spaces, UTF-8. The same data give the same bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        twice = next(name for name in read if sum(name == other for other, _ in pairs) > 1)
        raise JsonError(f"the key {twice[:64]!r} stands twice in one object")
    return read


def _no_constant(name: str) -> Any:
    raise JsonError(f"{name} is not a JSON number")


def _short_int(digits: str) -> int:
    if len(digits) > 19:
        raise JsonError("an integer has more than 19 digits")
    return int(digits)


def _depth(text: str) -> int:
    """Deepest nesting, counted before parsing, so that no recursion is spent on it."""
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > MAX_DEPTH:
                    return deepest
        elif character in "]}":
            depth -= 1
    return deepest

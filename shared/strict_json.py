"""JSON as strict as money needs it: no duplicate keys, no NaN, no bottomless nesting, no endless integers."""

import json
import math
import re
from typing import Any

MAX_DEPTH = 32
#: Whole strings (an unfinished one runs to the end) and brackets outside of them; possessive, so linear in any text.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """The text is not JSON that we take; says why."""


def loads(raw: bytes) -> Any:
    """Read a JSON document from UTF-8 bytes, or say what is wrong with it."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("the body is not UTF-8") from None
    if not text or text.isspace():
        raise JsonError("the body is empty")
    if text.startswith("\ufeff"):
        raise JsonError("the body begins with a byte-order mark")
    if _is_deep(text):
        raise JsonError(f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        read = _READER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if _HALF.search(text):
        _demand_whole(read)
    return read


def canonical(data: Any) -> bytes:
    """The one way we write JSON: keys sorted, no spaces, UTF-8. The same data give the same bytes."""
    return _WRITER.encode(data).encode("utf-8")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonError(f"the key {name[:64]!a} stands twice in one object")
            seen.add(name)
    return read


def _no_constant(name: str) -> Any:
    raise JsonError(f"{name} is not a JSON number")


def _short_int(digits: str) -> int:
    if len(digits.lstrip("-")) > 19:
        raise JsonError("an integer has more than 19 digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JsonError(f"the number {digits[:32]} is out of range")
    return number


def _demand_whole(read: Any) -> None:
    """Refuse half of a surrogate pair, in a key or a value: no encoding can write it."""
    try:
        canonical(read)
    except UnicodeEncodeError:
        raise JsonError("a string holds half of a surrogate pair") from None


def _is_deep(text: str) -> bool:
    """Whether it is nested too deep, found before parsing, so that no recursion is spent on it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        sign = text[token.start()]
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif sign in "]}":
            depth -= 1
    return False


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_READER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int, parse_float=_finite
)

"""Strict JSON: what is not plain JSON is refused with a reason, in time that grows with its length only."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.strict_json import MAX_DEPTH, JsonError, canonical, loads

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(values)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    assert loads(canonical(value)) == value
    assert loads(json.dumps(value).encode()) == value, "escapes are read too"


@given(values)
def test_the_same_data_give_the_same_bytes(value: Any) -> None:
    assert canonical(loads(canonical(value))) == canonical(value)


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(JsonError):
        loads(raw)


@given(st.text(alphabet='[]{}":,\\u0d8a1e-. nNaIf', max_size=80))
def test_any_brackets_and_quotes_are_read_or_refused(text: str) -> None:
    try:
        read = loads(text.encode())
    except JsonError:
        return
    assert read == json.loads(text)


def nested(levels: int, inside: str = "") -> bytes:
    return ("[" * levels + inside + "]" * levels).encode()


def test_nesting_is_bounded_and_brackets_in_strings_do_not_nest() -> None:
    assert loads(nested(MAX_DEPTH))
    with pytest.raises(JsonError, match="deeper than 32"):
        loads(nested(MAX_DEPTH + 1))
    assert loads(nested(1, json.dumps("[{" * 1000 + '\\"')))
    assert len(loads(("[" + ",".join(["[]"] * 1000) + "]").encode())) == 1000, "wide is not deep"


def test_numbers_keep_within_bounds() -> None:
    assert loads(b"9223372036854775807") == 2**63 - 1
    with pytest.raises(JsonError, match="19 digits"):
        loads(b"92233720368547758070")
    for text in (b"1e309", b"-1e309"):
        with pytest.raises(JsonError, match="out of range"):
            loads(text)
    assert loads(b"1e-400") == 0.0


def test_pairs_of_surrogates_are_one_character_and_halves_are_none() -> None:
    assert loads(rb'"\ud83c\udf32"') == "🌲"
    assert loads(rb'"\\ud800"') == r"\ud800", "an escaped backslash before it"
    for half in (rb'"\ud800"', rb'"\udc00\ud800"', rb'{"\uDFFF": 1}', rb'["\ud800x"]'):
        with pytest.raises(JsonError, match="half of a surrogate pair"):
            loads(half)


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * 300_000 + b"[" * 33,
        b'["' + b"a" * 500_000 + b"[" * 33,
        b"[" * 33 + b'"\\' * 200_000,
        b"{" + b",".join(b'"%d":0' % i for i in range(90_000)) + b',"89999":0}',
        b"[" + b'"",' * 200_000,
        b"-" * 900_000,
        b"1" * 900_000,
        b"0." + b"1" * 900_000,
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_megabyte_of_malice_is_dealt_with_at_once(raw: bytes) -> None:
    # Whatever grows with the square of the length would not come to an end within the test run's patience.
    with contextlib.suppress(JsonError):
        loads(raw)

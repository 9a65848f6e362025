"""Personal data under seal: what opens, where, by which key, and what does not."""

import base64
import os
from dataclasses import replace
from uuid import UUID

import pytest

from shared.sealing import Keys, Place, Sealed, SealError, keys_of
from shared.settings import SettingsError, settings
from tests.shared.test_settings import PRODUCTION

HERE = Place("parties", UUID(int=1), "bank-a")
CONTENT = {"name": "苗木森", "owners": [{"share": "0.5"}]}


def ring(*names: str) -> Keys:
    keys = {name: base64.b64encode(name.encode().ljust(32, b".")).decode() for name in (*names, "marks")}
    return keys_of(settings({"HEARTWOOD_DATA_KEYS": " ".join(f"{name}:{key}" for name, key in keys.items())}))


def test_what_was_sealed_opens_in_its_place_and_shows_nothing_of_itself() -> None:
    sealed = ring("1").seal(CONTENT, HERE)
    assert ring("1").open(sealed, HERE) == CONTENT
    assert "苗木森".encode() not in sealed.data
    assert ring("1").seal(CONTENT, HERE).data != sealed.data


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(HERE, row=UUID(int=2)),
        replace(HERE, institution="bank-b"),
        replace(HERE, table="documents"),
    ],
)
def test_what_was_moved_to_another_place_does_not_open(elsewhere: Place) -> None:
    sealed = ring("1").seal(CONTENT, HERE)
    with pytest.raises(SealError, match="not what was sealed there"):
        ring("1").open(sealed, elsewhere)
    with pytest.raises(SealError, match="not what was sealed there"):
        ring("2", "1").rewrap(sealed, elsewhere)


def test_no_byte_of_a_sealed_record_can_be_changed() -> None:
    sealed = ring("1").seal(CONTENT, HERE)
    for place in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        with pytest.raises(SealError):
            ring("1").open(Sealed("1", bytes(changed)), HERE)
    with pytest.raises(SealError):
        ring("1").open(Sealed("1", sealed.data[:40]), HERE)


def test_a_record_is_rewrapped_without_being_opened_and_then_needs_no_older_key() -> None:
    old = ring("1").seal(CONTENT, HERE)
    new = ring("2", "1").rewrap(old, HERE)
    assert (old.key_id, new.key_id) == ("1", "2")
    assert new.data[-40:] == old.data[-40:], "the record itself stays as it is"
    assert ring("2").open(new, HERE) == CONTENT
    with pytest.raises(SealError, match="has no key 1"):
        ring("2").open(old, HERE)


def test_a_mark_is_the_same_only_for_the_same_value_of_the_same_institution_under_the_same_key() -> None:
    marks = ring("1")
    one = marks.mark("bank-a", "identity", "1")
    assert one == ring("2").mark("bank-a", "identity", "1")
    others = {
        marks.mark("bank-b", "identity", "1"),
        marks.mark("bank-a", "phone", "1"),
        marks.mark("bank-a", "identity", "2"),
    }
    assert len({one, *others}) == 4
    assert replace(marks, marking=os.urandom(32)).mark("bank-a", "identity", "1") != one


@pytest.mark.parametrize("text", ["1:short", "nonsense", "1", "1:!!!", "marks:" + base64.b64encode(bytes(32)).decode()])
def test_keys_that_cannot_be_right_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="HEARTWOOD_DATA_KEYS") as refused:
        keys_of(settings({"HEARTWOOD_DATA_KEYS": text}))
    assert text not in str(refused.value) or len(text) < 3


def test_production_has_no_keys_that_everybody_knows() -> None:
    with pytest.raises(SettingsError, match="HEARTWOOD_DATA_KEYS is missing"):
        keys_of(settings(PRODUCTION))
    assert keys_of(settings({})).current == "development"
    assert "development" not in repr(keys_of(settings({})))

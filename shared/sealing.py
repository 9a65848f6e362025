"""Personal data at rest: sealed under keys that the database does not have, found again by marks that tell nothing.

Each record has a key of its own, wrapped by the key of the site that is named beside it; so keys change without the
record being opened. What a record belongs to (table, row, institution) is sealed in: moved elsewhere, it does not open.
A mark is a keyed hash of a number, the same wherever the number stands in one institution, and useless without the key.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from shared.settings import Settings, SettingsError

_FORMAT = b"\x01"
_NONCE, _KEY, _TAG = 12, 32, 16
_WRAPPED = _NONCE + _KEY + _TAG
#: The name of the key that marks are made with; it seals nothing.
_MARKS = "marks"


class SealError(RuntimeError):
    """A sealed record that does not open: its key is not here, or it is not what was sealed in this place."""


@dataclass(frozen=True)
class Sealed:
    """A record under seal, and the name of the key that wraps its own."""

    key_id: str
    data: bytes


@dataclass(frozen=True)
class Place:
    """What a record belongs to."""

    table: str
    row: UUID
    institution: str

    def __bytes__(self) -> bytes:
        return json.dumps([self.table, str(self.row), self.institution], ensure_ascii=True).encode()


@dataclass(frozen=True, repr=False)
class Keys:
    """The keys of a site: the current one seals, all of them open, one more makes the marks."""

    current: str
    sealing: Mapping[str, bytes]
    marking: bytes

    def seal(self, content: Mapping[str, Any], place: Place) -> Sealed:
        """Seal JSON data in its place under a fresh key of its own."""
        own, nonce = os.urandom(_KEY), os.urandom(_NONCE)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        closed = AESGCM(own).encrypt(nonce, text, bytes(place))
        return Sealed(self.current, _FORMAT + self._wrap(own, place) + nonce + closed)

    def open(self, sealed: Sealed, place: Place) -> dict[str, Any]:
        """Open a record in its place. Raises SealError."""
        own, rest = self._own_key(sealed, place)
        try:
            text = AESGCM(own).decrypt(rest[:_NONCE], rest[_NONCE:], bytes(place))
        except (InvalidTag, ValueError):
            raise SealError(f"the record of {place.table} {place.row} is not what was sealed there") from None
        content: dict[str, Any] = json.loads(text)
        return content

    def rewrap(self, sealed: Sealed, place: Place) -> Sealed:
        """Wrap a record's own key by the current key of the site; the record itself stays closed."""
        own, rest = self._own_key(sealed, place)
        return Sealed(self.current, _FORMAT + self._wrap(own, place) + rest)

    def mark(self, institution: str, namespace: str, value: str) -> bytes:
        """The mark of a value: equal values of one namespace and institution have equal marks."""
        text = json.dumps([institution, namespace, value], ensure_ascii=True).encode()
        return hmac.new(self.marking, text, hashlib.sha256).digest()

    def _wrap(self, own: bytes, place: Place) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.sealing[self.current]).encrypt(nonce, own, self.current.encode() + bytes(place))

    def _own_key(self, sealed: Sealed, place: Place) -> tuple[bytes, bytes]:
        """The record's own key, and what it closes."""
        if sealed.key_id not in self.sealing:
            raise SealError(f"HEARTWOOD_DATA_KEYS has no key {sealed.key_id}, which a record is sealed under")
        if sealed.data[:1] != _FORMAT or len(sealed.data) < 1 + _WRAPPED + _NONCE + _TAG:
            raise SealError(f"the record of {place.table} {place.row} is no sealed one")
        wrapped, rest = sealed.data[1 : 1 + _WRAPPED], sealed.data[1 + _WRAPPED :]
        try:
            own = AESGCM(self.sealing[sealed.key_id]).decrypt(
                wrapped[:_NONCE], wrapped[_NONCE:], sealed.key_id.encode() + bytes(place)
            )
        except InvalidTag:
            raise SealError(f"the record of {place.table} {place.row} is not what was sealed there") from None
        return own, rest


def keys_of(settings: Settings) -> Keys:
    """The keys of a site from its settings: `name:base64` for each, the current one first, and one named `marks`.

    Raises SettingsError. Outside production, and only there, keys that everybody knows stand in for those not given.
    """
    if settings.data_keys:
        return _read(settings.data_keys)
    if settings.production:
        raise SettingsError(
            "HEARTWOOD_DATA_KEYS is missing: set name:key for the current key, then for older ones, then for marks;"
            " a key is 32 random bytes in base64"
        )
    return _read(" ".join(f"{name}:{_known(name)}" for name in ("development", _MARKS)))


def _known(name: str) -> str:
    return base64.b64encode(hashlib.sha256(f"development only: {name}".encode()).digest()).decode()


@lru_cache(maxsize=8)
def _read(text: str) -> Keys:
    found: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(), 1):
        name, _, coded = entry.partition(":")
        try:
            key = base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        # Never in the words of the entry: it is a secret.
        if not name or len(name) > 32 or not name.isascii() or len(key) != _KEY or name in found:
            raise SettingsError(
                f"HEARTWOOD_DATA_KEYS, entry {number}: write name:key, 32 bytes in base64, each name once"
            )
        found[name] = key
    marking = found.pop(_MARKS, None)
    if marking is None or not found:
        raise SettingsError("HEARTWOOD_DATA_KEYS needs a key that seals, and one named marks")
    return Keys(next(iter(found)), found, marking)


def keys(session: Session) -> Keys:
    """The keys that this session's process was given."""
    given = session.info.get("keys")
    if not isinstance(given, Keys):
        raise RuntimeError("this process was given no keys for personal data")
    return given

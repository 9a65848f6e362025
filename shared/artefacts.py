"""Artefacts: models as data, written in one way, named by the hash of their bytes, and signed by people.

A signature (Ed25519) is over the canonical JSON of a statement: the artefact's hash, the hash of each of its parts, who
signs and when. Whoever may sign is configured by public key; the development key is known to everybody and holds in
development mode only. An artefact that is not exactly what was signed is refused, and the refusal says which part of it
is not.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from shared.events.base import write_moment
from shared.settings import Settings
from shared.strict_json import canonical

#: Written in the source, so it proves nothing: it lets a workstation run what it has trained.
DEVELOPMENT_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"heartwood development models").digest())


class ArtefactError(RuntimeError):
    """An artefact is not the one that was signed, or does not compute what it was trained to compute."""


@dataclass(frozen=True)
class Artefact:
    """A model whose signature was checked."""

    document: Mapping[str, Any]
    #: Of its bytes; what a decision names.
    sha256: str
    #: Statements and signatures as they came.
    signatures: tuple[Mapping[str, Any], ...]


def written(document: Mapping[str, Any]) -> bytes:
    """The one way an artefact is written, so that equal artefacts have equal bytes."""
    return (json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def sha256(content: bytes) -> str:
    """The name of an artefact: SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()


def parts(document: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each part of a document, so that a change can be placed."""
    return {name: sha256(canonical(part)) for name, part in sorted(document.items())}


def key_id(key: Ed25519PublicKey) -> str:
    """Name of a public key: the beginning of its SHA-256."""
    return sha256(key.public_bytes_raw())[:16]


def public_text(key: Ed25519PublicKey) -> str:
    """A public key as HEARTWOOD_MODEL_KEYS takes it."""
    return base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("=")


def make_key(path: Path) -> Ed25519PrivateKey:
    """Make a key in a file of its own, readable by its owner only. Raises ArtefactError where there is one."""
    key = Ed25519PrivateKey.generate()
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be made: {error.strerror}") from None
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key in PEM. Raises ArtefactError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ArtefactError(f"{path.name} holds no key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ArtefactError(f"{path.name} holds another kind of key; `heartwood model-key` makes one")
    return key


def trusted(settings: Settings) -> dict[str, Ed25519PublicKey]:
    """The keys whose signatures count here, by name. Raises ArtefactError where nobody's would."""
    keys = [_key(word) for word in settings.model_keys.split()]
    if not settings.production:
        keys.append(DEVELOPMENT_KEY.public_key())
    if not keys:
        raise ArtefactError("HEARTWOOD_MODEL_KEYS is missing: set the public keys of those who may sign models")
    return {key_id(key): key for key in keys}


def _key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except ValueError:
        raise ArtefactError(f"HEARTWOOD_MODEL_KEYS holds {text!r}: set Ed25519 public keys in base64url") from None


def sign(document: Mapping[str, Any], key: Ed25519PrivateKey, by: str, at: datetime) -> dict[str, Any]:
    """A person's signature of an artefact."""
    statement = {
        "sha256": sha256(written(document)),
        "parts": parts(document),
        "by": by,
        "at": write_moment(at),
        "key": key_id(key.public_key()),
    }
    return statement | {"signature": base64.b64encode(key.sign(canonical(statement))).decode()}


def check(
    name: str, content: bytes, signatures: Sequence[Mapping[str, Any]], keys: Mapping[str, Ed25519PublicKey]
) -> Artefact:
    """Read an artefact that somebody trusted has signed as it is. Raises ArtefactError, naming it and what is wrong."""
    holding = [each for each in signatures if _holds(each, keys)]
    if not holding:
        known = ", ".join(str(each.get("key")) for each in signatures) or "none"
        raise ArtefactError(
            f"{name}: no signature by a trusted key holds (signed by {known}; trusted {', '.join(keys)})"
        )
    found = sha256(content)
    agreeing = tuple(each for each in holding if each["sha256"] == found)
    if not agreeing:
        raise ArtefactError(
            f"{name} has SHA-256 {found}, what was signed has {holding[0]['sha256']}: {_change(content, holding[0])}"
        )
    return Artefact(json.loads(content), found, agreeing)


def _holds(signature: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> bool:
    statement = {name: value for name, value in signature.items() if name != "signature"}
    key = keys.get(str(statement.get("key")))
    if key is None or not isinstance(statement.get("sha256"), str) or not isinstance(statement.get("parts"), Mapping):
        return False
    try:
        key.verify(base64.b64decode(signature["signature"], validate=True), canonical(statement))
    except (InvalidSignature, ValueError, TypeError, KeyError):
        return False
    return True


def _change(content: bytes, signature: Mapping[str, Any]) -> str:
    """Where an artefact differs from what was signed."""
    try:
        found = parts(json.loads(content))
    except (ValueError, AttributeError, TypeError):
        return "it is no JSON object any more"
    was = signature["parts"]
    differing = sorted(name for name in {*found, *was} if found.get(name) != was.get(name))
    return f"changed in {', '.join(differing)}" if differing else "changed in its spaces or the order of its parts"

"""Who calls: bearer JWT, checked against configured keys, issuer and this service's audience. The tenant is a claim."""

import base64
import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import HTTPRedirectHandler, build_opener

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared import strict_json
from shared.errors import ForbiddenError, UnauthenticatedError, UnavailableError

ALGORITHMS = ["ES256", "RS256"]
LEEWAY = 60  # seconds
log = structlog.get_logger(__name__)

#: What joserfc raises at headers, claims and keys that nobody honest would write.
_FAULTS = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Principal:
    """The person or machine behind a request."""

    subject: str
    institution: str
    role: str
    client: str
    scopes: frozenset[str]

    def demand(self, scope: str) -> None:
        """Refuse unless the token carries the scope."""
        if scope not in self.scopes:
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise ForbiddenError(f"the token lacks the scope {scope}", headers=challenge)


@dataclass(frozen=True)
class _Verified:
    """What a token said when its signature was checked, and what must still hold for it to say so again."""

    principal: Principal
    kid: str | None
    keys: KeySet
    #: From when to when the token itself is valid, clocks differing by LEEWAY; in Unix time.
    since: float
    until: float
    #: When the check is due again, by the monotonic clock.
    again: float


class _NoRedirect(HTTPRedirectHandler):
    """The keys are where the configuration says, not where an answer sends us."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none: the answer becomes an HTTPError."""


_OPENER = build_opener(_NoRedirect)


class Keys:
    """The issuer's public keys: read from the configured place only, again on an unknown key id and when they are
    older than `life` seconds, so that a withdrawn key ends; not oftener than every `pause` seconds. The last good set
    is kept while the place is away.
    """

    def __init__(self, place: str, pause: float = 10.0, life: float = 300.0) -> None:
        self.place, self.pause, self.life = place, pause, life
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._ids: frozenset[str | None] = frozenset()
        self._tried = self._read_at = float("-inf")

    def keyset(self, kid: str | None) -> KeySet:
        """The key set, refreshed if this key id is not in it."""
        known = kid in self._ids
        stale = not known or time.monotonic() - self._read_at >= self.life
        # Whoever brings an unknown key id waits for the reading; nobody else does.
        if stale and self._lock.acquire(blocking=not known):
            try:
                self._refresh()
            finally:
                self._lock.release()
        if self._keys is None:
            raise UnavailableError("the issuer's keys cannot be read just now")
        return self._keys

    def _refresh(self) -> None:
        if time.monotonic() - self._tried < self.pause:
            return
        self._tried = time.monotonic()
        try:
            keys = KeySet.import_key_set(strict_json.loads(self._read()))
            # The ids last: who finds an id there finds its key.
            self._keys, self._ids = keys, frozenset(key.kid for key in keys.keys)
            self._read_at = self._tried
        except (OSError, *_FAULTS) as error:
            log.warning("the issuer's keys cannot be read", place=self.place, error=str(error)[:200])

    def _read(self) -> bytes:
        if self.place.startswith("https://"):
            with _OPENER.open(self.place, timeout=5) as answer:
                raw: bytes = answer.read(1_000_000)
                return raw
        return Path(self.place).read_bytes()


class Verifier:
    """Checks the tokens of one service. A signature that held is not checked again for `life` seconds, unless the key
    set is another one; the times of the token are looked at each time.
    """

    #: Tokens remembered at most.
    ROOM = 1024

    def __init__(self, keys: Keys, issuer: str, audience: str, life: float = 60.0) -> None:
        self.keys, self.life = keys, life
        #: By the hash of their text, oldest first; only tokens that held are here.
        self._verified: dict[bytes, _Verified] = {}
        self._lock = threading.Lock()
        self.claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            institution={"essential": True},
        )

    def principal(self, authorization: str | None) -> Principal:
        """Read the Authorization header; refuse whatever is not a valid token for this service."""
        if not authorization:
            raise UnauthenticatedError(_ASK, headers={"WWW-Authenticate": "Bearer"})
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise _refused(_ASK)
        try:
            name = hashlib.sha256(text.encode()).digest()
            verified = self._verified.get(name)
            if verified is None or not self._holds(verified):
                verified = self._verify(text)
                self._remember(name, verified)
        except _FAULTS as error:
            raise _refused(f"the token does not hold: {error}") from None
        return verified.principal

    def _holds(self, verified: _Verified) -> bool:
        return (
            time.monotonic() < verified.again
            and verified.since <= time.time() < verified.until
            and self.keys.keyset(verified.kid) is verified.keys
        )

    def _verify(self, text: str) -> _Verified:
        kid = _key_id(text)
        keys = self.keys.keyset(kid)
        token = jwt.decode(text, keys, algorithms=ALGORITHMS)
        self.claims.validate(token.claims)
        claims = token.claims
        principal = Principal(
            subject=_short(claims, "sub", 128),
            institution=_short(claims, "institution", 64),
            role=str(claims.get("role", "")),
            client=_short(claims, "client_id" if "client_id" in claims else "sub", 128),
            scopes=frozenset(str(claims.get("scope", "")).split()),
        )
        return _Verified(
            principal=principal,
            kid=kid,
            keys=keys,
            since=max(claims.get("nbf", 0), claims.get("iat", 0)) - LEEWAY,
            until=claims["exp"] + LEEWAY,
            again=time.monotonic() + self.life,
        )

    def _remember(self, name: bytes, verified: _Verified) -> None:
        with self._lock:
            self._verified.pop(name, None)
            while len(self._verified) >= self.ROOM:
                del self._verified[next(iter(self._verified))]
            self._verified[name] = verified


_ASK = "send Authorization: Bearer with a token of the issuer"


def _refused(detail: str) -> UnauthenticatedError:
    return UnauthenticatedError(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _key_id(token: str) -> str | None:
    """The key id that an unverified token names: it only says which key to try."""
    segment = token.partition(".")[0]
    header = strict_json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("kid is not a string")
    return kid


def _short(claims: dict[str, Any], name: str, longest: int) -> str:
    """A claim that names somebody: cutting it short could make one of two people."""
    text = claims[name]
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isprintable():
        raise _refused(f"the token's {name} is not a text of 1 to {longest} characters")
    return text

"""Who calls: bearer JWT, checked against configured keys, issuer and this service's audience. The tenant is a claim."""

import base64
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.errors import ForbiddenError, UnauthenticatedError, UnavailableError

ALGORITHMS = ["ES256", "RS256"]
LEEWAY = 60  # seconds


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
            raise ForbiddenError(f"the token lacks the scope {scope}")


class Keys:
    """The issuer's public keys: read from the configured place only, once more on an unknown key id, not oftener than
    every `pause` seconds; the last good set is kept while the place is away.
    """

    def __init__(self, place: str, pause: float = 10.0) -> None:
        self.place, self.pause = place, pause
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._tried = -pause

    def keyset(self, kid: str | None) -> KeySet:
        """The key set, refreshed if this key id is not in it."""
        with self._lock:
            known = self._keys is not None and any(key.kid == kid for key in self._keys.keys)
            if not known and time.monotonic() - self._tried >= self.pause:
                self._tried = time.monotonic()
                try:
                    self._keys = KeySet.import_key_set(self._read())
                except (OSError, ValueError) as error:
                    if self._keys is None:
                        raise UnavailableError(f"the issuer's keys cannot be read: {error}") from None
            if self._keys is None:
                raise UnavailableError("the issuer's keys have not been read yet")
            return self._keys

    def _read(self) -> Any:
        if self.place.startswith("https://"):
            with urlopen(self.place, timeout=5) as answer:  # noqa: S310 - the scheme is checked on the line above
                return json.load(answer)
        return json.loads(Path(self.place).read_text(encoding="utf-8"))


class Verifier:
    """Checks the tokens of one service."""

    def __init__(self, keys: Keys, issuer: str, audience: str) -> None:
        self.keys = keys
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
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise _refused("send Authorization: Bearer with a token of the issuer")
        try:
            kid = json.loads(_segment(text.split(".")[0])).get("kid")
        except (ValueError, IndexError, AttributeError):
            raise _refused("the token is not a JWT") from None
        try:
            token = jwt.decode(text, self.keys.keyset(kid), algorithms=ALGORITHMS)
            self.claims.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise _refused(f"the token does not hold: {error}") from None
        claims = token.claims
        institution = claims["institution"]
        if not isinstance(institution, str) or not 0 < len(institution) <= 64:
            raise _refused("the token names no institution")
        return Principal(
            subject=str(claims["sub"])[:128],
            institution=institution,
            role=str(claims.get("role", "")),
            client=str(claims.get("client_id", claims["sub"]))[:128],
            scopes=frozenset(str(claims.get("scope", "")).split()),
        )


def _refused(detail: str) -> UnauthenticatedError:
    return UnauthenticatedError(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _segment(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

"""The development issuer: keys in the state folder, tokens for the demo's institutions. Refuses production mode."""

import json
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from shared.settings import Settings, SettingsError

#: What each role may do, by service. The audience of a token is the services its role has to do with.
ROLES: dict[str, tuple[str, ...]] = {
    "bureau": ("sink:read", "sink:register", "sink:value", "sink:report", "sink:compensate", "sink:jobs"),
    "bureau-approver": ("sink:read", "sink:approve"),
    "officer": (
        "sink:read",
        "sink:pledge",
        "credit:read",
        "credit:apply",
        "credit:decide",
        "credit:disburse",
        "credit:service",
        "credit:jobs",
    ),
    "credit-approver": ("sink:read", "credit:read", "credit:decide", "credit:approve", "credit:personal"),
    #: Who trains models, and who validates, approves, promotes and takes them back: never one person.
    "modeller": ("credit:read", "credit:train", "insurance:read", "insurance:train"),
    "model-risk": ("credit:read", "credit:govern", "credit:jobs", "insurance:read", "insurance:govern"),
    "insurer": ("sink:read", "insurance:read", "insurance:underwrite", "insurance:claims", "insurance:jobs"),
    "guarantor": ("sink:read", "guarantee:read", "guarantee:manage", "guarantee:pay", "guarantee:jobs"),
    #: An enterprise, a village, a campus: it makes up for its own emissions.
    "member": ("sink:read", "sink:compensate"),
    "auditor": ("sink:read", "credit:read", "insurance:read", "guarantee:read"),
}

#: A person of each role to begin with.
PEOPLE = (
    ("bureau", "bureau-shuozhou"),
    ("bureau-approver", "bureau-shuozhou"),
    ("officer", "bank-yanmen"),
    ("credit-approver", "bank-yanmen"),
    ("modeller", "bank-yanmen"),
    ("model-risk", "bank-yanmen"),
    ("insurer", "insurer-jinbei"),
    ("guarantor", "guarantor-shuozhou"),
    ("auditor", "bank-yanmen"),
)


class DevelopmentIssuer:
    """Mints tokens with a key of its own, kept in a folder that only the owner can read."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        if settings.production:
            raise SettingsError("the development issuer refuses to start in production mode: configure a real issuer")
        self.issuer = settings.issuer
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.jwks = folder / "jwks.json"
        secret = folder / "issuer-key.json"
        if not secret.exists():
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
            secret.touch(mode=0o600)
            secret.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
        self.key = ECKey.import_key(json.loads(secret.read_text(encoding="utf-8")))
        self.jwks.write_text(json.dumps(KeySet([self.key]).as_dict(private=False)), encoding="utf-8")

    def token(self, role: str, institution: str, subject: str | None = None, hours: float = 12.0) -> str:
        """Mint a token for a role at an institution; the subject defaults to `<role>@<institution>`."""
        if role not in ROLES:
            raise SettingsError(f"no such role: {role}. Roles: {', '.join(ROLES)}")
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": subject or f"{role}@{institution}",
            "aud": sorted({scope.split(":")[0] for scope in ROLES[role]}),
            "institution": institution,
            "role": role,
            "scope": " ".join(ROLES[role]),
            "iat": now,
            "nbf": now,
            "exp": now + int(hours * 3600),
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

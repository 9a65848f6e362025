"""Configuration by environment only; every secret may come from a file named in `<NAME>_FILE` instead."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Every variable the program reads; deploy/ and the documents are tested against this list.
VARIABLES = (
    "HEARTWOOD_MODE",
    "HEARTWOOD_DATABASE_URL",
    "HEARTWOOD_WORKER_DATABASE_URL",
    "HEARTWOOD_OWNER_DATABASE_URL",
    "HEARTWOOD_KAFKA_BOOTSTRAP",
    "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS",
    "HEARTWOOD_KAFKA_FETCH_WAIT_MS",
    "HEARTWOOD_TOPIC_PARTITIONS",
    "HEARTWOOD_TOPIC_REPLICATION",
    "HEARTWOOD_ISSUER",
    "HEARTWOOD_JWKS",
    "HEARTWOOD_HOST",
    "HEARTWOOD_PORT",
    "HEARTWOOD_METRICS_PORT",
    "HEARTWOOD_CURSOR_KEY",
    "HEARTWOOD_DATA_KEYS",
    "HEARTWOOD_LOG",
    "HEARTWOOD_MODELS",
    "HEARTWOOD_MODEL_KEYS",
    "HEARTWOOD_SERVICES",
    "HEARTWOOD_STATE",
)
_SECRETS = {
    "HEARTWOOD_DATABASE_URL",
    "HEARTWOOD_WORKER_DATABASE_URL",
    "HEARTWOOD_OWNER_DATABASE_URL",
    "HEARTWOOD_CURSOR_KEY",
    "HEARTWOOD_DATA_KEYS",
}
DEVELOPMENT_ISSUER = "heartwood-development"


class SettingsError(RuntimeError):
    """A variable is missing or cannot be right; says which and what to set."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a process needs to know about where it runs."""

    mode: str
    database_url: str
    worker_database_url: str
    owner_database_url: str
    kafka_bootstrap: str
    kafka_session_timeout_ms: int
    kafka_fetch_wait_ms: int
    topic_partitions: int
    topic_replication: int
    issuer: str
    jwks: str
    host: str
    port: int
    metrics_port: int
    cursor_key: str
    #: Keys for personal data, see shared.sealing; only a service that keeps some needs them.
    data_keys: str
    log: str
    #: Folder of signed models; the ones that came with the program where it is empty.
    models: str
    #: Ed25519 public keys of those who may sign models, base64url, separated by spaces.
    model_keys: str
    #: Where the workbench finds the services: `sink=http://… credit=http://…`.
    services: str
    #: Folder of the development issuer, for the workbench's sign-in.
    state: str

    @property
    def production(self) -> bool:
        """Whether demo conveniences must refuse to start."""
        return self.mode == "production"


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment; refuse what is missing or malformed, naming the variable."""
    mode = _text(environ, "HEARTWOOD_MODE", "development")
    if mode not in ("development", "production"):
        raise SettingsError(f"HEARTWOOD_MODE is {mode!r}: set development or production")
    cursor_key = _text(environ, "HEARTWOOD_CURSOR_KEY", "" if mode == "production" else "development-only")
    if not cursor_key or (mode == "production" and cursor_key == "development-only"):
        raise SettingsError("HEARTWOOD_CURSOR_KEY is missing: set a random secret, the same in every replica")
    issuer = _text(environ, "HEARTWOOD_ISSUER", DEVELOPMENT_ISSUER)
    jwks = _text(environ, "HEARTWOOD_JWKS", "")
    if mode == "production" and issuer in ("", DEVELOPMENT_ISSUER):
        raise SettingsError("HEARTWOOD_ISSUER is missing or the development issuer: set the issuer of your tokens")
    if mode == "production" and not jwks:
        raise SettingsError("HEARTWOOD_JWKS is missing: set the https address, or the file, of the issuer's keys")
    if jwks.startswith("http://"):
        raise SettingsError(f"HEARTWOOD_JWKS is {jwks!r}: unprotected keys prove nothing; set an https address")
    return Settings(
        mode=mode,
        database_url=_text(environ, "HEARTWOOD_DATABASE_URL", ""),
        worker_database_url=_text(environ, "HEARTWOOD_WORKER_DATABASE_URL", ""),
        owner_database_url=_text(environ, "HEARTWOOD_OWNER_DATABASE_URL", ""),
        kafka_bootstrap=_text(environ, "HEARTWOOD_KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
        kafka_session_timeout_ms=_number(environ, "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS", 45_000),
        kafka_fetch_wait_ms=_number(environ, "HEARTWOOD_KAFKA_FETCH_WAIT_MS", 500),
        topic_partitions=_number(environ, "HEARTWOOD_TOPIC_PARTITIONS", 3),
        topic_replication=_number(environ, "HEARTWOOD_TOPIC_REPLICATION", 1),
        issuer=issuer,
        jwks=jwks,
        host=_text(environ, "HEARTWOOD_HOST", "127.0.0.1"),
        port=_number(environ, "HEARTWOOD_PORT", 8100),
        metrics_port=_number(environ, "HEARTWOOD_METRICS_PORT", 0),
        cursor_key=cursor_key,
        data_keys=_text(environ, "HEARTWOOD_DATA_KEYS", ""),
        log=_text(environ, "HEARTWOOD_LOG", "json"),
        models=_text(environ, "HEARTWOOD_MODELS", ""),
        model_keys=_text(environ, "HEARTWOOD_MODEL_KEYS", ""),
        services=_text(environ, "HEARTWOOD_SERVICES", ""),
        state=_text(environ, "HEARTWOOD_STATE", ""),
    )


def _text(environ: Mapping[str, str], name: str, default: str) -> str:
    path = environ.get(f"{name}_FILE") if name in _SECRETS else None
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {why}") from None
    return environ.get(name, default)


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SettingsError(f"{name} is {text!r}: set a whole number")
    return int(text)

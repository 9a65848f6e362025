"""Put an app together from its settings: database, keys, readiness."""

import socket
from importlib.metadata import version
from typing import Any

import structlog
from sqlalchemy import Engine

from shared import db, relay, schema
from shared.auth import Keys, Verifier
from shared.sealing import keys_of
from shared.settings import Settings
from shared.web import Service

log = structlog.get_logger(__name__)

#: An outbox older than this means that events do not reach the broker: the service is not ready. [s]
OUTBOX_AGE_LIMIT = 300.0


def service(name: str, title: str, settings: Settings, *, personal: bool = False) -> Service:
    """What create_app needs, from the environment; one that keeps personal data needs keys for them."""
    # The door repeats a transaction whose connection turns out to be dead, so no request need pay for asking first.
    engine = db.engine(settings.database_url, pool_pre_ping=False)
    sessions = db.sessions(engine, **({"keys": keys_of(settings)} if personal else {}))

    def ready() -> dict[str, Any]:
        return _ready(name, engine, settings)

    return Service(
        name=name,
        title=title,
        sessions=sessions,
        verifier=Verifier(Keys(settings.jwks), settings.issuer, name),
        cursor_key=settings.cursor_key.encode(),
        ready=ready,
        version=version("heartwood"),
    )


def _ready(name: str, engine: Engine, settings: Settings) -> dict[str, Any]:
    """Say part by part whether the service can do its work; the broker may be away while the outbox is young."""
    parts: dict[str, Any] = {"ready": True}
    try:
        schema.demand_current(name, engine)
        parts["database"] = parts["migrations"] = "ok"
        with db.sessions(engine)() as session:
            age = relay.oldest_unsent(session)
        parts["outbox_oldest_age_seconds"] = round(age, 3)
        if age > OUTBOX_AGE_LIMIT:
            parts.update(
                ready=False, outbox=f"the oldest event has waited {age:.0f} s for the broker: is the worker up?"
            )
    except schema.SchemaError as error:
        parts.update(ready=False, migrations=str(error))
    except Exception as error:
        parts.update(ready=False, database=f"the database does not answer ({type(error).__name__})")
    parts["broker"] = "ok" if _answers(settings.kafka_bootstrap) else "no answer; events wait in the outbox"
    return parts


def _answers(bootstrap: str) -> bool:
    """Whether something listens where the broker should."""
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False

"""The schema of a service's database: migrate it, compare it with the code, refuse to run on another one."""

import importlib
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import to_tuple
from sqlalchemy import Connection, Engine, MetaData, text

# Every module with tables of the plumbing must be known before the metadata is compared.
from shared import approvals, audit, idempotency, inbox, jobs, outbox, relay, timers, watchers
from shared import models as models  # its rules are laid down by a later migration than those of the others
from shared.db import Plumbing

SERVICES = ("sink", "credit", "insurance", "guarantee")
_PLUMBING = (outbox, inbox, audit, timers, approvals, jobs, idempotency, relay, watchers)


class SchemaError(RuntimeError):
    """The database has another schema than this code."""


def config(service: str, connection: Connection | None = None) -> Config:
    """Alembic's configuration of a service, without an ini file."""
    here, home = Path(__file__).parent, Path(importlib.import_module(f"services.{service}").__file__ or "").parent
    made = Config()
    made.set_main_option("script_location", str(here / "migrations"))
    made.set_main_option("path_separator", "newline")
    made.set_main_option("version_locations", f"{here / 'migrations' / 'versions'}\n{home / 'migrations'}")
    made.attributes.update(service=service, metadata=metadata(service), connection=connection)
    return made


def metadata(service: str) -> list[MetaData]:
    """The tables the code of a service has: the plumbing's and its own."""
    return [Plumbing.metadata, importlib.import_module(f"services.{service}.tables").Base.metadata]


def migrate(service: str, engine: Engine, target: str = "heads") -> None:
    """Bring a database up to date, as its owner, while nobody else does."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('heartwood.migrate'))"))
        command.upgrade(config(service, connection), target)


def undo(service: str, engine: Engine) -> None:
    """Take every migration back, down to nothing."""
    with engine.begin() as connection:
        command.downgrade(config(service, connection), "base")


def differences(service: str, engine: Engine) -> list[Any]:
    """What differs between the database and the code; empty when they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        tables = {t.name: t for one in metadata(service) for t in one.tables.values()}
        joined = MetaData(naming_convention=Plumbing.metadata.naming_convention)
        for table in tables.values():
            table.to_metadata(joined)
        return list(compare_metadata(context, joined))


def heads(service: str) -> set[str]:
    """The revisions this code is written for."""
    scripts = ScriptDirectory.from_config(config(service))
    # A head that another revision depends on is implied by it: alembic does not list it in the database either.
    implied = {
        needed for revision in scripts.walk_revisions() for needed in to_tuple(revision.dependencies, default=())
    }
    return set(scripts.get_heads()) - implied


def demand_current(service: str, engine: Engine) -> None:
    """Refuse to go on unless the database has exactly this code's schema."""
    with engine.connect() as connection:
        found = set(MigrationContext.configure(connection).get_current_heads())
    if found != heads(service):
        raise SchemaError(
            f"the {service} database is at {sorted(found) or 'nothing'}, this code needs {sorted(heads(service))}:"
            f" run `heartwood migrate {service}` with this version of the code"
        )


def plumbing_rules(service: str) -> list[str]:
    """SQL of the plumbing's triggers, policies and grants, for its first migration."""
    roles = f"{service}_app, {service}_worker"
    grants = [f"GRANT USAGE ON SCHEMA public TO {roles}", f"GRANT SELECT ON alembic_version TO {roles}"]
    return [*grants, *(rule for module in _PLUMBING for rule in module.rules(service))]

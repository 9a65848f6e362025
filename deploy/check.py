"""`alembic check` for every service, on a real PostgreSQL: the migrations make exactly the tables of the code."""

import sys
import tempfile
from pathlib import Path

from deploy.embedded import EmbeddedPostgres
from shared import database, schema
from shared.db import engine


def main() -> int:
    """Migrate four empty databases and compare them with the code."""
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="hw-check-") as folder,
        EmbeddedPostgres(Path(folder), durable=False) as postgres,
    ):
        for service in schema.SERVICES:
            database.create(postgres.url("postgres", "postgres"), service)
            owner = engine(postgres.url(f"{service}_owner", service))
            try:
                schema.migrate(service, owner)
                differences = schema.differences(service, owner)
            finally:
                owner.dispose()
            wrong += bool(differences)
            print(f"{service}: {differences or 'migrations and tables agree'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

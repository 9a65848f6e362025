"""The schema: the migrations make what the code expects, up and down, and another schema is refused."""

import pytest
from sqlalchemy import text

from shared import schema
from tests.conftest import Database, make_database


@pytest.mark.parametrize("service", schema.SERVICES)
def test_the_migrations_make_exactly_the_tables_of_the_code(databases: dict[str, Database], service: str) -> None:
    assert schema.differences(service, databases[service].owner) == []


@pytest.mark.parametrize("service", schema.SERVICES)
def test_the_migrations_go_up_down_and_up_again(postgres, service: str) -> None:
    database = make_database(postgres, service, f"updown_{service}")
    try:
        schema.undo(service, database.owner)
        with database.owner.connect() as connection:
            left = connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
            ).all()
        assert left == []
        with pytest.raises(schema.SchemaError, match=f"heartwood migrate {service}"):
            schema.demand_current(service, database.app)
        schema.migrate(service, database.owner)
        schema.demand_current(service, database.app)
    finally:
        database.dispose()


@pytest.mark.parametrize("service", schema.SERVICES)
def test_every_table_with_an_institution_has_forced_row_level_security(
    databases: dict[str, Database], service: str
) -> None:
    with databases[service].owner.connect() as connection:
        unprotected = connection.scalars(
            text(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'institution'"
                " AND NOT (c.relrowsecurity AND c.relforcerowsecurity"
                "          AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))"
            )
        ).all()
    assert unprotected == []


@pytest.mark.parametrize("service", schema.SERVICES)
def test_the_application_roles_own_nothing_and_bypass_nothing(databases: dict[str, Database], service: str) -> None:
    with databases[service].owner.connect() as connection:
        for role in ("app", "worker"):
            name = f"{service}_{role}"
            owned = connection.scalar(
                text("SELECT count(*) FROM pg_class WHERE relowner = CAST(:r AS regrole)"), {"r": name}
            )
            powers = connection.execute(
                text("SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = :r"),
                {"r": name},
            ).one()
            assert owned == 0
            assert not any(powers)

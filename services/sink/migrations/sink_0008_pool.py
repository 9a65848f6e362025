"""The buffer of a registrar's forests under one programme is one pool, counted by the database itself."""

import importlib

import sqlalchemy as sa
from alembic import op

revision = "sink_0008"
down_revision = "sink_0007"
branch_labels = None
depends_on = None


def counters(buffer: str) -> str:
    """The function that holds an asset's counters against its ledger, with these accounts for the buffer's."""
    rules: list[str] = importlib.import_module("services.sink.migrations.sink_0004_ledger").ledger_rules()
    (function,) = [rule for rule in rules if rule.startswith("CREATE FUNCTION demand_counters")]
    old = "coalesce(sum(tonnes) FILTER (WHERE account = 'buffer'), 0) AS buffer"
    assert old in function
    new = f"coalesce(sum(tonnes) FILTER (WHERE account IN ({buffer})), 0) AS buffer"
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(old, new)


def _recount(accounts: str) -> None:
    """Let the counters of assets say what they say from now on; the owner sees all rows meanwhile."""
    for table in ("assets", "unit_entries"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE assets DISABLE TRIGGER USER")
    op.execute(
        f"""UPDATE assets SET buffer_tonnes = given.tonnes
              FROM (SELECT asset_id, sum(tonnes) AS tonnes FROM unit_entries WHERE account IN ({accounts})
                     GROUP BY asset_id) AS given WHERE assets.id = given.asset_id"""  # noqa: S608
    )
    op.execute("ALTER TABLE assets ENABLE TRIGGER USER")


def _force() -> None:
    for table in ("assets", "unit_entries"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def upgrade() -> None:
    op.create_table(
        "buffer_pools",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("programme", sa.String(length=16), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("cancelled_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.CheckConstraint("tonnes >= 0 AND cancelled_tonnes >= 0", name=op.f("ck_buffer_pools_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buffer_pools")),
        sa.UniqueConstraint("registrar", "programme", name=op.f("uq_buffer_pools_registrar_programme")),
    )
    op.create_index(
        "ix_unit_entries_pooled",
        "unit_entries",
        ["first_serial"],
        unique=False,
        postgresql_where=sa.text("account = 'buffer' AND tonnes > 0"),
    )
    op.add_column("reversals", sa.Column("avoidable", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    _recount("'buffer', 'buffer_cancelled'")
    op.execute(
        """INSERT INTO buffer_pools (id, registrar, programme, tonnes, cancelled_tonnes)
           SELECT gen_random_uuid(), a.registrar, a.programme,
                  coalesce(sum(e.tonnes) FILTER (WHERE e.account = 'buffer'), 0),
                  coalesce(sum(e.tonnes) FILTER (WHERE e.account = 'buffer_cancelled'), 0)
             FROM unit_entries e JOIN assets a ON a.id = e.asset_id
            WHERE e.account IN ('buffer', 'buffer_cancelled') GROUP BY a.registrar, a.programme"""
    )
    _force()
    for rule in [
        counters("'buffer', 'buffer_cancelled'"),
        # Everybody reads the pools; they are written by the ledger's own lines and by nothing else.
        "GRANT SELECT ON buffer_pools TO sink_app, sink_worker",
        """CREATE FUNCTION unit_entries_pooled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
           SET search_path = public, pg_temp AS $$
        DECLARE
          forest assets;
          set_aside numeric := CASE NEW.account WHEN 'buffer' THEN NEW.tonnes ELSE 0 END;
        BEGIN
          SELECT * INTO forest FROM assets WHERE id = NEW.asset_id;
          UPDATE buffer_pools
             SET tonnes = tonnes + set_aside, cancelled_tonnes = cancelled_tonnes + NEW.tonnes - set_aside
           WHERE (registrar, programme) = (forest.registrar, forest.programme);
          IF NOT FOUND THEN
            INSERT INTO buffer_pools (id, registrar, programme, tonnes, cancelled_tonnes)
            VALUES (gen_random_uuid(), forest.registrar, forest.programme, set_aside, NEW.tonnes - set_aside);
          END IF;
          RETURN NULL;
        END $$""",
        """CREATE TRIGGER pooled AFTER INSERT ON unit_entries FOR EACH ROW
           WHEN (NEW.account IN ('buffer', 'buffer_cancelled')) EXECUTE FUNCTION unit_entries_pooled()""",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.execute("DROP TRIGGER pooled ON unit_entries")
    op.execute("DROP FUNCTION unit_entries_pooled()")
    _recount("'buffer'")
    _force()
    op.execute(counters("'buffer'"))
    op.drop_column("reversals", "avoidable")
    op.drop_index("ix_unit_entries_pooled", table_name="unit_entries")
    op.drop_table("buffer_pools")

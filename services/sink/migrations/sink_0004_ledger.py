"""The ledger of units, projects, replacement duties and lien certificates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT

revision = "sink_0004"
down_revision = "sink_0003"
branch_labels = None
depends_on = None


#: What each kind of posting may take from (-) and bring to (+) each account.
MOVES = {
    "issue": "programme- buffer+ free+ pledged+ frozen+ enforced+ pledged- frozen- enforced- forecast+",
    "pledge": "forecast- pledged+ free- free+",
    "freeze": "pledged- frozen+",
    "release": "pledged- frozen- pledged+ frozen+ free+ forecast+",
    "enforce": "pledged- frozen- enforced+",
    "retire": "free- free+ transferred- transferred+ retired+",
    "cancel": "free- free+ transferred- transferred+ cancelled+",
    "transfer": "free- free+ transferred- transferred+ enforced- enforced+",
    "reverse": "buffer- buffer+ buffer_cancelled+",
}
#: Kinds of posting that the bank makes on its own lien; all others are the registrar's.
OF_THE_BANK = "('pledge', 'freeze', 'release', 'enforce')"
#: Columns of an asset that a pledge moves; a bank's transaction may touch these and no others.
PLEDGE_COLUMNS = "'version', 'pledged_tonnes', 'enforced_tonnes', 'over_pledged', 'last_rank'"


def public_table(table: str, *, grants: str, registrar: str | None = None, update: bool = False) -> list[str]:
    """Rules of a table that everybody reads; only the registrar writes it, if it has that column."""
    mine = f"{registrar} = {TENANT}" if registrar else f"{TENANT} IS NOT NULL"
    rules = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY everybody_reads ON {table} FOR SELECT USING (true)",
        f"CREATE POLICY own_enters ON {table} FOR INSERT WITH CHECK ({mine})",
        f"GRANT {grants} ON {table} TO sink_app, sink_worker",
    ]
    if update:
        rules.append(f"CREATE POLICY own_changes ON {table} FOR UPDATE USING ({mine})")
    return rules


def asset_guard(used_up: str) -> str:
    """Who changes which column of an asset; nobody but a valuation leaves more spoken for than there is."""
    return f"""CREATE OR REPLACE FUNCTION assets_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.registrar IS DISTINCT FROM {TENANT}
             AND to_jsonb(NEW) - ARRAY[{PLEDGE_COLUMNS}] IS DISTINCT FROM to_jsonb(OLD) - ARRAY[{PLEDGE_COLUMNS}] THEN
            RAISE insufficient_privilege USING MESSAGE = 'only the registrar changes an asset';
          END IF;
          IF NEW.over_pledged
             AND NEW.pledged_tonnes + NEW.enforced_tonnes > OLD.pledged_tonnes + OLD.enforced_tonnes THEN
            RAISE check_violation USING MESSAGE = 'a pledge exceeds the free units of the asset';
          END IF;
          {used_up}
          RETURN NEW;
        END $$"""


_GONE = "{0}.retired_tonnes + {0}.cancelled_tonnes + {0}.transferred_tonnes"
USED_UP = f"""IF NEW.over_pledged AND {_GONE.format("NEW")} > {_GONE.format("OLD")} THEN
            RAISE check_violation USING MESSAGE = 'units that stand behind a lien cannot be used up';
          END IF;"""


def ledger_rules() -> list[str]:
    """What no CHECK can hold: the ledger is only added to, each posting balances, and the counters are its sums."""
    moves = ", ".join(f"'{kind} {move}'" for kind, allowed in MOVES.items() for move in allowed.split())
    return [
        """CREATE FUNCTION ledger_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE insufficient_privilege USING MESSAGE = 'the ledger is only added to';
        END $$""",
        *(
            f"CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION ledger_is_only_added_to()"
            for table in ("unit_entries", "unit_postings", "issuances", "retirements", "project_steps")
        ),
        # A new line: by whom it may be made, between which accounts, and that it takes only what stands there.
        f"""CREATE FUNCTION unit_entries_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          posting unit_postings;
          spent unit_entries;
        BEGIN
          SELECT * INTO posting FROM unit_postings WHERE id = NEW.posting_id;
          IF posting.asset_id IS DISTINCT FROM NEW.asset_id THEN
            RAISE check_violation USING MESSAGE = 'a posting concerns one asset';
          END IF;
          IF posting.kind || ' ' || NEW.account || (CASE WHEN NEW.tonnes < 0 THEN '-' ELSE '+' END)
             <> ALL (ARRAY[{moves}]) THEN
            RAISE check_violation USING MESSAGE = 'this kind of posting does not move units so';
          END IF;
          IF posting.kind IN {OF_THE_BANK} THEN
            -- Row-level security shows a bank its own pledges and no others.
            IF NOT EXISTS (
                 SELECT FROM pledges WHERE id = posting.subject_id AND asset_id = NEW.asset_id
                    AND (NEW.pledge_id IS NULL OR (id, rank) = (NEW.pledge_id, NEW.rank))) THEN
              RAISE insufficient_privilege USING MESSAGE = 'only the bank moves the units under its lien';
            END IF;
          ELSIF NOT EXISTS (SELECT FROM assets WHERE id = NEW.asset_id AND registrar = {TENANT}) THEN
            RAISE insufficient_privilege USING MESSAGE = 'only the registrar moves units';
          END IF;
          IF NEW.spends IS NOT NULL THEN
            SELECT * INTO spent FROM unit_entries WHERE id = NEW.spends;
            IF (spent.asset_id, spent.issuance_id, spent.account, spent.holder, spent.pledge_id, spent.rank,
                spent.first_serial, spent.last_serial, spent.tonnes)
               IS DISTINCT FROM
               (NEW.asset_id, NEW.issuance_id, NEW.account, NEW.holder, NEW.pledge_id, NEW.rank,
                NEW.first_serial, NEW.last_serial, - NEW.tonnes) THEN
              RAISE check_violation USING MESSAGE = 'a block leaves its account whole';
            END IF;
            IF posting.kind = 'issue' AND NEW.first_serial IS NOT NULL THEN
              RAISE check_violation USING MESSAGE = 'an issuance moves no units that were issued before';
            END IF;
          END IF;
          IF NEW.account = 'programme' AND NOT EXISTS (
               SELECT FROM issuances i WHERE i.id = NEW.issuance_id AND i.id = posting.subject_id
                  AND i.asset_id = NEW.asset_id
                  AND (i.first_serial, i.last_serial) = (NEW.first_serial, NEW.last_serial)) THEN
            RAISE check_violation USING MESSAGE = 'what the programme gives is what the issuance says';
          END IF;
          RETURN NEW;
        END $$""",  # noqa: S608
        "CREATE TRIGGER guard BEFORE INSERT ON unit_entries FOR EACH ROW EXECUTE FUNCTION unit_entries_guard()",
        # At the end of the transaction: the posting as a whole.
        """CREATE FUNCTION unit_postings_balance() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF (SELECT sum(tonnes) FROM unit_entries WHERE posting_id = NEW.posting_id) <> 0 THEN
            RAISE check_violation USING MESSAGE = 'the lines of a posting sum to zero';
          END IF;
          IF EXISTS (
            SELECT FROM unit_entries WHERE posting_id = NEW.posting_id AND first_serial IS NOT NULL
             GROUP BY issuance_id
            HAVING sum(tonnes) <> 0
                OR range_agg(int8range(first_serial, last_serial, '[]')) FILTER (WHERE tonnes < 0)
                   IS DISTINCT FROM range_agg(int8range(first_serial, last_serial, '[]')) FILTER (WHERE tonnes > 0)
          ) THEN
            RAISE check_violation USING MESSAGE = 'the new blocks of a posting tile the old ones';
          END IF;
          IF EXISTS (
            SELECT FROM unit_entries e JOIN unit_postings p ON p.id = e.posting_id
             WHERE e.posting_id = NEW.posting_id AND e.pledge_id IS NOT NULL
             GROUP BY e.pledge_id, p.kind
            HAVING p.kind IN ('issue', 'freeze', 'enforce') AND sum(e.tonnes) <> 0
                OR p.kind = 'release' AND sum(e.tonnes) >= 0
                OR p.kind = 'pledge' AND sum(e.tonnes) <= 0
          ) THEN
            RAISE check_violation USING MESSAGE = 'a lien keeps its tonnes until it is released';
          END IF;
          PERFORM demand_counters(NEW.asset_id);
          RETURN NULL;
        END $$""",
        # What an asset counts is what the ledger sums to.
        """CREATE FUNCTION demand_counters(asset uuid) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
          ledger record;
        BEGIN
          SELECT coalesce(sum(tonnes) FILTER (WHERE account IN ('pledged', 'frozen')), 0) AS pledged,
                 coalesce(sum(tonnes) FILTER (WHERE account = 'enforced'), 0) AS enforced,
                 coalesce(sum(tonnes) FILTER (WHERE account = 'transferred'), 0) AS transferred,
                 coalesce(sum(tonnes) FILTER (WHERE account = 'retired'), 0) AS retired,
                 coalesce(sum(tonnes) FILTER (WHERE account = 'cancelled'), 0) AS cancelled,
                 coalesce(sum(tonnes) FILTER (WHERE account = 'buffer'), 0) AS buffer,
                 coalesce(-sum(tonnes) FILTER (WHERE account IN ('programme', 'buffer', 'buffer_cancelled')), 0)
                   AS issued
            INTO ledger FROM unit_entries WHERE asset_id = asset;
          IF EXISTS (
            SELECT FROM assets WHERE id = asset
               AND (pledged_tonnes, enforced_tonnes, transferred_tonnes, retired_tonnes, cancelled_tonnes,
                    buffer_tonnes, issued_tonnes)
                   IS DISTINCT FROM
                   (ledger.pledged, ledger.enforced, ledger.transferred, ledger.retired, ledger.cancelled,
                    ledger.buffer, ledger.issued)
          ) THEN
            RAISE check_violation USING MESSAGE = 'the counters of an asset are the sums of its ledger';
          END IF;
        END $$""",
        """CREATE CONSTRAINT TRIGGER balance AFTER INSERT ON unit_entries DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION unit_postings_balance()""",
        """CREATE FUNCTION assets_counters() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM demand_counters(NEW.id);
          RETURN NULL;
        END $$""",
        """CREATE CONSTRAINT TRIGGER counters AFTER INSERT OR UPDATE OF pledged_tonnes, enforced_tonnes,
             transferred_tonnes, retired_tonnes, cancelled_tonnes, buffer_tonnes, issued_tonnes ON assets
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assets_counters()""",
        # No issuance without its units.
        """CREATE FUNCTION issuances_in_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NOT EXISTS (SELECT FROM unit_entries WHERE issuance_id = NEW.id AND account = 'programme') THEN
            RAISE check_violation USING MESSAGE = 'an issuance brings its units into the ledger';
          END IF;
          RETURN NULL;
        END $$""",
        """CREATE CONSTRAINT TRIGGER in_ledger AFTER INSERT ON issuances DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION issuances_in_ledger()""",
    ]


def carry_over() -> list[str]:
    """Liens that stand when the ledger begins lie on the forecast; credits issued before it had no serial numbers."""
    lien = "CASE state WHEN 'placed' THEN 'pledged' ELSE state END"
    return [
        """DO $$ BEGIN
          IF EXISTS (SELECT FROM issuances) THEN
            RAISE EXCEPTION 'this register holds issuances without serial numbers: enter them anew after the upgrade';
          END IF;
        END $$""",
        "ALTER TABLE pledges NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE assets NO FORCE ROW LEVEL SECURITY",
        """INSERT INTO unit_postings (id, asset_id, kind, subject_id, reason, tonnes, serials, posted_at)
           SELECT gen_random_uuid(), asset_id, 'pledge', id, 'carried over', tonnes, '[]', placed_at
             FROM pledges WHERE state <> 'released'""",
        """INSERT INTO unit_entries (id, posting_id, asset_id, account, tonnes)
           SELECT gen_random_uuid(), id, asset_id, 'forecast', - tonnes FROM unit_postings""",
        f"""INSERT INTO unit_entries (id, posting_id, asset_id, account, holder, pledge_id, rank, tonnes)
           SELECT gen_random_uuid(), p.id, p.asset_id, {lien},
                  CASE WHEN l.state = 'enforced' THEN l.institution END, l.id, l.rank, l.tonnes
             FROM unit_postings p JOIN pledges l ON l.id = p.subject_id""",  # noqa: S608
        "ALTER TABLE assets FORCE ROW LEVEL SECURITY",
        "ALTER TABLE pledges FORCE ROW LEVEL SECURITY",
    ]


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("portal_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("methodology", sa.String(length=64), nullable=False),
        sa.Column("expected_tonnes_per_year", sa.Numeric(precision=18, scale=3), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("vintage_from", sa.Date(), nullable=True),
        sa.Column("vintage_to", sa.Date(), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('notice', 'registered', 'reductions_notice', 'reductions_registered', 'issued')",
            name=op.f("ck_projects_state"),
        ),
        sa.CheckConstraint("round >= 0 AND number > 0", name=op.f("ck_projects_numbers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("number", name=op.f("uq_projects_number")),
        sa.UniqueConstraint("registrar", "portal_id", name=op.f("uq_projects_registrar_portal_id")),
    )
    op.create_index(op.f("ix_projects_registrar"), "projects", ["registrar"], unique=False)
    op.create_table(
        "project_steps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("taken_on", sa.Date(), nullable=False),
        sa.Column("evidence", sa.String(length=300), nullable=False),
        sa.Column("vintage_from", sa.Date(), nullable=True),
        sa.Column("vintage_to", sa.Date(), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(trim(evidence)) > 2", name=op.f("ck_project_steps_evidence")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_project_steps_project_id_projects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_steps")),
        sa.UniqueConstraint("project_id", "round", "state", name=op.f("uq_project_steps_project_id_round_state")),
    )
    op.create_index(op.f("ix_project_steps_project_id"), "project_steps", ["project_id"], unique=False)
    op.create_table(
        "unit_postings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("serials", postgresql.JSONB(), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('issue', 'pledge', 'freeze', 'release', 'enforce', 'retire', 'cancel', 'transfer', 'reverse')",
            name=op.f("ck_unit_postings_kind"),
        ),
        sa.CheckConstraint(
            "kind NOT IN ('retire', 'cancel', 'reverse') OR (reason IS NOT NULL AND length(trim(reason)) > 2)",
            name=op.f("ck_unit_postings_reason"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_unit_postings_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_postings")),
    )
    op.create_index(op.f("ix_unit_postings_asset_id"), "unit_postings", ["asset_id"], unique=False)
    op.create_table(
        "lien_certificates",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("pledge_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pledge_id"], ["pledges.id"], name=op.f("fk_lien_certificates_pledge_id_pledges")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_lien_certificates")),
    )
    op.create_index(op.f("ix_lien_certificates_institution"), "lien_certificates", ["institution"], unique=False)
    op.create_index(op.f("ix_lien_certificates_pledge_id"), "lien_certificates", ["pledge_id"], unique=False)
    op.create_table(
        "replacement_duties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("reversed_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("buffer_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("duty_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("discharged_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("serials", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "discharged_tonnes >= 0 AND discharged_tonnes <= duty_tonnes", name=op.f("ck_replacement_duties_discharged")
        ),
        sa.CheckConstraint("reversed_tonnes = buffer_tonnes + duty_tonnes", name=op.f("ck_replacement_duties_covered")),
        sa.CheckConstraint(
            "reversed_tonnes > 0 AND buffer_tonnes >= 0 AND duty_tonnes >= 0", name=op.f("ck_replacement_duties_tonnes")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_replacement_duties_asset_id_assets")),
        sa.ForeignKeyConstraint(
            ["reversal_id"], ["reversals.id"], name=op.f("fk_replacement_duties_reversal_id_reversals")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replacement_duties")),
        sa.UniqueConstraint("reversal_id", name=op.f("uq_replacement_duties_reversal_id")),
    )
    op.create_index(op.f("ix_replacement_duties_asset_id"), "replacement_duties", ["asset_id"], unique=False)
    op.create_table(
        "unit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("issuance_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(length=16), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=True),
        sa.Column("pledge_id", sa.Uuid(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("first_serial", sa.BigInteger(), nullable=True),
        sa.Column("last_serial", sa.BigInteger(), nullable=True),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("spends", sa.Uuid(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.text("int8range(first_serial, last_serial, '[]')"), "&&"),
            where=sa.text("account IN ('retired', 'cancelled', 'buffer_cancelled')"),
            using="gist",
            name="ex_unit_entries_used_up_once",
        ),
        sa.CheckConstraint(
            "CASE WHEN account IN ('transferred', 'enforced') THEN holder IS NOT NULL"
            " WHEN account IN ('retired', 'cancelled') THEN true ELSE holder IS NULL END",
            name=op.f("ck_unit_entries_holder"),
        ),
        sa.CheckConstraint(
            "CASE account WHEN 'forecast' THEN first_serial IS NULL"
            " ELSE first_serial IS NOT NULL OR account IN ('pledged', 'frozen', 'enforced') END",
            name=op.f("ck_unit_entries_stage"),
        ),
        sa.CheckConstraint(
            "account IN ('programme', 'forecast', 'free', 'pledged', 'frozen', 'enforced', 'buffer', 'transferred',"
            " 'retired', 'cancelled', 'buffer_cancelled')",
            name=op.f("ck_unit_entries_account"),
        ),
        sa.CheckConstraint(
            "num_nulls(pledge_id, rank) = CASE WHEN account IN ('pledged', 'frozen', 'enforced') THEN 0 ELSE 2 END",
            name=op.f("ck_unit_entries_lien"),
        ),
        sa.CheckConstraint(
            "tonnes <> 0 AND (account <> 'programme' OR tonnes < 0)"
            " AND (spends IS NOT NULL) = (tonnes < 0 AND account NOT IN ('programme', 'forecast'))",
            name=op.f("ck_unit_entries_sign"),
        ),
        sa.CheckConstraint(
            "num_nulls(issuance_id, first_serial, last_serial) IN (0, 3)"
            " AND (first_serial IS NULL OR (first_serial > 0 AND abs(tonnes) = last_serial - first_serial + 1))",
            name=op.f("ck_unit_entries_serials"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_unit_entries_asset_id_assets")),
        sa.ForeignKeyConstraint(["issuance_id"], ["issuances.id"], name=op.f("fk_unit_entries_issuance_id_issuances")),
        sa.ForeignKeyConstraint(
            ["posting_id"], ["unit_postings.id"], name=op.f("fk_unit_entries_posting_id_unit_postings")
        ),
        sa.ForeignKeyConstraint(["spends"], ["unit_entries.id"], name=op.f("fk_unit_entries_spends_unit_entries")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_entries")),
    )
    op.create_index(op.f("ix_unit_entries_asset_id"), "unit_entries", ["asset_id"], unique=False)
    op.create_index(op.f("ix_unit_entries_issuance_id"), "unit_entries", ["issuance_id"], unique=False)
    op.create_index(
        "ix_unit_entries_issued_once",
        "unit_entries",
        ["issuance_id"],
        unique=True,
        postgresql_where=sa.text("account = 'programme'"),
    )
    op.create_index(op.f("ix_unit_entries_pledge_id"), "unit_entries", ["pledge_id"], unique=False)
    op.create_index(op.f("ix_unit_entries_posting_id"), "unit_entries", ["posting_id"], unique=False)
    op.create_index("ix_unit_entries_spends", "unit_entries", ["spends"], unique=True)
    op.add_column(
        "assets",
        sa.Column("transferred_tonnes", sa.Numeric(precision=18, scale=3), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "assets",
        sa.Column("cancelled_tonnes", sa.Numeric(precision=18, scale=3), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "assets",
        sa.Column("buffer_tonnes", sa.Numeric(precision=18, scale=3), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("assets", sa.Column("project_id", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_assets_project_id"), "assets", ["project_id"], unique=False)
    op.create_foreign_key(op.f("fk_assets_project_id_projects"), "assets", "projects", ["project_id"], ["id"])
    for rule in carry_over():
        op.execute(rule)
    op.add_column("issuances", sa.Column("buffer_tonnes", sa.Numeric(precision=18, scale=3), nullable=False))
    op.add_column("issuances", sa.Column("batch", sa.String(length=64), nullable=False))
    op.add_column("issuances", sa.Column("first_serial", sa.BigInteger(), nullable=False))
    op.add_column("issuances", sa.Column("last_serial", sa.BigInteger(), nullable=False))
    op.create_unique_constraint(op.f("uq_issuances_batch"), "issuances", ["batch"])
    op.add_column(
        "retirements", sa.Column("serials", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False)
    )
    op.drop_constraint(op.f("ck_assets_over_pledged_is_told"), "assets")
    op.create_check_constraint(
        op.f("ck_assets_over_pledged_is_told"),
        "assets",
        "over_pledged = (pledged_tonnes + enforced_tonnes > forecast_tonnes + issued_tonnes - retired_tonnes"
        " - cancelled_tonnes - transferred_tonnes)",
    )
    op.drop_constraint(op.f("ck_assets_retired_were_issued"), "assets")
    op.create_check_constraint(
        op.f("ck_assets_retired_were_issued"),
        "assets",
        "retired_tonnes + cancelled_tonnes + transferred_tonnes <= issued_tonnes",
    )
    op.create_check_constraint(
        op.f("ck_assets_ledger_not_negative"),
        "assets",
        "transferred_tonnes >= 0 AND cancelled_tonnes >= 0 AND buffer_tonnes >= 0",
    )
    op.create_check_constraint(op.f("ck_issuances_buffer"), "issuances", "buffer_tonnes >= 0")
    op.create_check_constraint(
        op.f("ck_issuances_serials"), "issuances", "last_serial - first_serial + 1 = tonnes + buffer_tonnes"
    )
    op.execute(
        "ALTER TABLE issuances ADD CONSTRAINT ex_issuances_serials"
        " EXCLUDE USING gist (int8range(first_serial, last_serial, '[]') WITH &&)"
    )
    for rule in [
        asset_guard(USED_UP),
        *public_table("projects", grants="SELECT, INSERT, UPDATE", registrar="registrar", update=True),
        *public_table("project_steps", grants="SELECT, INSERT", registrar="registrar"),
        *public_table("replacement_duties", grants="SELECT, INSERT, UPDATE", registrar="registrar", update=True),
        *public_table("unit_postings", grants="SELECT, INSERT"),
        *public_table("unit_entries", grants="SELECT, INSERT"),
        *ledger_rules(),
        "ALTER TABLE lien_certificates ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE lien_certificates FORCE ROW LEVEL SECURITY",
        # Whoever knows the code may see the certificate; the bank sees all of its own.
        f"CREATE POLICY own_or_shown ON lien_certificates FOR SELECT"
        f" USING (institution = {TENANT} OR code = current_setting('app.certificate', true))",
        f"CREATE POLICY own_enters ON lien_certificates FOR INSERT WITH CHECK (institution = {TENANT})",
        "GRANT SELECT, INSERT ON lien_certificates TO sink_app, sink_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    for table, trigger in (
        ("unit_entries", "balance"),
        ("assets", "counters"),
        ("issuances", "in_ledger"),
        ("issuances", "only_added_to"),
        ("retirements", "only_added_to"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    op.execute(asset_guard(""))
    op.drop_constraint(op.f("ck_assets_over_pledged_is_told"), "assets")
    op.drop_constraint(op.f("ck_assets_retired_were_issued"), "assets")
    op.drop_constraint(op.f("ck_assets_ledger_not_negative"), "assets")
    op.drop_constraint("ex_issuances_serials", "issuances")
    op.drop_constraint(op.f("ck_issuances_serials"), "issuances")
    op.drop_constraint(op.f("ck_issuances_buffer"), "issuances")
    op.create_check_constraint(
        op.f("ck_assets_over_pledged_is_told"),
        "assets",
        "over_pledged = (pledged_tonnes + enforced_tonnes > forecast_tonnes + issued_tonnes - retired_tonnes)",
    )
    op.create_check_constraint(op.f("ck_assets_retired_were_issued"), "assets", "retired_tonnes <= issued_tonnes")
    op.drop_column("retirements", "serials")
    op.drop_constraint(op.f("uq_issuances_batch"), "issuances", type_="unique")
    op.drop_column("issuances", "last_serial")
    op.drop_column("issuances", "first_serial")
    op.drop_column("issuances", "batch")
    op.drop_column("issuances", "buffer_tonnes")
    op.drop_constraint(op.f("fk_assets_project_id_projects"), "assets", type_="foreignkey")
    op.drop_index(op.f("ix_assets_project_id"), table_name="assets")
    op.drop_column("assets", "project_id")
    op.drop_column("assets", "buffer_tonnes")
    op.drop_column("assets", "cancelled_tonnes")
    op.drop_column("assets", "transferred_tonnes")
    op.drop_index("ix_unit_entries_spends", table_name="unit_entries")
    op.drop_index(op.f("ix_unit_entries_posting_id"), table_name="unit_entries")
    op.drop_index(op.f("ix_unit_entries_pledge_id"), table_name="unit_entries")
    op.drop_index(
        "ix_unit_entries_issued_once", table_name="unit_entries", postgresql_where=sa.text("account = 'programme'")
    )
    op.drop_index(op.f("ix_unit_entries_issuance_id"), table_name="unit_entries")
    op.drop_index(op.f("ix_unit_entries_asset_id"), table_name="unit_entries")
    op.drop_table("unit_entries")
    op.drop_index(op.f("ix_replacement_duties_asset_id"), table_name="replacement_duties")
    op.drop_table("replacement_duties")
    op.drop_index(op.f("ix_lien_certificates_pledge_id"), table_name="lien_certificates")
    op.drop_index(op.f("ix_lien_certificates_institution"), table_name="lien_certificates")
    op.drop_table("lien_certificates")
    op.drop_index(op.f("ix_unit_postings_asset_id"), table_name="unit_postings")
    op.drop_table("unit_postings")
    op.drop_index(op.f("ix_project_steps_project_id"), table_name="project_steps")
    op.drop_table("project_steps")
    op.drop_index(op.f("ix_projects_registrar"), table_name="projects")
    op.drop_table("projects")
    for function in (
        "unit_postings_balance",
        "assets_counters",
        "issuances_in_ledger",
        "unit_entries_guard",
        "ledger_is_only_added_to",
    ):
        op.execute(f"DROP FUNCTION {function}()")
    op.execute("DROP FUNCTION demand_counters(uuid)")

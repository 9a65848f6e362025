"""Tables of the sink service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT, private_table

revision = "sink_0001"
down_revision = None
branch_labels = ("sink",)
depends_on = "plumbing_0001"

#: Columns of an asset that a pledge moves; a bank's transaction may touch these and no others.
PLEDGE_COLUMNS = ("version", "pledged_tonnes", "enforced_tonnes", "over_pledged", "last_rank")


def register_table(table: str, *, grants: str, update: str | None = None) -> list[str]:
    """Rules of a table that everybody reads and only the registrar writes; without UPDATE its rows never change."""
    rules = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY everybody_reads ON {table} FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON {table} FOR INSERT WITH CHECK (registrar = {TENANT})",
        f"GRANT {grants} ON {table} TO sink_app, sink_worker",
    ]
    if update:
        rules.append(f"CREATE POLICY changes ON {table} FOR UPDATE USING ({update})")
    return rules


def asset_guard() -> list[str]:
    """A trigger for what no CHECK can hold: who changes which column, and no pledge beyond the free units."""
    pledge_columns = ", ".join(f"'{column}'" for column in PLEDGE_COLUMNS)
    return [
        f"""CREATE FUNCTION assets_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.registrar IS DISTINCT FROM {TENANT}
             AND to_jsonb(NEW) - ARRAY[{pledge_columns}] IS DISTINCT FROM to_jsonb(OLD) - ARRAY[{pledge_columns}] THEN
            RAISE insufficient_privilege USING MESSAGE = 'only the registrar changes an asset';
          END IF;
          IF NEW.over_pledged
             AND NEW.pledged_tonnes + NEW.enforced_tonnes > OLD.pledged_tonnes + OLD.enforced_tonnes THEN
            RAISE check_violation USING MESSAGE = 'a pledge exceeds the free units of the asset';
          END IF;
          RETURN NEW;
        END $$""",
        "CREATE TRIGGER guard BEFORE UPDATE ON assets FOR EACH ROW EXECUTE FUNCTION assets_guard()",
    ]


def upgrade() -> None:
    op.create_table(
        "assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("programme", sa.String(length=16), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("geometry", postgresql.JSONB(), nullable=False),
        sa.Column("min_longitude", sa.Double(), nullable=False),
        sa.Column("min_latitude", sa.Double(), nullable=False),
        sa.Column("max_longitude", sa.Double(), nullable=False),
        sa.Column("max_latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("latitude", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("area_ha", sa.Numeric(precision=12, scale=4), nullable=False),
        sa.Column("species", postgresql.JSONB(), nullable=False),
        sa.Column("planted_year", sa.Integer(), nullable=False),
        sa.Column("survival", sa.Numeric(precision=5, scale=4), nullable=False),
        sa.Column("volume_m3_ha", sa.Numeric(precision=8, scale=3), nullable=True),
        sa.Column("crown_cover", sa.Numeric(precision=5, scale=4), nullable=True),
        sa.Column("sampling_uncertainty", sa.Numeric(precision=5, scale=4), nullable=True),
        sa.Column("measured_on", sa.Date(), nullable=False),
        sa.Column("project_area_ha", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("hazards", postgresql.JSONB(), nullable=False),
        sa.Column("title_until", sa.Date(), nullable=False),
        sa.Column("crediting_from", sa.Date(), nullable=False),
        sa.Column("crediting_until", sa.Date(), nullable=False),
        sa.Column("flags", postgresql.JSONB(), nullable=False),
        sa.Column("live_share", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("verified_on", sa.Date(), nullable=False),
        sa.Column("verified_live_share", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("valuation_version", sa.Integer(), nullable=False),
        sa.Column("forecast_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("pledged_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("enforced_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("issued_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("retired_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("over_pledged", sa.Boolean(), nullable=False),
        sa.Column("last_rank", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("area_ha > 0", name=op.f("ck_assets_area")),
        sa.CheckConstraint("crediting_until > crediting_from", name=op.f("ck_assets_crediting")),
        sa.CheckConstraint(
            "forecast_tonnes >= 0 AND pledged_tonnes >= 0 AND enforced_tonnes >= 0 AND issued_tonnes >= 0"
            " AND retired_tonnes >= 0",
            name=op.f("ck_assets_units_not_negative"),
        ),
        sa.CheckConstraint("live_share >= 0 AND live_share <= 1", name=op.f("ck_assets_live_share")),
        sa.CheckConstraint(
            "over_pledged = (pledged_tonnes + enforced_tonnes > forecast_tonnes + issued_tonnes - retired_tonnes)",
            name=op.f("ck_assets_over_pledged_is_told"),
        ),
        sa.CheckConstraint("retired_tonnes <= issued_tonnes", name=op.f("ck_assets_retired_were_issued")),
        sa.CheckConstraint("survival > 0 AND survival <= 1", name=op.f("ck_assets_survival")),
        sa.CheckConstraint(
            "verified_live_share >= 0 AND verified_live_share <= 1", name=op.f("ck_assets_verified_live_share")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("registrar", "reference", name=op.f("uq_assets_registrar_reference")),
    )
    op.create_index(op.f("ix_assets_county"), "assets", ["county"], unique=False)
    op.create_index(
        "ix_assets_extent", "assets", ["min_latitude", "max_latitude", "min_longitude", "max_longitude"], unique=False
    )
    op.create_index(op.f("ix_assets_registrar"), "assets", ["registrar"], unique=False)
    op.create_table(
        "price_curves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("spot_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("long_run_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("reversion", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("volatility", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("drift", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name=op.f("ck_price_curves_state")),
        sa.CheckConstraint("spot_price > 0 AND long_run_price > 0", name=op.f("ck_price_curves_prices")),
        sa.CheckConstraint("volatility >= 0 AND reversion >= 0", name=op.f("ck_price_curves_risk")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_curves")),
    )
    op.create_index("ix_price_curves_in_force", "price_curves", ["registrar", "approved_at"], unique=False)
    op.create_table(
        "issuances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=128), nullable=False),
        sa.Column("vintage_from", sa.Date(), nullable=False),
        sa.Column("vintage_to", sa.Date(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_issuances_tonnes")),
        sa.CheckConstraint("vintage_to >= vintage_from", name=op.f("ck_issuances_vintage")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_issuances_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuances")),
        sa.UniqueConstraint("registrar", "origin", name=op.f("uq_issuances_registrar_origin")),
    )
    op.create_index(op.f("ix_issuances_asset_id"), "issuances", ["asset_id"], unique=False)
    op.create_table(
        "pledges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("valuation_version", sa.Integer(), nullable=False),
        sa.Column("loan_until", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('placed', 'frozen', 'released', 'enforced')", name=op.f("ck_pledges_state")),
        sa.CheckConstraint("rank > 0", name=op.f("ck_pledges_rank")),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_pledges_tonnes")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_pledges_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pledges")),
        sa.UniqueConstraint("asset_id", "loan_id", name=op.f("uq_pledges_asset_id_loan_id")),
        sa.UniqueConstraint("asset_id", "rank", name=op.f("uq_pledges_asset_id_rank")),
    )
    op.create_index(op.f("ix_pledges_institution"), "pledges", ["institution"], unique=False)
    op.create_index(op.f("ix_pledges_loan_id"), "pledges", ["loan_id"], unique=False)
    op.create_table(
        "retirements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_retirements_reason")),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_retirements_tonnes")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_retirements_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retirements")),
    )
    op.create_index(op.f("ix_retirements_asset_id"), "retirements", ["asset_id"], unique=False)
    op.create_table(
        "reversals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("peril", sa.String(length=16), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("damaged_ha", sa.Numeric(precision=12, scale=4), nullable=False),
        sa.Column("event_area_ha", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("live_carbon_lost", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("carbon_emitted", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("value_before", postgresql.JSONB(), nullable=False),
        sa.Column("value_after", postgresql.JSONB(), nullable=False),
        sa.Column("before_inputs", sa.String(), nullable=False),
        sa.Column("valuation_version", sa.Integer(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "carbon_emitted >= 0 AND carbon_emitted <= live_carbon_lost", name=op.f("ck_reversals_emitted_was_alive")
        ),
        sa.CheckConstraint("damaged_ha > 0 AND damaged_ha <= event_area_ha", name=op.f("ck_reversals_areas")),
        sa.CheckConstraint("severity > 0 AND severity <= 1", name=op.f("ck_reversals_severity")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_reversals_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reversals")),
        sa.UniqueConstraint("event_id", "asset_id", name=op.f("uq_reversals_event_id_asset_id")),
    )
    op.create_index(op.f("ix_reversals_asset_id"), "reversals", ["asset_id"], unique=False)
    op.create_table(
        "valuations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("methodology", sa.String(length=64), nullable=False),
        sa.Column("inputs", sa.String(), nullable=False),
        sa.Column("inputs_hash", sa.String(length=64), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("engine_version", sa.String(length=32), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("outputs", sa.String(), nullable=False),
        sa.Column("outputs_hash", sa.String(length=64), nullable=False),
        sa.Column("price_curve", sa.String(length=64), nullable=False),
        sa.Column("spot_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_mean", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p05", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p10", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p50", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p90", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p95", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("forecast_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("liquidity_haircut", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("valued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "pv_p05 <= pv_p10 AND pv_p10 <= pv_p50 AND pv_p50 <= pv_p90 AND pv_p90 <= pv_p95",
            name=op.f("ck_valuations_order"),
        ),
        sa.CheckConstraint(
            "pv_p05 >= 0 AND pv_mean >= 0 AND forecast_tonnes >= 0", name=op.f("ck_valuations_not_negative")
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_valuations_version")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_valuations_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_valuations")),
        sa.UniqueConstraint("asset_id", "version", name=op.f("uq_valuations_asset_id_version")),
    )
    for rule in [
        *register_table("assets", grants="SELECT, INSERT, UPDATE", update="true"),
        *asset_guard(),
        *register_table("valuations", grants="SELECT, INSERT"),
        *register_table("price_curves", grants="SELECT, INSERT, UPDATE", update=f"registrar = {TENANT}"),
        *register_table("reversals", grants="SELECT, INSERT"),
        *register_table("issuances", grants="SELECT, INSERT"),
        *register_table("retirements", grants="SELECT, INSERT"),
        *private_table("sink", "pledges"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("valuations")
    op.drop_index(op.f("ix_reversals_asset_id"), table_name="reversals")
    op.drop_table("reversals")
    op.drop_index(op.f("ix_retirements_asset_id"), table_name="retirements")
    op.drop_table("retirements")
    op.drop_index(op.f("ix_pledges_loan_id"), table_name="pledges")
    op.drop_index(op.f("ix_pledges_institution"), table_name="pledges")
    op.drop_table("pledges")
    op.drop_index(op.f("ix_issuances_asset_id"), table_name="issuances")
    op.drop_table("issuances")
    op.drop_index("ix_price_curves_in_force", table_name="price_curves")
    op.drop_table("price_curves")
    op.drop_index(op.f("ix_assets_registrar"), table_name="assets")
    op.drop_index("ix_assets_extent", table_name="assets")
    op.drop_index(op.f("ix_assets_county"), table_name="assets")
    op.drop_table("assets")
    op.execute("DROP FUNCTION assets_guard()")

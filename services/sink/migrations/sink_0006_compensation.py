"""Compensation: footprints, orders, land use, plantings and zero-carbon accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT, private_table

revision = "sink_0006"
down_revision = "sink_0005"
branch_labels = None
depends_on = None


def _guarded(table: str, grants: str) -> list[str]:
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"GRANT {grants} ON {table} TO sink_app, sink_worker",
    ]


def shared_table(table: str, *, enters: str, grants: str) -> list[str]:
    """Rules of a table whose rows an institution and a registrar share: one of the two enters, both read and change."""
    both = f"institution = {TENANT} OR registrar = {TENANT}"
    return [
        *_guarded(table, grants),
        f"CREATE POLICY both_read ON {table} FOR SELECT USING ({both})",
        f"CREATE POLICY one_enters ON {table} FOR INSERT WITH CHECK ({enters} = {TENANT})",
        f"CREATE POLICY both_change ON {table} FOR UPDATE USING ({both})",
    ]


def open_table(table: str, *, grants: str) -> list[str]:
    """Rules of a table that everybody reads and only the registrar writes."""
    return [
        *_guarded(table, grants),
        f"CREATE POLICY everybody_reads ON {table} FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON {table} FOR INSERT WITH CHECK (registrar = {TENANT})",
        f"CREATE POLICY registrar_changes ON {table} FOR UPDATE USING (registrar = {TENANT})",
    ]


def upgrade() -> None:
    op.create_table(
        "compensation_certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compensation_certificates")),
        sa.UniqueConstraint("code", name=op.f("uq_compensation_certificates_code")),
    )
    op.create_index(
        op.f("ix_compensation_certificates_institution"), "compensation_certificates", ["institution"], unique=False
    )
    op.create_table(
        "footprints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_until", sa.Date(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("estimated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("period_until >= period_from", name=op.f("ck_footprints_period")),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_footprints_tonnes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_footprints")),
    )
    op.create_index(op.f("ix_footprints_institution"), "footprints", ["institution"], unique=False)
    op.create_table(
        "land_use_compensations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("procedure", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=120), nullable=False),
        sa.Column("payer", sa.String(length=120), nullable=False),
        sa.Column("forest_owner", sa.String(length=120), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("area_ha", sa.Numeric(precision=12, scale=4), nullable=False),
        sa.Column("stand", postgresql.JSONB(), nullable=False),
        sa.Column("stock_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("stock_value", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("yearly_service_value", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("service_years", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("equal_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("fee", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("split", postgresql.JSONB(), nullable=False),
        sa.Column("state_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("owner_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payment_reference", sa.String(length=64), nullable=True),
        sa.Column("certificate_code", sa.String(length=32), nullable=True),
        sa.Column("assessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("discharged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('assessed', 'paid', 'discharged', 'withdrawn')", name=op.f("ck_land_use_compensations_state")
        ),
        sa.CheckConstraint("area_ha > 0", name=op.f("ck_land_use_compensations_area")),
        sa.CheckConstraint("fee > 0 AND equal_tonnes > 0", name=op.f("ck_land_use_compensations_fee")),
        sa.CheckConstraint(
            "state_amount >= 0 AND owner_amount >= 0 AND state_amount + owner_amount = fee",
            name=op.f("ck_land_use_compensations_split_is_the_fee"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_land_use_compensations")),
        sa.UniqueConstraint("institution", "procedure", name=op.f("uq_land_use_compensations_institution_procedure")),
    )
    op.create_index(
        op.f("ix_land_use_compensations_institution"), "land_use_compensations", ["institution"], unique=False
    )
    op.create_table(
        "plantings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("geometry", postgresql.JSONB(), nullable=False),
        sa.Column("min_longitude", sa.Double(), nullable=False),
        sa.Column("min_latitude", sa.Double(), nullable=False),
        sa.Column("max_longitude", sa.Double(), nullable=False),
        sa.Column("max_latitude", sa.Double(), nullable=False),
        sa.Column("area_ha", sa.Numeric(precision=12, scale=4), nullable=False),
        sa.Column("species", postgresql.JSONB(), nullable=False),
        sa.Column("planted_year", sa.Integer(), nullable=False),
        sa.Column("survival", sa.Numeric(precision=5, scale=4), nullable=False),
        sa.Column("counted_on", sa.Date(), nullable=True),
        sa.Column("trees", sa.Integer(), nullable=False),
        sa.Column("adopted_trees", sa.Integer(), nullable=False),
        sa.Column("first_year", sa.Integer(), nullable=False),
        sa.Column("grown_kg", postgresql.JSONB(), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("purpose IN ('offset', 'adoption', 'memorial')", name=op.f("ck_plantings_purpose")),
        sa.CheckConstraint("area_ha > 0", name=op.f("ck_plantings_area")),
        sa.CheckConstraint("survival > 0 AND survival <= 1", name=op.f("ck_plantings_survival")),
        sa.CheckConstraint(
            "trees > 0 AND adopted_trees >= 0 AND adopted_trees <= trees", name=op.f("ck_plantings_trees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plantings")),
    )
    op.create_index(
        "ix_plantings_extent",
        "plantings",
        ["min_latitude", "max_latitude", "min_longitude", "max_longitude"],
        unique=False,
    )
    op.create_index(op.f("ix_plantings_registrar"), "plantings", ["registrar"], unique=False)
    op.create_table(
        "zero_carbon_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('village', 'community', 'campus', 'enterprise', 'person')",
            name=op.f("ck_zero_carbon_accounts_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zero_carbon_accounts")),
        sa.UniqueConstraint("institution", "name", name=op.f("uq_zero_carbon_accounts_institution_name")),
    )
    op.create_index(op.f("ix_zero_carbon_accounts_institution"), "zero_carbon_accounts", ["institution"], unique=False)
    op.create_table(
        "adoptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("planting_id", sa.Uuid(), nullable=False),
        sa.Column("adopter", sa.String(length=120), nullable=False),
        sa.Column("dedication", sa.String(length=200), nullable=True),
        sa.Column("trees", sa.Integer(), nullable=False),
        sa.Column("allowance_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("claimed_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "claimed_tonnes >= 0 AND claimed_tonnes <= allowance_tonnes", name=op.f("ck_adoptions_claimed_once")
        ),
        sa.CheckConstraint("trees > 0", name=op.f("ck_adoptions_trees")),
        sa.ForeignKeyConstraint(["planting_id"], ["plantings.id"], name=op.f("fk_adoptions_planting_id_plantings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adoptions")),
    )
    op.create_index(op.f("ix_adoptions_institution"), "adoptions", ["institution"], unique=False)
    op.create_index(op.f("ix_adoptions_planting_id"), "adoptions", ["planting_id"], unique=False)
    op.create_index(op.f("ix_adoptions_registrar"), "adoptions", ["registrar"], unique=False)
    op.create_table(
        "compensation_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("footprint_id", sa.Uuid(), nullable=True),
        sa.Column("beneficiary", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("price_curve", sa.String(length=64), nullable=False),
        sa.Column("spot_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("margin", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payment_reference", sa.String(length=64), nullable=True),
        sa.Column("refund_reference", sa.String(length=64), nullable=True),
        sa.Column("certificate_code", sa.String(length=32), nullable=True),
        sa.Column("claimed_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("quoted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(paid_at IS NULL) = (state IN ('quoted', 'cancelled'))", name=op.f("ck_compensation_orders_paid")
        ),
        sa.CheckConstraint(
            "claimed_tonnes >= 0 AND claimed_tonnes <= tonnes AND (claimed_tonnes = 0 OR state = 'retired')",
            name=op.f("ck_compensation_orders_claimed_once"),
        ),
        sa.CheckConstraint(
            "state IN ('quoted', 'paid', 'retired', 'cancelled', 'refunded')", name=op.f("ck_compensation_orders_state")
        ),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_compensation_orders_tonnes")),
        sa.CheckConstraint("unit_price > 0 AND amount > 0", name=op.f("ck_compensation_orders_price")),
        sa.ForeignKeyConstraint(
            ["footprint_id"], ["footprints.id"], name=op.f("fk_compensation_orders_footprint_id_footprints")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compensation_orders")),
    )
    op.create_index(op.f("ix_compensation_orders_institution"), "compensation_orders", ["institution"], unique=False)
    op.create_index(op.f("ix_compensation_orders_registrar"), "compensation_orders", ["registrar"], unique=False)
    op.create_index(
        "uq_compensation_orders_footprint_id",
        "compensation_orders",
        ["footprint_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('quoted', 'paid', 'retired')"),
    )
    op.create_table(
        "account_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("footprint_id", sa.Uuid(), nullable=True),
        sa.Column("adoption_id", sa.Uuid(), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("void_reason", sa.String(length=200), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(adoption_id IS NOT NULL) = (kind = 'allowance')", name=op.f("ck_account_entries_allowance_has_adoption")
        ),
        sa.CheckConstraint(
            "(order_id IS NOT NULL) = (kind = 'retirement')", name=op.f("ck_account_entries_retirement_has_order")
        ),
        sa.CheckConstraint(
            "footprint_id IS NULL OR kind = 'emission'", name=op.f("ck_account_entries_footprint_is_emission")
        ),
        sa.CheckConstraint(
            "kind IN ('emission', 'reduction', 'allowance', 'retirement')", name=op.f("ck_account_entries_kind")
        ),
        sa.CheckConstraint(
            "(voided_at IS NULL) = (void_reason IS NULL)", name=op.f("ck_account_entries_voided_for_a_reason")
        ),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_account_entries_tonnes")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["zero_carbon_accounts.id"], name=op.f("fk_account_entries_account_id_zero_carbon_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["adoption_id"], ["adoptions.id"], name=op.f("fk_account_entries_adoption_id_adoptions")
        ),
        sa.ForeignKeyConstraint(
            ["footprint_id"], ["footprints.id"], name=op.f("fk_account_entries_footprint_id_footprints")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["compensation_orders.id"], name=op.f("fk_account_entries_order_id_compensation_orders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_entries")),
    )
    op.create_index(op.f("ix_account_entries_adoption_id"), "account_entries", ["adoption_id"], unique=False)
    op.create_index(op.f("ix_account_entries_institution"), "account_entries", ["institution"], unique=False)
    op.create_index(op.f("ix_account_entries_order_id"), "account_entries", ["order_id"], unique=False)
    op.create_index("ix_account_entries_year", "account_entries", ["account_id", "year"], unique=False)
    op.create_index(
        "uq_account_entries_footprint_id",
        "account_entries",
        ["footprint_id"],
        unique=True,
        postgresql_where=sa.text("voided_at IS NULL"),
    )
    op.create_table(
        "compensation_retirements",
        sa.Column("retirement_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("land_use_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(order_id, land_use_id) = 1", name=op.f("ck_compensation_retirements_serves_one")
        ),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_compensation_retirements_tonnes")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_compensation_retirements_asset_id_assets")),
        sa.ForeignKeyConstraint(
            ["land_use_id"],
            ["land_use_compensations.id"],
            name=op.f("fk_compensation_retirements_land_use_id_land_use_compensations"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["compensation_orders.id"],
            name=op.f("fk_compensation_retirements_order_id_compensation_orders"),
        ),
        sa.ForeignKeyConstraint(
            ["retirement_id"], ["retirements.id"], name=op.f("fk_compensation_retirements_retirement_id_retirements")
        ),
        sa.PrimaryKeyConstraint("retirement_id", name=op.f("pk_compensation_retirements")),
    )
    op.create_index(
        op.f("ix_compensation_retirements_institution"), "compensation_retirements", ["institution"], unique=False
    )
    op.create_index(
        op.f("ix_compensation_retirements_land_use_id"), "compensation_retirements", ["land_use_id"], unique=False
    )
    op.create_index(
        op.f("ix_compensation_retirements_order_id"), "compensation_retirements", ["order_id"], unique=False
    )
    for rule in [
        *private_table("sink", "footprints"),
        *shared_table("compensation_orders", enters="institution", grants="SELECT, INSERT, UPDATE"),
        *private_table("sink", "land_use_compensations"),
        *shared_table("compensation_retirements", enters="registrar", grants="SELECT, INSERT"),
        *open_table("compensation_certificates", grants="SELECT, INSERT"),
        *open_table("plantings", grants="SELECT, INSERT, UPDATE"),
        *shared_table("adoptions", enters="registrar", grants="SELECT, INSERT, UPDATE"),
        *private_table("sink", "zero_carbon_accounts"),
        *private_table("sink", "account_entries"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_compensation_retirements_order_id"), table_name="compensation_retirements")
    op.drop_index(op.f("ix_compensation_retirements_land_use_id"), table_name="compensation_retirements")
    op.drop_index(op.f("ix_compensation_retirements_institution"), table_name="compensation_retirements")
    op.drop_table("compensation_retirements")
    op.drop_index(
        "uq_account_entries_footprint_id", table_name="account_entries", postgresql_where=sa.text("voided_at IS NULL")
    )
    op.drop_index("ix_account_entries_year", table_name="account_entries")
    op.drop_index(op.f("ix_account_entries_order_id"), table_name="account_entries")
    op.drop_index(op.f("ix_account_entries_institution"), table_name="account_entries")
    op.drop_index(op.f("ix_account_entries_adoption_id"), table_name="account_entries")
    op.drop_table("account_entries")
    op.drop_index(
        "uq_compensation_orders_footprint_id",
        table_name="compensation_orders",
        postgresql_where=sa.text("state IN ('quoted', 'paid', 'retired')"),
    )
    op.drop_index(op.f("ix_compensation_orders_registrar"), table_name="compensation_orders")
    op.drop_index(op.f("ix_compensation_orders_institution"), table_name="compensation_orders")
    op.drop_table("compensation_orders")
    op.drop_index(op.f("ix_adoptions_registrar"), table_name="adoptions")
    op.drop_index(op.f("ix_adoptions_planting_id"), table_name="adoptions")
    op.drop_index(op.f("ix_adoptions_institution"), table_name="adoptions")
    op.drop_table("adoptions")
    op.drop_index(op.f("ix_zero_carbon_accounts_institution"), table_name="zero_carbon_accounts")
    op.drop_table("zero_carbon_accounts")
    op.drop_index(op.f("ix_plantings_registrar"), table_name="plantings")
    op.drop_index("ix_plantings_extent", table_name="plantings")
    op.drop_table("plantings")
    op.drop_index(op.f("ix_land_use_compensations_institution"), table_name="land_use_compensations")
    op.drop_table("land_use_compensations")
    op.drop_index(op.f("ix_footprints_institution"), table_name="footprints")
    op.drop_table("footprints")
    op.drop_index(op.f("ix_compensation_certificates_institution"), table_name="compensation_certificates")
    op.drop_table("compensation_certificates")

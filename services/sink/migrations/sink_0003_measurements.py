"""Measurements of plots, and what they say to a valuation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT

revision = "sink_0003"
down_revision = "sink_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("measured", postgresql.JSONB(), nullable=True))
    op.create_table(
        "measurements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("measured_on", sa.Date(), nullable=False),
        sa.Column("inputs", sa.String(), nullable=False),
        sa.Column("inputs_hash", sa.String(length=64), nullable=False),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("engine_version", sa.String(length=32), nullable=False),
        sa.Column("outputs", sa.String(), nullable=False),
        sa.Column("outputs_hash", sa.String(length=64), nullable=False),
        sa.Column("stock_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("half_width", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("discounted_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("volume_m3_ha", sa.Numeric(precision=8, scale=3), nullable=True),
        sa.Column("crown_cover", sa.Numeric(precision=5, scale=4), nullable=True),
        sa.Column("taken_up", sa.Boolean(), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("stock_tonnes >= 0 AND discounted_tonnes >= 0", name=op.f("ck_measurements_not_negative")),
        sa.CheckConstraint("discounted_tonnes <= stock_tonnes", name=op.f("ck_measurements_discounted")),
        sa.CheckConstraint("half_width >= 0 AND half_width <= 1", name=op.f("ck_measurements_half_width")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_measurements_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
        sa.UniqueConstraint("asset_id", "measured_on", name=op.f("uq_measurements_asset_id_measured_on")),
    )
    for rule in (
        "ALTER TABLE measurements ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE measurements FORCE ROW LEVEL SECURITY",
        "CREATE POLICY everybody_reads ON measurements FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON measurements FOR INSERT WITH CHECK (registrar = {TENANT})",
        # Without UPDATE and DELETE its rows never change.
        "GRANT SELECT, INSERT ON measurements TO sink_app, sink_worker",
    ):
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("measurements")
    op.drop_column("assets", "measured")

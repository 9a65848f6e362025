"""Deeper assets: title, planting and site; files of parcels; evidence for the rules of the methodology."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT, private_table

revision = "sink_0002"
down_revision = "sink_0001"
branch_labels = None
depends_on = None

COLUMNS = (
    ("title_kind", sa.String(length=16)),
    ("title_number", sa.String(length=64)),
    ("owner", sa.String(length=64)),
    ("row_spacing_m", sa.Numeric(precision=5, scale=2)),
    ("plant_spacing_m", sa.Numeric(precision=5, scale=2)),
    ("site_class", sa.String(length=8)),
    ("elevation_m", sa.Integer()),
    ("slope_degrees", sa.Integer()),
)
CHECKS = (
    ("spacing", "row_spacing_m > 0 AND plant_spacing_m > 0"),
    ("slope", "slope_degrees BETWEEN 0 AND 90"),
)
IMPORTS = ("asset_import_parcels", "asset_import_errors", "asset_import_pieces", "asset_imports")


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("assets", sa.Column(name, kind, nullable=True))
    for name, rule in CHECKS:
        op.create_check_constraint(op.f(f"ck_assets_{name}"), "assets", rule)
    op.create_table(
        "asset_imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("charset", sa.String(length=16), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("reading", sa.String(length=8), nullable=False),
        sa.Column("columns", postgresql.JSONB(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("registered", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("format IN ('rows', 'csv', 'xlsx', 'geojson')", name=op.f("ck_asset_imports_format")),
        sa.CheckConstraint(
            "registered >= 0 AND known >= 0 AND refused >= 0 AND errors >= 0", name=op.f("ck_asset_imports_counts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_imports")),
    )
    op.create_index(op.f("ix_asset_imports_institution"), "asset_imports", ["institution"], unique=False)
    op.create_table(
        "asset_import_pieces",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["asset_imports.id"], name=op.f("fk_asset_import_pieces_import_id_asset_imports")
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_asset_import_pieces")),
    )
    op.create_index(op.f("ix_asset_import_pieces_institution"), "asset_import_pieces", ["institution"], unique=False)
    op.create_table(
        "asset_import_errors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=200), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["asset_imports.id"], name=op.f("fk_asset_import_errors_import_id_asset_imports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_import_errors")),
    )
    op.create_index("ix_asset_import_errors_import", "asset_import_errors", ["import_id", "id"], unique=False)
    op.create_index(op.f("ix_asset_import_errors_institution"), "asset_import_errors", ["institution"], unique=False)
    op.create_table(
        "asset_import_parcels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("geometry", postgresql.JSONB(), nullable=False),
        sa.Column("min_longitude", sa.Double(), nullable=False),
        sa.Column("min_latitude", sa.Double(), nullable=False),
        sa.Column("max_longitude", sa.Double(), nullable=False),
        sa.Column("max_latitude", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["asset_imports.id"], name=op.f("fk_asset_import_parcels_import_id_asset_imports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_import_parcels")),
    )
    op.create_index(
        "ix_asset_import_parcels_import",
        "asset_import_parcels",
        ["import_id", "min_latitude", "max_latitude"],
        unique=False,
    )
    op.create_index(op.f("ix_asset_import_parcels_institution"), "asset_import_parcels", ["institution"], unique=False)
    op.create_table(
        "evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("dated_on", sa.Date(), nullable=False),
        sa.Column("finding", sa.String(length=16), nullable=False),
        sa.Column("share", sa.Numeric(precision=5, scale=4), nullable=True),
        sa.Column("recorded_by", sa.String(length=128), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("finding IN ('supports', 'contradicts', 'unclear')", name=op.f("ck_evidence_finding")),
        sa.CheckConstraint("share >= 0 AND share <= 1", name=op.f("ck_evidence_share")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_evidence_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint(
            "asset_id", "rule", "kind", "reference", name=op.f("uq_evidence_asset_id_rule_kind_reference")
        ),
    )
    for rule in [
        *(rule for table in IMPORTS for rule in private_table("sink", table)),
        # Everybody reads the evidence of a public register; its registrar alone enters it, and nobody changes it.
        "ALTER TABLE evidence ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE evidence FORCE ROW LEVEL SECURITY",
        "CREATE POLICY everybody_reads ON evidence FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON evidence FOR INSERT WITH CHECK (registrar = {TENANT})",
        "GRANT SELECT, INSERT ON evidence TO sink_app, sink_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("evidence")
    for table in IMPORTS:
        op.drop_table(table)
    for name, _ in CHECKS:
        op.drop_constraint(op.f(f"ck_assets_{name}"), "assets", type_="check")
    for name, _ in COLUMNS:
        op.drop_column("assets", name)

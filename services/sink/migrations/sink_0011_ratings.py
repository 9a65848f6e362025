"""Ratings of non-permanence, and by which share an issuance gave to the buffer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import TENANT

revision = "sink_0011"
down_revision = "sink_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("rated_on", sa.Date(), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evidence", sa.String(length=300), nullable=False),
        sa.Column("internal_points", sa.Numeric(precision=7, scale=2), nullable=False),
        sa.Column("external_points", sa.Numeric(precision=7, scale=2), nullable=False),
        sa.Column("natural_points", sa.Numeric(precision=7, scale=2), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("buffer_share", sa.Numeric(precision=5, scale=4), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_by", sa.String(length=128), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("buffer_share > 0 AND buffer_share <= 1", name=op.f("ck_ratings_buffer_share")),
        sa.CheckConstraint("NOT failed OR buffer_share = 1", name=op.f("ck_ratings_failed")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_ratings_asset_id_assets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ratings")),
        sa.UniqueConstraint("asset_id", "rated_on", name=op.f("uq_ratings_asset_id_rated_on")),
    )
    op.add_column("assets", sa.Column("rated_share", sa.Numeric(precision=5, scale=4), nullable=True))
    op.add_column("issuances", sa.Column("buffer_share", sa.Numeric(precision=5, scale=4), nullable=True))
    op.add_column("issuances", sa.Column("rating_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_issuances_rating_id_ratings"), "issuances", "ratings", ["rating_id"], ["id"])
    for rule in [
        # Everybody reads the ratings of a public register; its registrar alone enters them, and nobody changes one.
        "ALTER TABLE ratings ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE ratings FORCE ROW LEVEL SECURITY",
        "CREATE POLICY everybody_reads ON ratings FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON ratings FOR INSERT WITH CHECK (registrar = {TENANT})",
        "GRANT SELECT, INSERT ON ratings TO sink_app, sink_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_constraint(op.f("fk_issuances_rating_id_ratings"), "issuances", type_="foreignkey")
    op.drop_column("issuances", "rating_id")
    op.drop_column("issuances", "buffer_share")
    op.drop_column("assets", "rated_share")
    op.drop_table("ratings")

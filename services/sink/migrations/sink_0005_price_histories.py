"""Price histories: dated prices and the fit of a curve."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.sink.migrations.sink_0001_tables import register_table

revision = "sink_0005"
down_revision = "sink_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "price_histories",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("curve_id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.String(length=8), nullable=False),
        sa.Column("offset_ratio", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("process", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("prices", postgresql.JSONB(), nullable=False),
        sa.Column("fit", postgresql.JSONB(), nullable=False),
        sa.Column("flags", postgresql.JSONB(), nullable=False),
        sa.Column("entered_by", sa.String(length=128), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("instrument IN ('ccer', 'cea')", name=op.f("ck_price_histories_instrument")),
        sa.CheckConstraint(
            "(instrument = 'cea') = (offset_ratio IS NOT NULL)",
            name=op.f("ck_price_histories_allowances_are_no_offsets"),
        ),
        sa.ForeignKeyConstraint(
            ["curve_id"], ["price_curves.id"], name=op.f("fk_price_histories_curve_id_price_curves")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_histories")),
        sa.UniqueConstraint("curve_id", name=op.f("uq_price_histories_curve_id")),
    )
    for rule in register_table("price_histories", grants="SELECT, INSERT"):
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("price_histories")

"""What decisions were made by, kept by hash; what the limits of the book and the pledge rates need."""

import sqlalchemy as sa
from alembic import op

from shared.db import private_table

revision = "credit_0003"
down_revision = "credit_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decision_materials",
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')",
            name=op.f("ck_decision_materials_hash_of_content"),
        ),
        sa.PrimaryKeyConstraint("institution", "sha256", name=op.f("pk_decision_materials")),
    )
    # A decision from before had nothing kept with it, and says so by naming nothing.
    op.add_column("decisions", sa.Column("judgement_hash", sa.String(length=64), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("price_hash", sa.String(length=64), server_default="", nullable=False))
    op.alter_column("decisions", "judgement_hash", server_default=None)
    op.alter_column("decisions", "price_hash", server_default=None)
    op.add_column("loans", sa.Column("fire_zone", sa.String(length=32), nullable=True))
    op.add_column("loans", sa.Column("verifier", sa.String(length=64), nullable=True))
    op.add_column("valuations", sa.Column("methodology", sa.String(length=200), server_default="", nullable=False))
    op.add_column(
        "valuations",
        sa.Column("issued_tonnes", sa.Numeric(precision=18, scale=3), server_default="0", nullable=False),
    )
    op.alter_column("valuations", "methodology", server_default=None)
    op.alter_column("valuations", "issued_tonnes", server_default=None)
    for rule in [
        *private_table("credit", "decision_materials"),
        # What a decision was made by is written once.
        "REVOKE UPDATE, DELETE ON decision_materials FROM credit_app, credit_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_column("valuations", "issued_tonnes")
    op.drop_column("valuations", "methodology")
    op.drop_column("loans", "verifier")
    op.drop_column("loans", "fire_zone")
    op.drop_column("decisions", "price_hash")
    op.drop_column("decisions", "judgement_hash")
    op.drop_table("decision_materials")

"""What the challenger says in the shadow, and how far applications move from the training loans."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0008"
down_revision = "credit_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_scores",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("champion_sha256", sa.String(length=64), nullable=False),
        sa.Column("challenger_sha256", sa.String(length=64), nullable=False),
        sa.Column("champion_probability", sa.Float(), nullable=False),
        sa.Column("champion_band", sa.String(length=16), nullable=False),
        sa.Column("challenger_probability", sa.Float(), nullable=True),
        sa.Column("challenger_band", sa.String(length=16), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "champion_band IN ('approve', 'refer', 'decline')", name=op.f("ck_shadow_scores_champion_band")
        ),
        sa.CheckConstraint(
            "challenger_band IN ('approve', 'refer', 'decline')", name=op.f("ck_shadow_scores_challenger_band")
        ),
        sa.CheckConstraint(
            "(failure = '') = (challenger_probability IS NOT NULL)", name=op.f("ck_shadow_scores_scored_or_failed")
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_shadow_scores_decision_id_decisions")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_shadow_scores")),
    )
    op.create_index(op.f("ix_shadow_scores_institution"), "shadow_scores", ["institution"], unique=False)
    op.create_index(op.f("ix_shadow_scores_loan_id"), "shadow_scores", ["loan_id"], unique=False)
    op.create_table(
        "stability_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applications", sa.Integer(), nullable=False),
        sa.Column("psi", sa.Float(), nullable=True),
        sa.Column("csi", postgresql.JSONB(), nullable=False),
        sa.Column("band", sa.String(length=16), nullable=False),
        sa.Column("limits", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stability_runs")),
    )
    op.create_index(op.f("ix_stability_runs_institution"), "stability_runs", ["institution"], unique=False)
    for table in ("shadow_scores", "stability_runs"):
        for rule in private_table("credit", table):
            op.execute(rule)


def downgrade() -> None:
    op.drop_table("stability_runs")
    op.drop_table("shadow_scores")

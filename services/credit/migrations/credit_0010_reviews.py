"""What persons decide beside the machine, and the reviews that borrowers ask for."""

import sqlalchemy as sa
from alembic import op

from shared.db import private_table

revision = "credit_0010"
down_revision = "credit_0009"
branch_labels = None
depends_on = None

_REASONS = (
    "reason_code IN ('accounts_seen', 'known_borrower', 'facts_corrected', 'risk_mitigated', 'policy_exception',"
    " 'repayment_source', 'purpose', 'integrity', 'information_withheld', 'machine_confirmed', 'other')"
)


def upgrade() -> None:
    op.create_table(
        "overrides",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("machine_outcome", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("against_machine", sa.Boolean(), nullable=False),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("default_probability", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("artefact_hash", sa.String(length=64), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("stage IN ('referral', 'review', 'approval')", name=op.f("ck_overrides_stage")),
        sa.CheckConstraint(
            "machine_outcome IN ('approve', 'refer', 'decline')", name=op.f("ck_overrides_machine_outcome")
        ),
        sa.CheckConstraint("outcome IN ('proceed', 'decline')", name=op.f("ck_overrides_outcome")),
        sa.CheckConstraint(_REASONS, name=op.f("ck_overrides_reason_code")),
        sa.CheckConstraint(
            "against_machine = ((machine_outcome = 'decline' AND outcome = 'proceed')"
            " OR (machine_outcome = 'approve' AND outcome = 'decline'))",
            name=op.f("ck_overrides_against_machine"),
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_overrides_loan_id_loans")),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_overrides_decision_id_decisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overrides")),
    )
    op.create_index(op.f("ix_overrides_institution"), "overrides", ["institution"], unique=False)
    op.create_index(op.f("ix_overrides_loan_id"), "overrides", ["loan_id"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("grounds", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_decider", sa.String(length=128), nullable=True),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_code", sa.String(length=32), nullable=True),
        sa.Column("explanation", sa.String(length=1000), nullable=True),
        sa.Column("new_loan_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'upheld', 'overturned', 'lapsed')", name=op.f("ck_reviews_state")),
        sa.CheckConstraint(
            "grounds IN ('facts_wrong', 'facts_missing', 'circumstances_changed', 'not_explained', 'other')",
            name=op.f("ck_reviews_grounds"),
        ),
        sa.CheckConstraint(
            "(state IN ('upheld', 'overturned')) = (decided_by IS NOT NULL)"
            " AND (decided_by IS NULL) = (reason_code IS NULL) AND (decided_by IS NULL) = (explanation IS NULL)",
            name=op.f("ck_reviews_reasoned"),
        ),
        sa.CheckConstraint("decided_by <> first_decider", name=op.f("ck_reviews_another_person")),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_reviews_loan_id_loans")),
        sa.ForeignKeyConstraint(["new_loan_id"], ["loans.id"], name=op.f("fk_reviews_new_loan_id_loans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("loan_id", name=op.f("uq_reviews_loan_id")),
    )
    op.create_index(op.f("ix_reviews_institution"), "reviews", ["institution"], unique=False)
    for rule in [*private_table("credit", "overrides"), *private_table("credit", "reviews")]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("reviews")
    op.drop_table("overrides")

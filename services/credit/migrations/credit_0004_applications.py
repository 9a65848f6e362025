"""Applications of registered borrowers, what is found in their files, and documents by hash."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0004"
down_revision = "credit_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loan_documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("registered_by", sa.String(length=128), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('application_form', 'identity_document', 'licence', 'forest_title', 'financial_statement',"
            " 'tax_record', 'valuation_report', 'insurance_policy', 'guarantee_letter', 'resolution', 'contract',"
            " 'photograph', 'other')",
            name=op.f("ck_loan_documents_kind"),
        ),
        sa.CheckConstraint("size > 0", name=op.f("ck_loan_documents_size")),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_documents_loan_id_loans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_documents")),
        sa.UniqueConstraint("loan_id", "sha256", name=op.f("uq_loan_documents_loan_id_sha256")),
    )
    op.create_index(op.f("ix_loan_documents_institution"), "loan_documents", ["institution"], unique=False)
    op.create_index("ix_loan_documents_institution_sha256", "loan_documents", ["institution", "sha256"], unique=False)
    op.create_index(op.f("ix_loan_documents_key_id"), "loan_documents", ["key_id"], unique=False)
    op.add_column("loan_assets", sa.Column("asked_rank", sa.Integer(), nullable=True))
    op.add_column("loans", sa.Column("party_id", sa.Uuid(), nullable=True))
    op.add_column("loans", sa.Column("purpose", sa.String(length=32), nullable=True))
    op.add_column("loans", sa.Column("finances", postgresql.JSONB(), nullable=True))
    # What was applied for before had no file to find anything in.
    op.add_column("loans", sa.Column("findings", postgresql.JSONB(), nullable=False, server_default="[]"))
    op.alter_column("loans", "findings", server_default=None)
    op.create_check_constraint(op.f("ck_loan_assets_asked_rank"), "loan_assets", "asked_rank > 0")
    op.create_index(op.f("ix_loans_party_id"), "loans", ["party_id"], unique=False)
    op.create_foreign_key(op.f("fk_loans_party_id_parties"), "loans", "parties", ["party_id"], ["id"])
    for rule in [
        *private_table("credit", "loan_documents"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_constraint(op.f("fk_loans_party_id_parties"), "loans", type_="foreignkey")
    op.drop_index(op.f("ix_loans_party_id"), table_name="loans")
    op.drop_column("loans", "findings")
    op.drop_column("loans", "finances")
    op.drop_column("loans", "purpose")
    op.drop_column("loans", "party_id")
    op.drop_constraint(op.f("ck_loan_assets_asked_rank"), "loan_assets", type_="check")
    op.drop_column("loan_assets", "asked_rank")
    op.drop_index(op.f("ix_loan_documents_key_id"), table_name="loan_documents")
    op.drop_index("ix_loan_documents_institution_sha256", table_name="loan_documents")
    op.drop_index(op.f("ix_loan_documents_institution"), table_name="loan_documents")
    op.drop_table("loan_documents")

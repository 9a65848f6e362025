"""Parties, under seal, and their marks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "credit_0002"
down_revision = "credit_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("obligor", sa.String(length=32), nullable=False),
        sa.Column("acts_as", sa.String(length=64), nullable=True),
        sa.Column("industry", sa.String(length=4), nullable=False),
        sa.Column("employees", sa.Integer(), nullable=True),
        sa.Column("established_on", sa.Date(), nullable=True),
        sa.Column("small_or_farmer", sa.Boolean(), nullable=False),
        sa.Column("document_kind", sa.String(length=32), nullable=False),
        sa.Column("document_until", sa.Date(), nullable=True),
        sa.Column("verified_on", sa.Date(), nullable=True),
        sa.Column("verified_until", sa.Date(), nullable=True),
        sa.Column("verified_by", sa.String(length=128), nullable=True),
        sa.Column("yearly_income", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("yearly_costs", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("debts", postgresql.JSONB(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "document_kind IN ('resident_id', 'business_licence', 'registration_certificate')",
            name=op.f("ck_parties_document_kind"),
        ),
        sa.CheckConstraint(
            "kind IN ('enterprise', 'individual_business', 'cooperative', 'collective', 'natural_person')",
            name=op.f("ck_parties_kind"),
        ),
        sa.CheckConstraint(
            "(erased_at IS NULL) = (sealed IS NOT NULL) AND (key_id IS NULL) = (sealed IS NULL)",
            name=op.f("ck_parties_seal"),
        ),
        sa.CheckConstraint(
            "(verified_on IS NULL) = (verified_until IS NULL) AND (verified_on IS NULL) = (verified_by IS NULL)"
            " AND verified_on <= verified_until",
            name=op.f("ck_parties_verification"),
        ),
        sa.CheckConstraint("yearly_income >= 0 AND yearly_costs >= 0", name=op.f("ck_parties_no_negative_money")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parties")),
    )
    op.create_index(op.f("ix_parties_institution"), "parties", ["institution"], unique=False)
    op.create_index(op.f("ix_parties_key_id"), "parties", ["key_id"], unique=False)
    op.create_table(
        "party_marks",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "kind IN ('identity', 'representative', 'owner', 'account', 'phone', 'address')",
            name=op.f("ck_party_marks_kind"),
        ),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_party_marks_party_id_parties")),
        sa.PrimaryKeyConstraint("party_id", "kind", "mark", name=op.f("pk_party_marks")),
    )
    op.create_index(op.f("ix_party_marks_institution"), "party_marks", ["institution"], unique=False)
    op.create_index("ix_party_marks_institution_mark", "party_marks", ["institution", "mark"], unique=False)
    op.create_index(
        "uq_party_marks_identity",
        "party_marks",
        ["institution", "mark"],
        unique=True,
        postgresql_where=sa.text("kind = 'identity'"),
    )
    for rule in [
        *private_table("credit", "parties"),
        *private_table("credit", "party_marks"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index("uq_party_marks_identity", table_name="party_marks", postgresql_where=sa.text("kind = 'identity'"))
    op.drop_index("ix_party_marks_institution_mark", table_name="party_marks")
    op.drop_index(op.f("ix_party_marks_institution"), table_name="party_marks")
    op.drop_table("party_marks")
    op.drop_index(op.f("ix_parties_key_id"), table_name="parties")
    op.drop_index(op.f("ix_parties_institution"), table_name="parties")
    op.drop_table("parties")

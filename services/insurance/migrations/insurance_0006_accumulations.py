"""Where forests lie, who else carries a loan, the book's bad years, and what of them is passed on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "insurance_0006"
down_revision = "insurance_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("valuations", sa.Column("longitude", sa.Numeric(precision=18, scale=8), nullable=True))
    op.add_column("valuations", sa.Column("latitude", sa.Numeric(precision=18, scale=8), nullable=True))
    op.add_column("covers", sa.Column("guarantor", sa.String(length=64), nullable=True))
    op.add_column("covers", sa.Column("scheme", sa.String(length=64), nullable=True))
    op.add_column("covers", sa.Column("default_probability", sa.Numeric(precision=18, scale=8), nullable=True))
    op.create_table(
        "accumulations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("years", sa.Integer(), nullable=False),
        sa.Column("policies", sa.Integer(), nullable=False),
        sa.Column("forests", sa.Integer(), nullable=False),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("book", postgresql.JSONB(), nullable=False),
        sa.Column("book_digest", sa.String(length=64), nullable=False),
        sa.Column("parameters_digest", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("metrics", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("result_digest", sa.String(length=64), nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "years > 0 AND policies > 0 AND forests >= policies", name=op.f("ck_accumulations_something")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accumulations")),
    )
    op.create_index(op.f("ix_accumulations_institution"), "accumulations", ["institution"], unique=False)
    op.create_table(
        "accumulation_blocks",
        sa.Column("accumulation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("first_year", sa.Integer(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["accumulation_id"], ["accumulations.id"], name=op.f("fk_accumulation_blocks_accumulation_id_accumulations")
        ),
        sa.PrimaryKeyConstraint("accumulation_id", "number", name=op.f("pk_accumulation_blocks")),
        sa.UniqueConstraint(
            "accumulation_id", "first_year", name=op.f("uq_accumulation_blocks_accumulation_id_first_year")
        ),
    )
    op.create_index(op.f("ix_accumulation_blocks_institution"), "accumulation_blocks", ["institution"], unique=False)
    op.create_table(
        "reinsurance_programmes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("contracts", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected')", name=op.f("ck_reinsurance_programmes_state")
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL)", name=op.f("ck_reinsurance_programmes_decided")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reinsurance_programmes")),
    )
    op.create_index(
        op.f("ix_reinsurance_programmes_institution"), "reinsurance_programmes", ["institution"], unique=False
    )
    for table in ("accumulations", "accumulation_blocks", "reinsurance_programmes"):
        for rule in private_table("insurance", table):
            op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_reinsurance_programmes_institution"), table_name="reinsurance_programmes")
    op.drop_table("reinsurance_programmes")
    op.drop_index(op.f("ix_accumulation_blocks_institution"), table_name="accumulation_blocks")
    op.drop_table("accumulation_blocks")
    op.drop_index(op.f("ix_accumulations_institution"), table_name="accumulations")
    op.drop_table("accumulations")
    for column in ("default_probability", "scheme", "guarantor"):
        op.drop_column("covers", column)
    for column in ("latitude", "longitude"):
        op.drop_column("valuations", column)

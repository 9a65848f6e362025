"""Tables of the guarantee service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import private_table

revision = "guarantee_0001"
down_revision = None
branch_labels = ("guarantee",)
depends_on = "plumbing_0001"

TABLES = (
    "profiles",
    "counties",
    "buckets",
    "reservations",
    "guarantees",
    "calls",
    "recoveries",
    "journal_rows",
)


def upgrade() -> None:
    op.create_table(
        "buckets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("cap_legal", sa.BigInteger(), nullable=False),
        sa.Column("cap_effective", sa.BigInteger(), nullable=False),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('headroom', 'obligor', 'county', 'province', 'national', 'pool')", name=op.f("ck_buckets_kind")
        ),
        sa.CheckConstraint(
            "cap_legal >= 0 AND cap_effective >= cap_legal AND cap_effective IN (cap_legal, posted + pending)",
            name=op.f("ck_buckets_over_limit_is_exact"),
        ),
        sa.CheckConstraint("pending >= 0", name=op.f("ck_buckets_pending_not_negative")),
        sa.CheckConstraint("posted + pending <= cap_effective", name=op.f("ck_buckets_within_cap")),
        sa.CheckConstraint("posted >= 0", name=op.f("ck_buckets_posted_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buckets")),
        sa.UniqueConstraint("institution", "kind", "key", name=op.f("uq_buckets_institution_kind_key")),
    )
    op.create_index(op.f("ix_buckets_institution"), "buckets", ["institution"], unique=False)
    op.create_table(
        "guarantees",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("obligor", sa.String(), nullable=False),
        sa.Column("county", sa.String(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("default_probability", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("loss_given_default", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("small_or_farmer", sa.Boolean(), nullable=False),
        sa.Column("shares_bp", postgresql.JSONB(), nullable=False),
        sa.Column("fee", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("fee_rate", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("matures_on", sa.Date(), nullable=True),
        sa.Column("claim_until", sa.Date(), nullable=True),
        sa.Column("loan_closed", sa.Boolean(), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=True),
        sa.Column("parameters_hash", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("measures", postgresql.JSONB(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("warnings", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("share_primary", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_province", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_national", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_bank", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_pool", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint(
            "share_primary + share_province + share_national + share_bank + share_pool = amount OR state = 'refused'",
            name=op.f("ck_guarantees_shares_sum_to_the_amount"),
        ),
        sa.CheckConstraint(
            "state IN ('reserved', 'refused', 'expired', 'issued', 'called', 'paid', 'released')",
            name=op.f("ck_guarantees_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('issued', 'called', 'paid') OR (issued_on IS NOT NULL AND claim_until IS NOT NULL)",
            name=op.f("ck_guarantees_issued_with_its_clock"),
        ),
        sa.CheckConstraint("balance BETWEEN 0 AND amount", name=op.f("ck_guarantees_balance_within_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guarantees")),
        sa.UniqueConstraint("institution", "loan_id", name=op.f("uq_guarantees_institution_loan_id")),
    )
    op.create_index(op.f("ix_guarantees_institution"), "guarantees", ["institution"], unique=False)
    op.create_index(op.f("ix_guarantees_loan_id"), "guarantees", ["loan_id"], unique=False)
    op.create_index(
        "ix_guarantees_reserved",
        "guarantees",
        ["institution", "expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'reserved'"),
    )
    op.create_index(op.f("ix_guarantees_state"), "guarantees", ["state"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("net_assets", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("equity_in_guarantors", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("other_liability", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("leverage_class", sa.Integer(), nullable=False),
        sa.Column("province_quota", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("national_quota", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("default_probability_ceiling", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "default_probability_ceiling BETWEEN 0 AND 1", name=op.f("ck_profiles_default_probability_ceiling")
        ),
        sa.CheckConstraint("leverage_class IN (10, 15)", name=op.f("ck_profiles_leverage_class")),
        sa.CheckConstraint(
            "net_assets >= 0 AND equity_in_guarantors >= 0 AND other_liability >= 0",
            name=op.f("ck_profiles_not_negative"),
        ),
        sa.CheckConstraint("province_quota >= 0 AND national_quota >= 0", name=op.f("ck_profiles_quotas_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("institution", name=op.f("uq_profiles_institution")),
    )
    op.create_index(op.f("ix_profiles_institution"), "profiles", ["institution"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("obligor", sa.String(), nullable=False),
        sa.Column("county", sa.String(), nullable=False),
        sa.Column("small_or_farmer", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("borne", sa.BigInteger(), nullable=False),
        sa.Column("province", sa.BigInteger(), nullable=False),
        sa.Column("national", sa.BigInteger(), nullable=False),
        sa.Column("pool", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("liability", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'posted') OR (balance = 0 AND liability = 0)",
            name=op.f("ck_reservations_ended_holds_nothing"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'posted', 'void', 'expired', 'released')", name=op.f("ck_reservations_state")
        ),
        sa.CheckConstraint(
            "amount > 0 AND balance BETWEEN 0 AND amount", name=op.f("ck_reservations_balance_within_amount")
        ),
        sa.CheckConstraint(
            "borne >= 0 AND province >= 0 AND national >= 0 AND pool >= 0 AND liability >= 0",
            name=op.f("ck_reservations_not_negative"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index(op.f("ix_reservations_institution"), "reservations", ["institution"], unique=False)
    op.create_index(
        "ix_reservations_live",
        "reservations",
        ["institution", "obligor"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'posted')"),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("guarantee_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("payable", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("paid", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("recovered", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("recovered_for_guarantors", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("subrogated_claim", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("defaulted_on", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("share_primary", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_province", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_national", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_bank", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_pool", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint(
            "(state = 'paid') = (paid IS NOT NULL) AND paid = payable", name=op.f("ck_calls_paid_in_full_or_not")
        ),
        sa.CheckConstraint("state IN ('open', 'paid', 'cancelled')", name=op.f("ck_calls_state")),
        sa.CheckConstraint("payable = balance - share_bank", name=op.f("ck_calls_payable_is_all_but_the_bank_share")),
        sa.CheckConstraint(
            "recovered >= 0 AND recovered_for_guarantors BETWEEN 0 AND recovered AND subrogated_claim >= 0",
            name=op.f("ck_calls_recovered_not_negative"),
        ),
        sa.CheckConstraint(
            "share_primary + share_province + share_national + share_bank + share_pool = balance",
            name=op.f("ck_calls_shares_sum_to_the_balance"),
        ),
        sa.ForeignKeyConstraint(["guarantee_id"], ["guarantees.id"], name=op.f("fk_calls_guarantee_id_guarantees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sa.UniqueConstraint("guarantee_id", name=op.f("uq_calls_guarantee_id")),
    )
    op.create_index(op.f("ix_calls_institution"), "calls", ["institution"], unique=False)
    op.create_index(op.f("ix_calls_loan_id"), "calls", ["loan_id"], unique=False)
    op.create_index(op.f("ix_calls_state"), "calls", ["state"], unique=False)
    op.create_table(
        "counties",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("cap", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("pool_balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint("cap >= 0 AND pool_balance >= 0", name=op.f("ck_counties_not_negative")),
        sa.ForeignKeyConstraint(["profile_id"], ["profiles.id"], name=op.f("fk_counties_profile_id_profiles")),
        sa.PrimaryKeyConstraint("profile_id", "county", name=op.f("pk_counties")),
    )
    op.create_index(op.f("ix_counties_institution"), "counties", ["institution"], unique=False)
    op.create_table(
        "journal_rows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Uuid(), nullable=False),
        sa.Column("debit", sa.String(length=16), nullable=False),
        sa.Column("credit", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "debit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')"
            " AND credit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')",
            name=op.f("ck_journal_rows_accounts"),
        ),
        sa.CheckConstraint(
            "kind IN ('call', 'payment', 'recovery', 'cancellation')", name=op.f("ck_journal_rows_kind")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_journal_rows_amount_positive")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_journal_rows_two_accounts")),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_journal_rows_call_id_calls")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_rows")),
        sa.UniqueConstraint("kind", "source", "debit", "credit", name=op.f("uq_journal_rows_kind_source_debit_credit")),
    )
    op.create_index(op.f("ix_journal_rows_call_id"), "journal_rows", ["call_id"], unique=False)
    op.create_index(op.f("ix_journal_rows_institution"), "journal_rows", ["institution"], unique=False)
    op.create_table(
        "recoveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("costs", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("net", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("share_primary", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_province", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_national", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_bank", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("share_pool", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint("net = greatest(amount - costs, 0)", name=op.f("ck_recoveries_net_of_costs")),
        sa.CheckConstraint(
            "share_primary + share_province + share_national + share_bank + share_pool = net",
            name=op.f("ck_recoveries_shares_sum_to_the_net"),
        ),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_recoveries_call_id_calls")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recoveries")),
    )
    op.create_index(op.f("ix_recoveries_call_id"), "recoveries", ["call_id"], unique=False)
    op.create_index(op.f("ix_recoveries_institution"), "recoveries", ["institution"], unique=False)
    for table in TABLES:
        for rule in private_table("guarantee", table):
            op.execute(rule)
    # The journal and what was shared are append-only: nobody who runs the service may rewrite them.
    for table in ("journal_rows", "recoveries"):
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM guarantee_app, guarantee_worker")


def downgrade() -> None:
    op.drop_index(op.f("ix_recoveries_institution"), table_name="recoveries")
    op.drop_index(op.f("ix_recoveries_call_id"), table_name="recoveries")
    op.drop_table("recoveries")
    op.drop_index(op.f("ix_journal_rows_institution"), table_name="journal_rows")
    op.drop_index(op.f("ix_journal_rows_call_id"), table_name="journal_rows")
    op.drop_table("journal_rows")
    op.drop_index(op.f("ix_counties_institution"), table_name="counties")
    op.drop_table("counties")
    op.drop_index(op.f("ix_calls_state"), table_name="calls")
    op.drop_index(op.f("ix_calls_loan_id"), table_name="calls")
    op.drop_index(op.f("ix_calls_institution"), table_name="calls")
    op.drop_table("calls")
    op.drop_index(
        "ix_reservations_live", table_name="reservations", postgresql_where=sa.text("state IN ('pending', 'posted')")
    )
    op.drop_index(op.f("ix_reservations_institution"), table_name="reservations")
    op.drop_table("reservations")
    op.drop_index(op.f("ix_profiles_institution"), table_name="profiles")
    op.drop_table("profiles")
    op.drop_index(op.f("ix_guarantees_state"), table_name="guarantees")
    op.drop_index("ix_guarantees_reserved", table_name="guarantees", postgresql_where=sa.text("state = 'reserved'"))
    op.drop_index(op.f("ix_guarantees_loan_id"), table_name="guarantees")
    op.drop_index(op.f("ix_guarantees_institution"), table_name="guarantees")
    op.drop_table("guarantees")
    op.drop_index(op.f("ix_buckets_institution"), table_name="buckets")
    op.drop_table("buckets")

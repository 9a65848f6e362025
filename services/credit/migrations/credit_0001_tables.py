"""Tables of the credit service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import common_table, private_table

revision = "credit_0001"
down_revision = None
branch_labels = ("credit",)
depends_on = "plumbing_0001"


def upgrade() -> None:
    op.create_table(
        "loans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("applied_by", sa.String(length=128), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("borrower_reference", sa.String(length=64), nullable=False),
        sa.Column("borrower_kind", sa.String(length=32), nullable=False),
        sa.Column("obligor", sa.String(length=32), nullable=False),
        sa.Column("features", postgresql.JSONB(), nullable=False),
        sa.Column("small_or_farmer", sa.Boolean(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("repayment", sa.String(length=32), nullable=False),
        sa.Column("grace_months", sa.Integer(), nullable=False),
        sa.Column("insurer", sa.String(length=64), nullable=False),
        sa.Column("guarantor", sa.String(length=64), nullable=False),
        sa.Column("scheme", sa.String(length=64), nullable=False),
        sa.Column("guaranteed_share", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=True),
        sa.Column("blocked_by", sa.String(length=16), nullable=True),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("legs_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offer_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bind_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drawdown_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cure_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("annual_rate", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("days_per_year", sa.Integer(), nullable=True),
        sa.Column("offer", postgresql.JSONB(), nullable=True),
        sa.Column("offer_hash", sa.String(length=64), nullable=True),
        sa.Column("approved_by", sa.String(length=128), nullable=True),
        sa.Column("disbursed", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("disbursed_on", sa.Date(), nullable=True),
        sa.Column("matures_on", sa.Date(), nullable=True),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("interest_due", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("interest_until", sa.Date(), nullable=True),
        sa.Column("principal_repaid", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("interest_paid", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("defaulted_on", sa.Date(), nullable=True),
        sa.Column("default_balance", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("guarantee_received", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("recovered", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("recovered_by_bank", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("surplus", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("bank_surplus", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("written_off", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("unrecovered", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("loan_to_value", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("shortfall", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("covenant_reasons", postgresql.JSONB(), nullable=False),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state IN ('defaulted', 'enforcing')) = (default_balance IS NOT NULL) OR state = 'closed'",
            name=op.f("ck_loans_default"),
        ),
        sa.CheckConstraint(
            "(state IN ('performing', 'margin_called', 'defaulted', 'enforcing', 'closed')) = (disbursed > 0)",
            name=op.f("ck_loans_disbursed_once_live"),
        ),
        sa.CheckConstraint(
            "state <> 'closed' OR (balance = 0 AND disbursed + bank_surplus = principal_repaid +"
            " guarantee_received + recovered_by_bank + written_off)",
            name=op.f("ck_loans_money_adds_up"),
        ),
        sa.CheckConstraint(
            "state IN ('applied', 'scored', 'referred', 'declined', 'structuring', 'proposed', 'offered',"
            " 'binding', 'ready', 'performing', 'margin_called', 'defaulted', 'enforcing', 'closed',"
            " 'withdrawn', 'expired')",
            name=op.f("ck_loans_state"),
        ),
        sa.CheckConstraint(
            "amount > 0 AND term_months > 0 AND grace_months BETWEEN 0 AND term_months - 1", name=op.f("ck_loans_terms")
        ),
        sa.CheckConstraint(
            "balance >= 0 AND interest_due >= 0 AND principal_repaid >= 0 AND recovered >= 0 AND unrecovered"
            " >= 0 AND interest_paid >= 0 AND guarantee_received >= 0 AND recovered_by_bank >= 0 AND surplus"
            " >= 0 AND bank_surplus >= 0 AND written_off >= 0",
            name=op.f("ck_loans_no_negative_money"),
        ),
        sa.CheckConstraint("disbursed = 0 OR disbursed = amount", name=op.f("ck_loans_disbursed_whole")),
        sa.CheckConstraint(
            "disbursed = principal_repaid + recovered + balance + unrecovered", name=op.f("ck_loans_debt_adds_up")
        ),
        sa.CheckConstraint("guaranteed_share BETWEEN 0 AND 1", name=op.f("ck_loans_guaranteed_share")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loans")),
    )
    op.create_index(op.f("ix_loans_institution"), "loans", ["institution"], unique=False)
    op.create_index("ix_loans_institution_state_id", "loans", ["institution", "state", "id"], unique=False)
    op.create_table(
        "valuations",
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("valuation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("area_ha", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("longitude", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("latitude", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("title_until", sa.Date(), nullable=False),
        sa.Column("crediting_until", sa.Date(), nullable=False),
        sa.Column("species", postgresql.JSONB(), nullable=False),
        sa.Column("hazards", postgresql.JSONB(), nullable=False),
        sa.Column("removals", postgresql.JSONB(), nullable=False),
        sa.Column("forecast_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("free_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("pledged_tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("price_curve", sa.String(length=128), nullable=False),
        sa.Column("spot_price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_mean", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p05", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p10", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p50", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p90", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pv_p95", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("liquidity_haircut", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("inputs_hash", sa.String(length=128), nullable=False),
        sa.Column("parameters_hash", sa.String(length=128), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_valuations")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.Column("inputs_hash", sa.String(length=64), nullable=False),
        sa.Column("result_hash", sa.String(length=64), nullable=False),
        sa.Column("artefact_hash", sa.String(length=64), nullable=False),
        sa.Column("parameters_digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("kind IN ('application', 'referral', 'offer')", name=op.f("ck_decisions_kind")),
        sa.CheckConstraint("outcome IN ('approve', 'refer', 'decline')", name=op.f("ck_decisions_outcome")),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_decisions_loan_id_loans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_institution"), "decisions", ["institution"], unique=False)
    op.create_index(op.f("ix_decisions_loan_id"), "decisions", ["loan_id"], unique=False)
    op.create_table(
        "loan_assets",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=True),
        sa.Column("valuation_id", sa.Uuid(), nullable=True),
        sa.Column("valuation_version", sa.Integer(), nullable=True),
        sa.Column("value", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("pledge_state", sa.String(length=16), nullable=False),
        sa.Column("pledge_id", sa.Uuid(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.CheckConstraint("pledge_state = 'none' OR pledge_id IS NOT NULL", name=op.f("ck_loan_assets_pledge_has_id")),
        sa.CheckConstraint(
            "pledge_state IN ('none', 'placed', 'released', 'frozen', 'enforced')",
            name=op.f("ck_loan_assets_pledge_state"),
        ),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_loan_assets_tonnes")),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_assets_loan_id_loans")),
        sa.PrimaryKeyConstraint("loan_id", "asset_id", name=op.f("pk_loan_assets")),
    )
    op.create_index(op.f("ix_loan_assets_asset_id"), "loan_assets", ["asset_id"], unique=False)
    op.create_index(op.f("ix_loan_assets_institution"), "loan_assets", ["institution"], unique=False)
    op.create_table(
        "loan_covers",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cover_id", sa.Uuid(), nullable=True),
        sa.Column("policy_id", sa.Uuid(), nullable=True),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("annual_premium", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("owner_premium", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("deductible", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("perils", postgresql.JSONB(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inception", sa.Date(), nullable=True),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "state IN ('none', 'asked', 'quoted', 'refused', 'bound', 'lapsed')", name=op.f("ck_loan_covers_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('bound', 'lapsed') OR policy_id IS NOT NULL", name=op.f("ck_loan_covers_policy_id")
        ),
        sa.CheckConstraint(
            "state NOT IN ('quoted', 'bound') OR cover_id IS NOT NULL", name=op.f("ck_loan_covers_cover_id")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_covers_loan_id_loans")),
        sa.PrimaryKeyConstraint("loan_id", name=op.f("pk_loan_covers")),
    )
    op.create_index(op.f("ix_loan_covers_institution"), "loan_covers", ["institution"], unique=False)
    op.create_table(
        "loan_guarantees",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("guarantee_id", sa.Uuid(), nullable=True),
        sa.Column("call_id", sa.Uuid(), nullable=True),
        sa.Column("fee", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("shares", postgresql.JSONB(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_until", sa.Date(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "state IN ('none', 'asked', 'refused') OR guarantee_id IS NOT NULL",
            name=op.f("ck_loan_guarantees_guarantee_id"),
        ),
        sa.CheckConstraint(
            "state IN ('none', 'asked', 'reserved', 'refused', 'issued', 'released', 'called', 'paid')",
            name=op.f("ck_loan_guarantees_state"),
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_guarantees_loan_id_loans")),
        sa.PrimaryKeyConstraint("loan_id", name=op.f("pk_loan_guarantees")),
    )
    op.create_index(op.f("ix_loan_guarantees_institution"), "loan_guarantees", ["institution"], unique=False)
    op.create_table(
        "loan_history",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("comment", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_history_loan_id_loans")),
        sa.PrimaryKeyConstraint("loan_id", "number", name=op.f("pk_loan_history")),
    )
    op.create_index(op.f("ix_loan_history_institution"), "loan_history", ["institution"], unique=False)
    op.create_table(
        "loan_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("costs", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("principal", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("interest", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("surplus", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("bank_part", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN source = 'guarantee' THEN principal = 0 AND interest = 0 AND costs = 0 AND surplus ="
            " 0 ELSE amount = costs + principal + interest + surplus END",
            name=op.f("ck_loan_payments_parts_sum_to_amount"),
        ),
        sa.CheckConstraint(
            "source IN ('borrower', 'insurance', 'guarantee', 'recovery')", name=op.f("ck_loan_payments_source")
        ),
        sa.CheckConstraint(
            "amount >= 0 AND principal >= 0 AND interest >= 0 AND costs >= 0 AND surplus >= 0",
            name=op.f("ck_loan_payments_no_negative_money"),
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_payments_loan_id_loans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_payments")),
        sa.UniqueConstraint("loan_id", "reference", name=op.f("uq_loan_payments_loan_id_reference")),
    )
    op.create_index(op.f("ix_loan_payments_institution"), "loan_payments", ["institution"], unique=False)
    op.create_index(op.f("ix_loan_payments_loan_id"), "loan_payments", ["loan_id"], unique=False)
    for rule in [
        *common_table("credit", "valuations"),
        *private_table("credit", "loans"),
        *private_table("credit", "loan_assets"),
        *private_table("credit", "loan_covers"),
        *private_table("credit", "loan_guarantees"),
        *private_table("credit", "decisions"),
        *private_table("credit", "loan_history"),
        *private_table("credit", "loan_payments"),
        # What was decided, what happened and what was paid is written once; only the sharing of a recovery comes later.
        "REVOKE UPDATE, DELETE ON decisions, loan_history FROM credit_app, credit_worker",
        "REVOKE DELETE ON loan_payments FROM credit_app, credit_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_loan_payments_loan_id"), table_name="loan_payments")
    op.drop_index(op.f("ix_loan_payments_institution"), table_name="loan_payments")
    op.drop_table("loan_payments")
    op.drop_index(op.f("ix_loan_history_institution"), table_name="loan_history")
    op.drop_table("loan_history")
    op.drop_index(op.f("ix_loan_guarantees_institution"), table_name="loan_guarantees")
    op.drop_table("loan_guarantees")
    op.drop_index(op.f("ix_loan_covers_institution"), table_name="loan_covers")
    op.drop_table("loan_covers")
    op.drop_index(op.f("ix_loan_assets_institution"), table_name="loan_assets")
    op.drop_index(op.f("ix_loan_assets_asset_id"), table_name="loan_assets")
    op.drop_table("loan_assets")
    op.drop_index(op.f("ix_decisions_loan_id"), table_name="decisions")
    op.drop_index(op.f("ix_decisions_institution"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_table("valuations")
    op.drop_index("ix_loans_institution_state_id", table_name="loans")
    op.drop_index(op.f("ix_loans_institution"), table_name="loans")
    op.drop_table("loans")

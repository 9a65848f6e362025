"""Tables of the insurance service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import common_table, private_table

revision = "insurance_0001"
down_revision = None
branch_labels = ("insurance",)
depends_on = "plumbing_0001"


def upgrade() -> None:
    op.create_table(
        "capacities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("cap", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("pending", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("posted", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("set_by", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("set_by IN ('parameters', 'insurer')", name=op.f("ck_capacities_set_by")),
        sa.CheckConstraint(
            "pending >= 0 AND posted >= 0 AND posted + pending <= cap", name=op.f("ck_capacities_within_cap")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capacities")),
        sa.UniqueConstraint("institution", "county", name=op.f("uq_capacities_institution_county")),
    )
    op.create_index(op.f("ix_capacities_institution"), "capacities", ["institution"], unique=False)
    op.create_table(
        "covers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("obligor", sa.String(length=128), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("loan_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("annual_premium", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("owner_premium", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("expected_annual_loss", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("deductible", sa.Numeric(precision=18, scale=8), nullable=True),
        sa.Column("perils", postgresql.JSONB(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("parameters_digest", sa.String(length=64), nullable=False),
        sa.Column("unverified_parameters", postgresql.JSONB(), nullable=False),
        sa.Column("quoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('asked', 'waiting', 'quoted', 'refused', 'bound', 'void')", name=op.f("ck_covers_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('quoted', 'bound') OR (sum_insured > 0 AND annual_premium > 0 AND owner_premium"
            " BETWEEN 0 AND annual_premium AND quoted_at IS NOT NULL AND expires_at IS NOT NULL)",
            name=op.f("ck_covers_quote_is_whole"),
        ),
        sa.CheckConstraint("deductible >= 0 AND deductible < 1", name=op.f("ck_covers_deductible")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_covers")),
        sa.UniqueConstraint("institution", "loan_id", name=op.f("uq_covers_institution_loan_id")),
    )
    op.create_index(op.f("ix_covers_institution"), "covers", ["institution"], unique=False)
    op.create_index(op.f("ix_covers_loan_id"), "covers", ["loan_id"], unique=False)
    op.create_index(op.f("ix_covers_state"), "covers", ["state"], unique=False)
    op.create_table(
        "reversals",
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("peril", sa.String(length=16), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "reversal_id", name=op.f("pk_reversals")),
    )
    op.create_table(
        "valuations",
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valuation_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("area_ha", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("hazards", postgresql.JSONB(), nullable=False),
        sa.Column("present_value", postgresql.JSONB(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_valuations")),
    )
    op.create_table(
        "capacity_holds",
        sa.Column("cover_id", sa.Uuid(), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'posted', 'released')", name=op.f("ck_capacity_holds_state")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_capacity_holds_amount")),
        sa.ForeignKeyConstraint(["cover_id"], ["covers.id"], name=op.f("fk_capacity_holds_cover_id_covers")),
        sa.PrimaryKeyConstraint("cover_id", "county", name=op.f("pk_capacity_holds")),
    )
    op.create_index(op.f("ix_capacity_holds_institution"), "capacity_holds", ["institution"], unique=False)
    op.create_table(
        "cover_assets",
        sa.Column("cover_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("valuation_version", sa.Integer(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("value", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("insured_value", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.CheckConstraint(
            "sum_insured > 0 AND sum_insured <= insured_value", name=op.f("ck_cover_assets_never_over_insured")
        ),
        sa.CheckConstraint("tonnes >= 0 AND value >= 0", name=op.f("ck_cover_assets_pledge")),
        sa.ForeignKeyConstraint(["cover_id"], ["covers.id"], name=op.f("fk_cover_assets_cover_id_covers")),
        sa.PrimaryKeyConstraint("cover_id", "asset_id", name=op.f("pk_cover_assets")),
    )
    op.create_index(op.f("ix_cover_assets_asset_id"), "cover_assets", ["asset_id"], unique=False)
    op.create_index(op.f("ix_cover_assets_institution"), "cover_assets", ["institution"], unique=False)
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("cover_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("annual_premium", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("owner_premium", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("deductible", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("perils", postgresql.JSONB(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column("inception", sa.Date(), nullable=False),
        sa.Column("expiry", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("interest", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("unsettled", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("claimed", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("return_premium", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("lapse_reason", sa.String(length=32), nullable=True),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('in_force', 'ending', 'ended')", name=op.f("ck_policies_state")),
        sa.CheckConstraint(
            "claimed >= 0 AND claimed <= sum_insured", name=op.f("ck_policies_claims_within_sum_insured")
        ),
        sa.CheckConstraint("inception <= ends_on AND ends_on <= expiry", name=op.f("ck_policies_dates")),
        sa.CheckConstraint("interest >= 0 AND balance >= 0 AND unsettled >= 0", name=op.f("ck_policies_interest")),
        sa.CheckConstraint(
            "return_premium >= 0 AND return_premium <= annual_premium", name=op.f("ck_policies_return_premium")
        ),
        sa.ForeignKeyConstraint(["cover_id"], ["covers.id"], name=op.f("fk_policies_cover_id_covers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("cover_id", name=op.f("uq_policies_cover_id")),
    )
    op.create_index(op.f("ix_policies_institution"), "policies", ["institution"], unique=False)
    op.create_index(op.f("ix_policies_loan_id"), "policies", ["loan_id"], unique=False)
    op.create_index(op.f("ix_policies_state"), "policies", ["state"], unique=False)
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("peril", sa.String(length=16), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("loss", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("payable", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("to_bank", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("to_owner", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'nil') = (payable = 0)", name=op.f("ck_claims_nil_pays_nothing")),
        sa.CheckConstraint(
            "(state = 'paid') = (paid_at IS NOT NULL) AND (state <> 'paid' OR"
            " (to_bank >= 0 AND to_owner >= 0 AND to_bank + to_owner = payable))",
            name=op.f("ck_claims_paid_in_full"),
        ),
        sa.CheckConstraint("state IN ('open', 'nil', 'paid')", name=op.f("ck_claims_state")),
        sa.CheckConstraint("loss >= 0 AND payable >= 0 AND payable <= loss", name=op.f("ck_claims_payable")),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_claims_policy_id_policies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint(
            "policy_id", "reversal_id", "asset_id", name=op.f("uq_claims_policy_id_reversal_id_asset_id")
        ),
    )
    op.create_index(op.f("ix_claims_institution"), "claims", ["institution"], unique=False)
    op.create_index(op.f("ix_claims_loan_id"), "claims", ["loan_id"], unique=False)
    op.create_index(op.f("ix_claims_state"), "claims", ["state"], unique=False)
    op.create_table(
        "policy_assets",
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("county", sa.String(length=64), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("insured_value", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("sum_insured", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("claimed", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.CheckConstraint(
            "sum_insured > 0 AND claimed >= 0 AND claimed <= sum_insured",
            name=op.f("ck_policy_assets_claims_within_sum"),
        ),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_policy_assets_policy_id_policies")),
        sa.PrimaryKeyConstraint("policy_id", "asset_id", name=op.f("pk_policy_assets")),
    )
    op.create_index(op.f("ix_policy_assets_asset_id"), "policy_assets", ["asset_id"], unique=False)
    op.create_index(op.f("ix_policy_assets_institution"), "policy_assets", ["institution"], unique=False)
    for rule in [
        *common_table("insurance", "valuations"),
        *common_table("insurance", "reversals"),
        *private_table("insurance", "covers"),
        *private_table("insurance", "cover_assets"),
        *private_table("insurance", "policies"),
        *private_table("insurance", "policy_assets"),
        *private_table("insurance", "claims"),
        *private_table("insurance", "capacities"),
        *private_table("insurance", "capacity_holds"),
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_index(op.f("ix_policy_assets_institution"), table_name="policy_assets")
    op.drop_index(op.f("ix_policy_assets_asset_id"), table_name="policy_assets")
    op.drop_table("policy_assets")
    op.drop_index(op.f("ix_claims_state"), table_name="claims")
    op.drop_index(op.f("ix_claims_loan_id"), table_name="claims")
    op.drop_index(op.f("ix_claims_institution"), table_name="claims")
    op.drop_table("claims")
    op.drop_index(op.f("ix_policies_state"), table_name="policies")
    op.drop_index(op.f("ix_policies_loan_id"), table_name="policies")
    op.drop_index(op.f("ix_policies_institution"), table_name="policies")
    op.drop_table("policies")
    op.drop_index(op.f("ix_cover_assets_institution"), table_name="cover_assets")
    op.drop_index(op.f("ix_cover_assets_asset_id"), table_name="cover_assets")
    op.drop_table("cover_assets")
    op.drop_index(op.f("ix_capacity_holds_institution"), table_name="capacity_holds")
    op.drop_table("capacity_holds")
    op.drop_table("valuations")
    op.drop_table("reversals")
    op.drop_index(op.f("ix_covers_state"), table_name="covers")
    op.drop_index(op.f("ix_covers_loan_id"), table_name="covers")
    op.drop_index(op.f("ix_covers_institution"), table_name="covers")
    op.drop_table("covers")
    op.drop_index(op.f("ix_capacities_institution"), table_name="capacities")
    op.drop_table("capacities")

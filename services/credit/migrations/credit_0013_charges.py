"""Late charges and fees: what was agreed, what is owed, what was charged and what of a payment settled it."""

import sqlalchemy as sa
from alembic import op

from shared.db import private_table

revision = "credit_0013"
down_revision = "credit_0012"
branch_labels = None
depends_on = None

MONEY = sa.Numeric(precision=18, scale=2)
BEFORE = {
    ("loans", "no_negative_money"): (
        "balance >= 0 AND interest_due >= 0 AND principal_repaid >= 0 AND recovered >= 0 AND unrecovered >= 0"
        " AND interest_paid >= 0 AND guarantee_received >= 0 AND recovered_by_bank >= 0 AND surplus >= 0"
        " AND bank_surplus >= 0 AND written_off >= 0"
    ),
    ("loan_payments", "no_negative_money"): (
        "amount >= 0 AND principal >= 0 AND interest >= 0 AND costs >= 0 AND surplus >= 0"
    ),
    ("loan_payments", "parts_sum_to_amount"): (
        "CASE WHEN source = 'guarantee' THEN principal = 0 AND interest = 0 AND costs = 0 AND surplus = 0"
        " ELSE amount = costs + principal + interest + surplus END"
    ),
}
NOW = {
    ("loans", "no_negative_money"): (
        BEFORE["loans", "no_negative_money"] + " AND charges_due >= 0 AND charges_paid >= 0"
    ),
    ("loan_payments", "no_negative_money"): (
        "amount >= 0 AND principal >= 0 AND interest >= 0 AND charges >= 0 AND costs >= 0 AND surplus >= 0"
    ),
    ("loan_payments", "parts_sum_to_amount"): (
        "CASE WHEN source = 'guarantee' THEN principal = 0 AND interest = 0 AND charges = 0 AND costs = 0"
        " AND surplus = 0"
        " ELSE amount = costs + charges + principal + interest + surplus END"
    ),
}


def upgrade() -> None:
    op.add_column("loans", sa.Column("late_markup", sa.Numeric(precision=18, scale=8), nullable=True))
    for table, name in (("loans", "charges_due"), ("loans", "charges_paid"), ("loan_payments", "charges")):
        op.add_column(table, sa.Column(name, MONEY, nullable=False, server_default="0"))
        op.alter_column(table, name, server_default=None)
    _rules(NOW)
    op.create_table(
        "loan_charges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=False),
        sa.Column("on_amount", MONEY, nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("comment", sa.String(length=1000), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('late_principal', 'late_interest', 'appraisal', 'enforcement')",
            name=op.f("ck_loan_charges_kind"),
        ),
        sa.CheckConstraint("amount > 0 AND from_day <= until_day", name=op.f("ck_loan_charges_amount")),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name=op.f("fk_loan_charges_loan_id_loans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_charges")),
    )
    for column in ("institution", "loan_id"):
        op.create_index(op.f(f"ix_loan_charges_{column}"), "loan_charges", [column])
    for rule in [
        *private_table("credit", "loan_charges"),
        "REVOKE UPDATE, DELETE ON loan_charges FROM credit_app, credit_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.drop_table("loan_charges")
    _rules(BEFORE)
    op.drop_column("loan_payments", "charges")
    for name in ("charges_paid", "charges_due", "late_markup"):
        op.drop_column("loans", name)


def _rules(rules: dict[tuple[str, str], str]) -> None:
    for (table, name), rule in rules.items():
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)

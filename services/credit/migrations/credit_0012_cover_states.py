"""A policy that the owner broke: the bank is paid all the same, or nobody is."""

from alembic import op

revision = "credit_0012"
down_revision = "credit_0011"
branch_labels = None
depends_on = None

BEFORE = ("'none', 'asked', 'quoted', 'refused', 'bound', 'lapsed'", "'bound', 'lapsed'")
NOW = (
    "'none', 'asked', 'quoted', 'refused', 'bound', 'breached', 'void', 'lapsed'",
    "'bound', 'breached', 'void', 'lapsed'",
)


def upgrade() -> None:
    _rules(*NOW)


def downgrade() -> None:
    op.execute(
        "UPDATE loan_covers SET state = CASE state WHEN 'void' THEN 'lapsed' ELSE 'bound' END"
        " WHERE state IN ('breached', 'void')"
    )
    _rules(*BEFORE)


def _rules(states: str, with_policy: str) -> None:
    for name, rule in (
        ("state", f"state IN ({states})"),
        ("policy_id", f"state NOT IN ({with_policy}) OR policy_id IS NOT NULL"),
    ):
        op.drop_constraint(op.f(f"ck_loan_covers_{name}"), "loan_covers")
        op.create_check_constraint(op.f(f"ck_loan_covers_{name}"), "loan_covers", rule)

"""The covenant levels of a contract beside its loan: to unpack the whole offer cost more than the rest of a test."""

import sqlalchemy as sa
from alembic import op

revision = "credit_0015"
down_revision = "credit_0014"
branch_labels = None
depends_on = None

RATE = sa.Numeric(precision=18, scale=8)
COLUMNS = {
    "covenant_quantile": (sa.String(length=8), "quantile", ""),
    "margin_level": (RATE, "margin_call_loan_to_value", "::numeric"),
    "cure_level": (RATE, "cure_loan_to_value", "::numeric"),
    "cure_days": (sa.Integer(), "cure_days", "::integer"),
}


def upgrade() -> None:
    for name, (kind, _, _) in COLUMNS.items():
        op.add_column("loans", sa.Column(name, kind, nullable=True))
    agreed = {
        name: sa.literal_column(f"(offer #>> '{{covenants,{path}}}'){cast}")
        for name, (_, path, cast) in COLUMNS.items()
    }
    loans = sa.table("loans", sa.column("offer"), *map(sa.column, COLUMNS))
    op.execute(loans.update().where(loans.c.offer.is_not(None)).values(agreed))
    op.create_check_constraint(
        op.f("ck_loans_levels_of_offer"), "loans", f"offer IS NULL OR num_nulls({', '.join(COLUMNS)}) = 0"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_loans_levels_of_offer"), "loans")
    for name in reversed(COLUMNS):
        op.drop_column("loans", name)

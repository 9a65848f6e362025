"""An allocation is accepted by two persons and then holds room for its loans."""

import sqlalchemy as sa
from alembic import op

revision = "guarantee_0004"
down_revision = "guarantee_0003"
branch_labels = None
depends_on = None

COLUMNS = (
    ("payload_hash", sa.String(length=64)),
    ("proposed_by", sa.String(length=128)),
    ("decided_by", sa.String(length=128)),
    ("decided_at", sa.DateTime(timezone=True)),
    ("accepted_loans", sa.Integer()),
    ("accepted_amount", sa.BigInteger()),
    ("held_until", sa.DateTime(timezone=True)),
)
CHECKS = {
    "acceptance": "acceptance IN ('none', 'proposed', 'accepted', 'rejected')",
    "decided": "(acceptance IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)",
    "four_eyes": "decided_by <> proposed_by",
    "accepted_holds": "(acceptance = 'accepted') = (held_until IS NOT NULL)",
}


def upgrade() -> None:
    op.add_column("allocations", sa.Column("acceptance", sa.String(length=16), nullable=False, server_default="none"))
    op.alter_column("allocations", "acceptance", server_default=None)
    for name, kind in COLUMNS:
        op.add_column("allocations", sa.Column(name, kind, nullable=True))
    for name, rule in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_allocations_{name}"), "allocations", rule)
    op.add_column("reservations", sa.Column("loan_id", sa.Uuid(), nullable=True))
    # The owner is under the tenants' rules too, for which no tenant is set here.
    op.execute("ALTER TABLE reservations NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE guarantees NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE reservations r SET loan_id = g.loan_id FROM guarantees g WHERE g.id = r.id")
    op.execute("ALTER TABLE reservations FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE guarantees FORCE ROW LEVEL SECURITY")
    op.alter_column("reservations", "loan_id", nullable=False)
    op.add_column("reservations", sa.Column("allocation_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_reservations_allocation_id_allocations"), "reservations", "allocations", ["allocation_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_reservations_allocated_is_never_posted"), "reservations", "allocation_id IS NULL OR state <> 'posted'"
    )
    op.create_index(op.f("ix_reservations_allocation_id"), "reservations", ["allocation_id"], unique=False)
    op.create_index(
        "uq_reservations_allocated",
        "reservations",
        ["institution", "loan_id"],
        unique=True,
        postgresql_where=sa.text("allocation_id IS NOT NULL AND state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_reservations_allocated",
        table_name="reservations",
        postgresql_where=sa.text("allocation_id IS NOT NULL AND state = 'pending'"),
    )
    op.drop_index(op.f("ix_reservations_allocation_id"), table_name="reservations")
    op.drop_constraint(op.f("ck_reservations_allocated_is_never_posted"), "reservations", type_="check")
    op.drop_constraint(op.f("fk_reservations_allocation_id_allocations"), "reservations", type_="foreignkey")
    op.drop_column("reservations", "allocation_id")
    op.drop_column("reservations", "loan_id")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_allocations_{name}"), "allocations", type_="check")
    for name, _ in COLUMNS:
        op.drop_column("allocations", name)
    op.drop_column("allocations", "acceptance")

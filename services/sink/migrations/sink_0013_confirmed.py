"""Evidence is confirmed by a second person; what one person recorded before waits like any other."""

import sqlalchemy as sa
from alembic import op

from shared.db import TENANT

revision = "sink_0013"
down_revision = "sink_0012"
branch_labels = None
depends_on = None

CHECKS = {
    "state": "state IN ('recorded', 'confirmed', 'rejected')",
    "four_eyes": "(state = 'recorded') = (decided_by IS NULL) AND decided_by <> recorded_by",
}


def upgrade() -> None:
    op.add_column(
        "evidence", sa.Column("state", sa.String(length=16), server_default=sa.text("'recorded'"), nullable=False)
    )
    op.add_column("evidence", sa.Column("payload_hash", sa.String(length=64), nullable=True))
    op.add_column("evidence", sa.Column("decided_by", sa.String(length=128), nullable=True))
    for name, check in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_evidence_{name}"), "evidence", check)
    for rule in [
        f"CREATE POLICY registrar_decides ON evidence FOR UPDATE USING (registrar = {TENANT} AND state = 'recorded')"
        f" WITH CHECK (registrar = {TENANT})",
        "GRANT UPDATE (state, decided_by) ON evidence TO sink_app, sink_worker",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.execute("REVOKE UPDATE (state, decided_by) ON evidence FROM sink_app, sink_worker")
    op.execute("DROP POLICY registrar_decides ON evidence")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_evidence_{name}"), "evidence", type_="check")
    for name in ("decided_by", "payload_hash", "state"):
        op.drop_column("evidence", name)

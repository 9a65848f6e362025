"""A bank's consent, without which no unit that it took over moves; the database asks for it too."""

import sqlalchemy as sa
from alembic import op

from shared.db import TENANT

revision = "sink_0012"
down_revision = "sink_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("pledge_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("tonnes", sa.Numeric(precision=18, scale=3), nullable=False),
        sa.Column("to", sa.String(length=120), nullable=False),
        sa.Column("given_by", sa.String(length=128), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("tonnes > 0", name=op.f("ck_consents_tonnes")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_consents_asset_id_assets")),
        sa.ForeignKeyConstraint(["pledge_id"], ["pledges.id"], name=op.f("fk_consents_pledge_id_pledges")),
        sa.ForeignKeyConstraint(
            ["posting_id"], ["unit_postings.id"], name=op.f("fk_consents_posting_id_unit_postings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_asset_id"), "consents", ["asset_id"], unique=False)
    op.create_index(op.f("ix_consents_institution"), "consents", ["institution"], unique=False)
    for rule in [
        # The bank gives it; the registrar sees it and says what it was used for; nobody else knows.
        "ALTER TABLE consents ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE consents FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY both_see ON consents FOR SELECT USING ({TENANT} IN (institution, registrar))",
        f"CREATE POLICY bank_gives ON consents FOR INSERT WITH CHECK (institution = {TENANT} AND posting_id IS NULL)",
        f"CREATE POLICY registrar_uses ON consents FOR UPDATE USING (registrar = {TENANT} AND posting_id IS NULL)"
        f" WITH CHECK (registrar = {TENANT})",
        "GRANT SELECT, INSERT, UPDATE (posting_id) ON consents TO sink_app, sink_worker",
        """CREATE FUNCTION unit_entries_agreed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT FROM unit_postings WHERE id = NEW.posting_id AND kind = 'transfer')
             AND NOT EXISTS (SELECT FROM consents WHERE posting_id = NEW.posting_id AND institution = NEW.holder) THEN
            RAISE EXCEPTION 'units that a bank took over move by its consent only' USING ERRCODE = 'check_violation';
          END IF;
          RETURN NULL;
        END $$""",
        """CREATE CONSTRAINT TRIGGER agreed AFTER INSERT ON unit_entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
           WHEN (NEW.account = 'enforced' AND NEW.tonnes < 0) EXECUTE FUNCTION unit_entries_agreed()""",
    ]:
        op.execute(rule)


def downgrade() -> None:
    op.execute("DROP TRIGGER agreed ON unit_entries")
    op.execute("DROP FUNCTION unit_entries_agreed()")
    op.drop_table("consents")

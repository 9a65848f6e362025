"""One table of certificates, of liens and of retired units; who has a lien on a forest hears of it."""

import sqlalchemy as sa
from alembic import op

from shared.db import TENANT

revision = "sink_0007"
down_revision = "sink_0006"
branch_labels = None
depends_on = None

_OLD = ("lien_certificates", "compensation_certificates")
#: The owner sees all rows while they are carried over.
_UNSEEN = ("lien_certificates", "compensation_certificates", "pledges", "assets", "watchers", "certificates")


def _force(tables: tuple[str, ...], how: str) -> None:
    for table in tables:
        op.execute(f"ALTER TABLE {table} {how} FORCE ROW LEVEL SECURITY".replace("  ", " "))


def upgrade() -> None:
    op.create_table(
        "certificates",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('lien', 'purchase', 'land_use')", name=op.f("ck_certificates_kind")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_institution"), "certificates", ["institution"], unique=False)
    op.create_index(op.f("ix_certificates_subject_id"), "certificates", ["subject_id"], unique=False)
    for rule in [
        "ALTER TABLE certificates ENABLE ROW LEVEL SECURITY",
        # Whoever knows the code may see the certificate; an institution sees all of its own, and a registrar those of
        # retired units. Whose lien it is stays unsaid to it.
        f"""CREATE POLICY own_or_shown ON certificates FOR SELECT
            USING (institution = {TENANT} OR code = current_setting('app.certificate', true)
                   OR (kind <> 'lien' AND registrar = {TENANT}))""",
        f"""CREATE POLICY own_enters ON certificates FOR INSERT
            WITH CHECK (CASE kind WHEN 'lien' THEN institution ELSE registrar END = {TENANT})""",
        "GRANT SELECT, INSERT ON certificates TO sink_app, sink_worker",
    ]:
        op.execute(rule)
    _force(_UNSEEN[:-1], "NO")
    # The codes that people hold stay good.
    op.execute(
        """INSERT INTO certificates
           SELECT c.code, 'lien', c.institution, a.registrar, c.pledge_id, c.content,
                  encode(sha256(convert_to(c.content, 'UTF8')), 'hex'), c.issued_at
             FROM lien_certificates c JOIN pledges p ON p.id = c.pledge_id JOIN assets a ON a.id = p.asset_id"""
    )
    op.execute(
        """INSERT INTO certificates
           SELECT code, content::json ->> 'kind', institution, registrar, (content::json ->> 'subject')::uuid, content,
                  content_hash, issued_at FROM compensation_certificates"""
    )
    op.execute(
        """INSERT INTO watchers (subject, institution) SELECT DISTINCT asset_id, institution FROM pledges
           ON CONFLICT DO NOTHING"""
    )
    _force(_UNSEEN[2:], "")
    for table in _OLD:
        op.drop_table(table)


def downgrade() -> None:
    op.create_table(
        "lien_certificates",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("pledge_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pledge_id"], ["pledges.id"], name=op.f("fk_lien_certificates_pledge_id_pledges")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_lien_certificates")),
    )
    op.create_index(op.f("ix_lien_certificates_institution"), "lien_certificates", ["institution"], unique=False)
    op.create_index(op.f("ix_lien_certificates_pledge_id"), "lien_certificates", ["pledge_id"], unique=False)
    op.create_table(
        "compensation_certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("institution", sa.String(length=64), nullable=False),
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compensation_certificates")),
        sa.UniqueConstraint("code", name=op.f("uq_compensation_certificates_code")),
    )
    op.create_index(
        op.f("ix_compensation_certificates_institution"), "compensation_certificates", ["institution"], unique=False
    )
    _force(("certificates",), "NO")
    op.execute(
        "INSERT INTO lien_certificates SELECT code, institution, subject_id, content, issued_at"
        " FROM certificates WHERE kind = 'lien'"
    )
    op.execute(
        "INSERT INTO compensation_certificates SELECT gen_random_uuid(), institution, registrar, code, content,"
        " content_hash, issued_at FROM certificates WHERE kind <> 'lien'"
    )
    for rule in [
        "ALTER TABLE lien_certificates ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE lien_certificates FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_or_shown ON lien_certificates FOR SELECT"
        f" USING (institution = {TENANT} OR code = current_setting('app.certificate', true))",
        f"CREATE POLICY own_enters ON lien_certificates FOR INSERT WITH CHECK (institution = {TENANT})",
        "GRANT SELECT, INSERT ON lien_certificates TO sink_app, sink_worker",
        "ALTER TABLE compensation_certificates ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE compensation_certificates FORCE ROW LEVEL SECURITY",
        "CREATE POLICY everybody_reads ON compensation_certificates FOR SELECT USING (true)",
        f"CREATE POLICY registrar_enters ON compensation_certificates FOR INSERT WITH CHECK (registrar = {TENANT})",
        f"CREATE POLICY registrar_changes ON compensation_certificates FOR UPDATE USING (registrar = {TENANT})",
        "GRANT SELECT, INSERT ON compensation_certificates TO sink_app, sink_worker",
    ]:
        op.execute(rule)
    op.drop_index(op.f("ix_certificates_subject_id"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_institution"), table_name="certificates")
    op.drop_table("certificates")

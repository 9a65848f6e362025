"""Who did what, when: an append-only chain of hashes for each institution.

h_n = SHA-256(h_{n-1} ‖ canonical JSON of the entry). Entries gather while a transaction runs and are chained at its
end, institutions in one order, so that the lock on a chain's head is held for the shortest time.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, bindparam, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import bulk, clock, trace
from shared.db import Moment, Plumbing, act_for, table_of, tenant
from shared.events.base import write_moment
from shared.strict_json import canonical

GENESIS = bytes(32)
_DEED = ("at", "actor", "action", "subject", "request_id", "detail")


class AuditEntry(Plumbing):
    """One deed."""

    __tablename__ = "audit_entries"

    institution: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[Moment]
    actor: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Plumbing):
    """Where an institution's chain ends."""

    __tablename__ = "audit_heads"

    institution: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


def record(session: Session, action: str, subject: object, **detail: Any) -> None:
    """Note a deed of the current actor for the current institution. Details are JSON data, never personal data."""
    session.info.setdefault("deeds", []).append(
        (
            tenant(session),
            {
                "at": clock.now(),
                "actor": session.info.get("actor", "system"),
                "action": action,
                "subject": str(subject),
                "request_id": trace.request_id(),
                "detail": detail,
            },
        )
    )


def seal(session: Session) -> None:
    """Chain the deeds of this transaction. Called once, just before the commit, by the doors."""
    deeds = session.info.pop("deeds", [])
    session.flush()  # first, so that the lock on a chain's end is held for nothing else
    for institution in sorted({institution for institution, _ in deeds}):
        act_for(session, institution)
        number, digest = _head(session, institution)
        entries = []
        for whose, deed in deeds:
            if whose == institution:
                number += 1
                digest = link(digest, _entry(institution, number, deed))
                entries.append({"institution": institution, "number": number, **deed, "hash": digest})
        # No objects of the ORM: nobody reads them again in this transaction.
        bulk.insert_mappings(session, table_of(AuditEntry), entries)
        session.execute(_ADVANCE, {"whose": institution, "number": number, "hash": digest})


def _head(session: Session, institution: str) -> tuple[int, bytes]:
    """Lock the end of a chain, and read it."""
    found = session.execute(_LOCK, {"whose": institution}).first()
    if found is None:
        first = insert(table_of(AuditHead)).values(institution=institution, number=0, hash=GENESIS)
        session.execute(first.on_conflict_do_nothing())
        found = session.execute(_LOCK, {"whose": institution}).one()
    return found.number, found.hash


_HEADS = table_of(AuditHead)
_OWN = _HEADS.c.institution == bindparam("whose")
_LOCK = select(_HEADS.c.number, _HEADS.c.hash).where(_OWN).with_for_update()
_ADVANCE = update(_HEADS).where(_OWN).values(number=bindparam("number"), hash=bindparam("hash"))


def link(previous: bytes, entry: dict[str, Any]) -> bytes:
    """Next hash of a chain: SHA-256 of the previous hash and the entry's canonical JSON."""
    return hashlib.sha256(previous + canonical(entry)).digest()


def _entry(institution: str, number: int, deed: dict[str, Any]) -> dict[str, Any]:
    return {"institution": institution, "number": number, **deed, "at": write_moment(deed["at"])}


@dataclass(frozen=True)
class Break:
    """The first place where a chain does not hold."""

    institution: str
    number: int
    what: str


def verify(session: Session, institution: str) -> Break | None:
    """Follow an institution's chain from its beginning; name the first broken link, or None if it holds."""
    act_for(session, institution)
    number, digest = 0, GENESIS
    statement = select(AuditEntry).where(AuditEntry.institution == institution).order_by(AuditEntry.number)
    with contextlib.closing(session.scalars(statement.execution_options(yield_per=1000))) as entries:
        for entry in entries:
            number += 1
            if entry.number != number:
                return Break(institution, number, "the entry is missing")
            deed = {name: getattr(entry, name) for name in _DEED}
            digest = link(digest, _entry(institution, number, deed))
            if digest != entry.hash:
                return Break(institution, number, "the entry was changed")
    head = session.get(AuditHead, institution)
    if head is not None and (head.number, head.hash) != (number, digest):
        return Break(institution, number + 1, "entries are missing at the end")
    return None


def rules(service: str) -> list[str]:
    """SQL that makes the entries append-only and keeps each chain to its institution."""
    own = "institution = nullif(current_setting('app.institution', true), '')"
    rules = []
    for table in ("audit_entries", "audit_heads"):
        rules += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY own_institution ON {table} USING ({own}) WITH CHECK ({own})",
            f"GRANT SELECT, INSERT ON {table} TO {service}_app, {service}_worker",
        ]
    rules.append(f"GRANT UPDATE ON audit_heads TO {service}_app, {service}_worker")
    rules.append(f"CREATE POLICY worker_lists ON audit_heads FOR SELECT TO {service}_worker USING (true)")
    return rules

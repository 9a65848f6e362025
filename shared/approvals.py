"""Four eyes: what one person prepares another approves, bound to a hash of exactly what was prepared."""

import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Select, String, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import audit, clock
from shared.db import Id, Institution, Moment, Plumbing, private_table, tenant
from shared.errors import ConflictError, ForbiddenError
from shared.ids import uuid7


class Approval(Plumbing):
    """Something that waits for a second person, or did."""

    __tablename__ = "approvals"
    __table_args__ = (
        Index("uq_approvals_open", "action", "subject", unique=True, postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[UUID]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    payload_hash: Mapped[str] = mapped_column(String(64))
    maker: Mapped[str] = mapped_column(String(128))
    checker: Mapped[str | None] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    expires_at: Mapped[Moment]
    decided_at: Mapped[Moment | None]


def payload_hash(payload: dict[str, Any]) -> str:
    """SHA-256 of a payload's canonical JSON."""
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def ask(
    session: Session, action: str, subject: UUID, payload: dict[str, Any], maker: str, expires_at: datetime
) -> Approval:
    """Ask for a second person's approval of a payload; an older open request for the same is superseded."""
    for older in session.scalars(_open(action, subject).with_for_update()):
        older.state = "superseded"
    session.flush()
    approval = Approval(
        id=uuid7(),
        institution=tenant(session),
        action=action,
        subject=subject,
        payload=payload,
        payload_hash=payload_hash(payload),
        maker=maker,
        checker=None,
        state="open",
        expires_at=expires_at,
        decided_at=None,
    )
    session.add(approval)
    return approval


def decide(session: Session, action: str, subject: UUID, seen_hash: str, checker: str, approve: bool) -> Approval:
    """Approve or reject what is open, as another person, having seen exactly this payload, before it expires."""
    approval = session.scalars(_open(action, subject).with_for_update()).first()
    if approval is None:
        raise ConflictError("nothing waits for approval here")
    if approval.maker == checker:
        raise ForbiddenError("the person who prepared this cannot approve it; ask a colleague")
    if approval.payload_hash != seen_hash:
        raise ConflictError("what waits for approval is not what you saw; read it again and approve its current hash")
    if approval.expires_at <= clock.now():
        raise ConflictError("the request for approval has expired")
    approval.state, approval.checker, approval.decided_at = (
        ("approved" if approve else "rejected"),
        checker,
        clock.now(),
    )
    audit.record(session, f"{action}_{approval.state}", subject, payload_hash=seen_hash, maker=approval.maker)
    return approval


def pending(session: Session, action: str, subject: UUID) -> Approval | None:
    """What waits for approval here, if anything."""
    return session.scalars(_open(action, subject)).first()


def _open(action: str, subject: UUID) -> Select[Approval]:
    return select(Approval).where(Approval.action == action, Approval.subject == subject, Approval.state == "open")


def rules(service: str) -> list[str]:
    """SQL: approvals are private."""
    return private_table(service, "approvals")

"""Idempotency-Key: the answer to a request is stored in the transaction that did the work, so it is given once."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import LargeBinary, String, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from shared import clock
from shared.audit import AuditHead
from shared.db import Moment, Plumbing, act_for, private_table, table_of, tenant
from shared.errors import ConflictError, InvalidError, UnreadableError

#: How long an answer is kept; published to clients.
KEPT = timedelta(days=7)


class IdempotentAnswer(Plumbing):
    """What a client was told for a key."""

    __tablename__ = "idempotent_answers"

    institution: Mapped[str] = mapped_column(String(64), primary_key=True)
    client: Mapped[str] = mapped_column(String(128), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    etag: Mapped[str | None] = mapped_column(String(64))
    location: Mapped[str | None] = mapped_column(String(256))
    at: Mapped[Moment] = mapped_column(index=True)


class InProgressError(ConflictError):
    """The same request is being answered at this moment."""

    kind, title = "in-progress", "The same request is being answered just now"


@dataclass(frozen=True)
class Request:
    """A request as far as its idempotency goes."""

    client: str
    key: str
    fingerprint: str


def read_key(header: str | None) -> str:
    """The key of an Idempotency-Key header, quoted or bare."""
    key = (header or "").strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        raise UnreadableError("send an Idempotency-Key: a fresh UUID for each new request, the same for its repeats")
    if len(key) > 255 or not key.isascii() or not key.isprintable():
        raise UnreadableError("an Idempotency-Key has at most 255 printable ASCII characters")
    return key


def fingerprint(secret: bytes, method: str, path: str, body: bytes) -> str:
    """HMAC-SHA256 of what makes two requests the same: without the secret nobody can try what a body may have said."""
    return hmac.new(secret, b"\n".join((b"request", method.encode(), path.encode(), body)), hashlib.sha256).hexdigest()


def earlier_answer(session: Session, request: Request) -> IdempotentAnswer | None:
    """The stored answer, if the request was answered before; holds the key until the transaction ends if not."""
    lock = f"{tenant(session)}/{request.client}/{request.key}"
    if not session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(lock, 0)))):
        raise InProgressError("repeat it in a moment to get its answer", headers={"Retry-After": "1"})
    answer = session.get(IdempotentAnswer, (tenant(session), request.client, request.key))
    if answer is not None and answer.at < clock.now() - KEPT:
        session.delete(answer)
        session.flush()
        return None
    if answer is not None and answer.fingerprint != request.fingerprint:
        raise InvalidError("this Idempotency-Key was used for another request; take a fresh one")
    return answer


def keep(session: Session, request: Request, status: int, body: bytes, etag: str | None, location: str | None) -> None:
    """Store the answer, to commit with the work."""
    session.execute(
        _KEEP,
        {
            "institution": tenant(session),
            "client": request.client,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "status": status,
            "body": body,
            "etag": etag,
            "location": location,
            "at": clock.now(),
        },
    )


_KEEP = insert(table_of(IdempotentAnswer))


def forget_old(session: Session) -> None:
    """Delete the answers of this institution that are older than promised."""
    session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.at < clock.now() - KEPT))


def forget_old_of_all(sessions: sessionmaker[Session]) -> None:
    """Do so for every institution that ever acted here; for the worker, whose role alone sees which these are."""
    with sessions() as session:
        institutions = session.scalars(select(AuditHead.institution)).all()
    for institution in institutions:
        with sessions.begin() as session:
            act_for(session, institution)
            forget_old(session)


def rules(service: str) -> list[str]:
    """SQL: answers are private."""
    return private_table(service, "idempotent_answers")

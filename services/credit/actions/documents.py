"""Documents of an application: that they were seen, by their hashes. What is in them stays with whoever has them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.tables import Loan, LoanDocument
from shared import audit, clock
from shared.db import found
from shared.errors import ConflictError
from shared.ids import uuid7
from shared.sealing import Place, Sealed, keys


def register(session: Session, loan_id: UUID, asked: Mapping[str, Any], officer: str) -> dict[str, Any]:
    """Note a document of a loan; tell in which other applications the same bytes were shown."""
    loan = found(session, Loan, loan_id)
    same = select(LoanDocument.id).where(LoanDocument.loan_id == loan.id, LoanDocument.sha256 == asked["sha256"])
    if session.scalar(same) is not None:
        raise ConflictError("this document is on the loan's file already")
    document = LoanDocument(
        id=uuid7(),
        institution=loan.institution,
        loan_id=loan.id,
        kind=asked["kind"],
        sha256=asked["sha256"],
        size=asked["size"],
        registered_by=officer,
        registered_at=clock.now(),
    )
    # A file's name often has a person's in it.
    sealed = keys(session).seal({"name": asked["name"]}, place_of(document))
    document.sealed, document.key_id = sealed.data, sealed.key_id
    session.add(document)
    also_on = _elsewhere(session, [document]).get(document.sha256, [])
    audit.record(session, "register_document", loan.id, kind=document.kind, sha256=document.sha256, also=len(also_on))
    # Without the name: the answer is kept for repeats.
    return _shown(document, None, also_on)


def list_of(session: Session, loan_id: UUID) -> list[dict[str, Any]]:
    """The documents of a loan, oldest first, with their names."""
    found(session, Loan, loan_id)
    documents = session.scalars(select(LoanDocument).where(LoanDocument.loan_id == loan_id).order_by(LoanDocument.id))
    rows = documents.all()
    elsewhere = _elsewhere(session, rows)
    return [_shown(row, _name(session, row), elsewhere.get(row.sha256, [])) for row in rows]


def place_of(document: LoanDocument) -> Place:
    """What the name of a document is sealed in."""
    return Place("loan_documents", document.id, document.institution)


def _name(session: Session, document: LoanDocument) -> str | None:
    if document.sealed is None or document.key_id is None:
        return None
    return str(keys(session).open(Sealed(document.key_id, document.sealed), place_of(document))["name"])


def _elsewhere(session: Session, documents: Sequence[LoanDocument]) -> dict[str, list[UUID]]:
    """By hash, the other loans that showed the same bytes."""
    if not documents:
        return {}
    query = (
        select(LoanDocument.sha256, LoanDocument.loan_id)
        .where(
            LoanDocument.sha256.in_([document.sha256 for document in documents]),
            LoanDocument.loan_id != documents[0].loan_id,
        )
        .order_by(LoanDocument.loan_id)
    )
    where: dict[str, list[UUID]] = {}
    for row in session.execute(query):
        where.setdefault(row.sha256, []).append(row.loan_id)
    return where


def _shown(document: LoanDocument, name: str | None, also_on: list[UUID]) -> dict[str, Any]:
    return {
        "id": document.id,
        "kind": document.kind,
        "name": name,
        "sha256": document.sha256,
        "size": document.size,
        "registered_by": document.registered_by,
        "registered_at": document.registered_at,
        "also_on": also_on,
    }

"""Imports: a file of parcels is kept in pieces, and a job takes it into the register, some rows in each transaction.

Rows, counts, errors and the place in the file commit together: an import that is killed goes on behind the last batch,
and no row goes in twice. What an import has registered stays; the same file sent again finds it known.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from services.sink.actions import assets, files
from services.sink.actions.assets import AssetFacts, KnownError
from services.sink.actions.valuations import Newcomer
from services.sink.tables import AssetImport, AssetImportError, AssetImportParcel, AssetImportPiece
from shared import bulk, clock, jobs, spreadsheets
from shared.db import found, table_of, tenant
from shared.errors import RefusalError
from shared.ids import uuid7
from shared.jobs import Job
from shared.spreadsheets import Layout, Row
from shared.strict_json import canonical

#: What is wrong with a row: JSON Pointer and sentence.
Errors = Sequence[tuple[str, str]]

#: Bytes of a file in one row of the database, and such rows in one statement.
PIECE, _PIECES_AT_ONCE = 256 * 1024, 16
#: Errors of an import that are kept; beyond them they are counted only.
MAX_ERRORS = 10_000
#: Errors that the job's own log tells as well.
_LOGGED = 1000
#: Errors of one row that are worth telling.
_ERRORS_PER_ROW = 3


def start_rows(session: Session, rows: Sequence[dict[str, Any]]) -> Job:
    """Start the import of rows that came as JSON."""
    head = b'{"rows":['
    text = canonical({"rows": rows})
    assert text.startswith(head)
    layout = Layout("rows", "utf-8", (), len(head), len(rows))
    job, _ = _start(session, "rows", layout, [text], len(text), hashlib.sha256(text).hexdigest(), False)
    return job


def start_file(
    session: Session, file: BinaryIO, *, size: int, sha256: str, format_: str, charset: str, dry_run: bool
) -> AssetImport:
    """Start the import of a file; one that no row can be read from is refused."""
    layout = files.inspect(file, format_, charset)
    file.seek(0)
    chunks = iter(lambda: file.read(PIECE), b"")
    _, made = _start(session, format_, layout, chunks, size, sha256, dry_run)
    return made


def _start(
    session: Session, format_: str, layout: Layout, chunks: Iterable[bytes], size: int, sha256: str, dry_run: bool
) -> tuple[Job, AssetImport]:
    job = jobs.start(session, "import", layout.expected, format=format_, dry_run=dry_run, sha256=sha256)
    job.cursor = _cursor(layout.start, _before_first(layout.reading))
    made = AssetImport(
        id=job.id,
        institution=tenant(session),
        format=format_,
        charset=layout.charset,
        dry_run=dry_run,
        size=size,
        sha256=sha256,
        reading=layout.reading,
        columns=list(layout.columns),
        start=layout.start,
        registered=0,
        known=0,
        refused=0,
        errors=0,
        created_at=clock.now(),
        finished_at=None,
    )
    session.add(made)
    session.flush()
    _keep(session, made.id, chunks)
    return job, made


def _before_first(reading: str) -> int:
    """A table's header is its row 1."""
    return 1 if reading in ("csv", "xlsx") else 0


def _cursor(after: int, number: int) -> str:
    return f"{after}:{number}"


# -- the file in the database -----------------------------------------------------------------------------------------


def _keep(session: Session, import_id: UUID, chunks: Iterable[bytes]) -> None:
    numbered = enumerate(_even(chunks))
    while some := list(islice(numbered, _PIECES_AT_ONCE)):
        whose = {"import_id": import_id, "institution": tenant(session)}
        session.execute(
            insert(table_of(AssetImportPiece)), [{**whose, "number": number, "data": piece} for number, piece in some]
        )


def _even(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size, so that a byte's place tells its piece."""
    held = b""
    for chunk in chunks:
        held += chunk
        while len(held) >= PIECE:
            yield held[:PIECE]
            held = held[PIECE:]
    if held:
        yield held


class _Kept(io.RawIOBase):
    """The file of an import, one piece of it in memory at a time."""

    def __init__(self, session: Session, import_id: UUID) -> None:
        self._session, self._import_id, self._at = session, import_id, 0
        self._number, self._piece = -1, b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._size() if base is None else base)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read at most to the end of a piece."""
        number, offset = divmod(self._at, PIECE)
        if number != self._number:
            self._number, self._piece = number, self._fetch(number)
        part = self._piece[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _fetch(self, number: int) -> bytes:
        wanted = (AssetImportPiece.import_id == self._import_id, AssetImportPiece.number == number)
        return self._session.scalar(select(AssetImportPiece.data).where(*wanted)) or b""

    def _size(self) -> int:
        pieces = select(AssetImportPiece.number).where(AssetImportPiece.import_id == self._import_id)
        last = self._session.scalar(pieces.order_by(AssetImportPiece.number.desc()).limit(1))
        return 0 if last is None else last * PIECE + len(self._fetch(last))


def _file(session: Session, import_id: UUID) -> BinaryIO:
    return io.BufferedReader(_Kept(session, import_id), 64 * 1024)


def _forget_file(session: Session, import_id: UUID) -> None:
    session.execute(delete(AssetImportPiece).where(AssetImportPiece.import_id == import_id))


# -- the steps of the job ---------------------------------------------------------------------------------------------


def of_job(session: Session, job: Job) -> AssetImport:
    """The import that a job does."""
    return found(session, AssetImport, job.id)


def unfold(session: Session, one: AssetImport, job: Job) -> bool:
    """Turn a sheet into a table, once, since a sheet can only be read from its beginning; says whether it was one."""
    if one.reading != "xlsx":
        return False
    with tempfile.TemporaryFile() as table:
        with _file(session, one.id) as sheet:
            for chunk in spreadsheets.csv_of_sheet(sheet, Layout("xlsx", one.charset, tuple(one.columns), 0, 1)):
                job.total += chunk.count(b"\n")
                table.write(chunk)
        _forget_file(session, one.id)
        table.seek(0)
        _keep(session, one.id, iter(lambda: table.read(PIECE), b""))
    one.reading = "csv"
    return True


def rows(session: Session, one: AssetImport, job: Job) -> Iterator[Row]:
    """The rows behind the last one that was committed."""
    after, number = (int(part) for part in job.cursor.split(":"))
    layout = Layout(one.reading, one.charset, tuple(one.columns), one.start, job.total)
    with _file(session, one.id) as file:
        yield from files.read(file, layout, after, number)


def take(
    session: Session, one: AssetImport, job: Job, readable: Sequence[tuple[int, AssetFacts]]
) -> list[tuple[int, Errors]]:
    """Register and value what could be read, or only judge it in a dry run; the rows that cannot go in come back."""
    facts = [fact for _, fact in readable]
    entered: Sequence[Any]
    if one.dry_run:
        entered = assets.check_assets(session, facts, one.id)
    else:
        entered = assets.import_assets(session, facts)
    refused: list[tuple[int, Errors]] = []
    for (number, _), result in zip(readable, entered, strict=True):
        if isinstance(result, KnownError) and result.same:
            one.known += 1
        elif isinstance(result, RefusalError):
            told = [(error["pointer"], error["detail"]) for error in result.errors] or [("", result.detail)]
            refused.append((number, told))
        else:
            one.registered += 1
            if isinstance(result, Newcomer) and result.valuation_version == 0:
                note = f"registered as {result.id}, but it could not be valued"
                job.note(row=number, field="", detail=note)
    return refused


def refuse(session: Session, one: AssetImport, job: Job, refused: Sequence[tuple[int, Errors]]) -> None:
    """Tell what is wrong with rows: all is counted, the first of it kept, and the very first in the job's log too."""
    told = [
        # What a person wrote into a file may stand in the name of a field.
        (number, field.replace("\0", "")[:200], message.replace("\0", "")[:500])
        for number, errors in refused
        for field, message in errors[:_ERRORS_PER_ROW]
    ]
    for number, field, message in told[: max(0, _LOGGED - one.errors)]:
        job.note(row=number, field=field, detail=message)
    kept = told[: max(0, MAX_ERRORS - one.errors)]
    whose = {"import_id": one.id, "institution": one.institution}
    bulk.insert_mappings(
        session,
        table_of(AssetImportError),
        [{"id": uuid7(), **whose, "row": row, "field": field, "message": message} for row, field, message in kept],
    )
    one.refused += len(refused)
    one.errors += len(told)


def move_on(session: Session, one: AssetImport, job: Job, last: Row | None, read: int, ended: bool) -> None:
    """Say how far the import has come; its file is forgotten at the end."""
    job.done += read
    if last is not None:
        job.cursor = _cursor(last.after, last.number)
    # The total of the start is an estimate.
    job.total = job.done if ended else max(job.total, job.done + 1)
    if ended:
        one.finished_at = clock.now()
        _forget_file(session, one.id)
        session.execute(delete(AssetImportParcel).where(AssetImportParcel.import_id == one.id))


def errors_as_csv(session: Session, import_id: UUID) -> bytes:
    """Every error that was kept, in the order of the rows, as CSV."""
    one = found(session, AssetImport, import_id)
    kept = select(AssetImportError).where(AssetImportError.import_id == one.id)
    return spreadsheets.written(
        "csv",
        ("row", "field", "message"),
        (
            (str(error.row), error.field, error.message)
            for error in session.scalars(kept.order_by(AssetImportError.row, AssetImportError.id))
        ),
    )

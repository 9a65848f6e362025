"""Pre-screening: a file of would-be applications, scored and priced in batches by a job that goes on where it stopped.

Nothing personal is taken: a row carries a reference of the bank's own and figures, and a reference that is an identity
number is refused. Rows and results commit batch by batch, so a job that is killed repeats nothing.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions.reading import case_of
from services.credit.actions.underwriting import Case, Legs, Rulebook, underwrite
from services.credit.formulas.identity import identity_number_fault
from services.credit.tables import valuations_of
from services.credit.tables.prescreens import Prescreen, PrescreenBatch
from shared import clock, jobs, money
from shared.db import found, tenant
from shared.errors import InvalidError
from shared.jobs import Job

REQUIRED = ("reference", "borrower_kind", "industry", "amount", "term_months")
COLUMNS = (*REQUIRED, "employees", "new_business", "revolving", "guaranteed_share", "asset_id", "tonnes")
RESULT = (
    "row",
    "reference",
    "outcome",
    "score",
    "default_probability",
    "loan_to_value",
    "maximum_amount",
    "annual_rate",
    "reasons_zh",
    "reasons_en",
    "errors",
)
#: Rows of one file, and rows in one transaction.
MOST_ROWS, BATCH = 20_000, 500
#: Largest file. [bytes]
MAX_FILE = 16 * 1024 * 1024
_WHOLE = ("term_months", "employees")
_FLAGS = ("new_business", "revolving")
_EXAMPLE = ("FILE-0001", "cooperative", "022", "500000.00", "36", "8", "false", "false", "0.8", "", "")

#: Reads a row as the request of a what-if: what it asks, and what is wrong with it by field.
Reader = Callable[[Mapping[str, Any]], tuple[dict[str, Any] | None, list[tuple[str, str]]]]


def start(session: Session, file: BinaryIO, dry_run: bool, officer: str) -> Prescreen:
    """Take a CSV file apart and start its job; a file that no row can be read from is refused."""
    rows = _rows(file)
    job = jobs.start(session, "prescreen", len(rows), dry_run=dry_run)
    made = Prescreen(
        id=job.id,
        institution=tenant(session),
        dry_run=dry_run,
        rows=len(rows),
        created_by=officer,
        created_at=clock.now(),
    )
    session.add(made)
    session.flush()
    session.add_all(
        PrescreenBatch(prescreen_id=job.id, number=number, institution=made.institution, content=rows[at : at + BATCH])
        for number, at in enumerate(range(0, len(rows), BATCH))
    )
    return made


def step(session: Session, job: Job, read: Reader) -> None:
    """Screen the next batch of a file; its cursor is the number of the next one."""
    made = found(session, Prescreen, job.id)
    batch = session.get_one(PrescreenBatch, (job.id, int(job.cursor or 0)))
    asked: list[tuple[int, Mapping[str, str], dict[str, Any]]] = []
    results: dict[int, dict[str, Any]] = {}
    for number, cells in batch.content:
        request, errors = read(_request(cells))
        if request is None or errors:
            results[number] = _refused(cells, errors)
        else:
            asked.append((number, cells, request))
    if not made.dry_run:
        named = {asset["asset_id"] for _, _, request in asked for asset in request["assets"]}
        known = valuations_of(session, named)
        for number, cells, request in asked:
            results[number] = _screened(*case_of(request, lambda _: known), cells["reference"])
    else:
        results |= {number: {"reference": cells["reference"]} for number, cells, _ in asked}
    batch.results = [[number, results[number]] for number, _ in batch.content]
    # What was asked is in the results as far as anybody needs it.
    batch.content = []
    _count(made, results.values())
    job.done += len(batch.results)
    job.cursor = str(batch.number + 1)
    if job.done >= job.total:
        made.finished_at = clock.now()


def results_as_csv(session: Session, prescreen_id: UUID) -> str:
    """What became of every row so far, in the order of the file; no cell is a formula to a spreadsheet."""
    made = found(session, Prescreen, prescreen_id)
    query = select(PrescreenBatch.results).where(PrescreenBatch.prescreen_id == made.id)
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(RESULT)
    for results in session.scalars(query.order_by(PrescreenBatch.number)):
        for number, result in results or ():
            writer.writerow([_safe(str({"row": number, **result}.get(name, "") or "")) for name in RESULT])
    return lines.getvalue()


def template() -> str:
    """A file with every column and one example row, to be filled in and sent back."""
    lines = io.StringIO()
    csv.writer(lines).writerows([COLUMNS, _EXAMPLE])
    return lines.getvalue()


# -- the file ---------------------------------------------------------------------------------------------------------


def _rows(file: BinaryIO) -> list[list[Any]]:
    """Number and cells of each row that is not blank."""
    file.seek(0)
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad("is not UTF-8; save it so") from None
    if "\0" in text:
        raise _bad("is no text")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[Any]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _demand_columns(header)
        for number, cells in enumerate(reader, 2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise _bad(f"has {len(cells)} cells in row {number} where the header has {len(header)}")
            rows.append([number, {name: cell.strip()[:200] for name, cell in zip(header, cells, strict=True)}])
            if len(rows) > MOST_ROWS:
                raise _bad(f"has more than {MOST_ROWS} rows; send it in parts")
    except csv.Error as error:
        raise _bad(f"is not CSV with commas and quotes: {error}") from None
    if not rows:
        raise _bad("has a header and no rows")
    return rows


def _demand_columns(header: Sequence[str]) -> None:
    told = [
        *((f"/{name}", "is missing") for name in REQUIRED if name not in header),
        *((f"/{name[:64]}", "is not known") for name in header if name not in COLUMNS),
        *((f"/{name}", "stands twice") for name in sorted({name for name in header if header.count(name) > 1})),
    ]
    if told:
        raise InvalidError(
            "the file has other columns than the template",
            errors=[{"pointer": where, "detail": what} for where, what in told[:100]],
        )


def _bad(detail: str) -> InvalidError:
    return InvalidError(f"the file {detail}")


def _request(cells: Mapping[str, str]) -> dict[str, Any]:
    """The request of a what-if that a row stands for."""
    given = {name: value for name, value in cells.items() if value}
    request: dict[str, Any] = {name: given.get(name) for name in REQUIRED if name in given}
    if "amount" in given:
        request["amount"] = {"amount": given["amount"], "currency": money.CURRENCY}
    for name in _WHOLE:
        if name in given:
            request[name] = int(given[name]) if given[name].isascii() and given[name].isdigit() else given[name]
    for name in _FLAGS:
        if name in given:
            request[name] = {"true": True, "false": False}.get(given[name].lower(), given[name])
    if "guaranteed_share" in given:
        request["guaranteed_share"] = given["guaranteed_share"]
    if "asset_id" in given or "tonnes" in given:
        request["assets"] = [{name: given[name] for name in ("asset_id", "tonnes") if name in given}]
    return request


# -- the rows ---------------------------------------------------------------------------------------------------------


def reference_fault(reference: str) -> str | None:
    """What is wrong with a row's reference: it must name a file, never a person, and be no formula."""
    if identity_number_fault(reference) is None:
        return "This is an identity number; give a number of your own."
    return None


def _refused(cells: Mapping[str, str], errors: Iterable[tuple[str, str]]) -> dict[str, Any]:
    reference = cells.get("reference", "")
    if reference_fault(reference) is not None:
        reference = ""  # It must not be kept.
    told = "; ".join(f"{field}: {what}" for field, what in list(errors)[:3])
    return {"reference": reference[:64], "errors": told or "cannot be read"}


def _screened(rules: Rulebook, case: Case, reference: str) -> dict[str, Any]:
    """Score, limits and an estimate of the rate of one row, as a what-if has them."""
    made = underwrite(rules, replace(case, legs=Legs()))
    judged, price = made.judgement, made.price
    margin = (judged.loan_to_value or {}).get(rules.judged_by["margin_quantile"])
    return {
        "reference": reference,
        "outcome": made.outcome,
        "score": round(judged.score),
        "default_probability": f"{judged.default_probability:.6f}",
        "loan_to_value": "" if margin is None else f"{margin:.6f}",
        "maximum_amount": "" if judged.maximum_amount is None else str(judged.maximum_amount),
        # No rate is told on forests whose value is not known.
        "annual_rate": "" if price is None else f"{price.annual_rate:.4f}",
        "reasons_zh": ";".join(reason.zh for reason in made.reasons),
        "reasons_en": "; ".join(reason.en for reason in made.reasons),
    }


_COUNTED = {"approve": "approved", "refer": "referred", "decline": "declined"}


def _count(made: Prescreen, results: Iterable[Mapping[str, Any]]) -> None:
    for result in results:
        if "errors" in result:
            made.refused += 1
            continue
        made.screened += 1
        if "outcome" in result:
            name = _COUNTED[result["outcome"]]
            setattr(made, name, getattr(made, name) + 1)


def _safe(cell: str) -> str:
    """A text that a spreadsheet would run as a formula gets a mark before it."""
    return f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell

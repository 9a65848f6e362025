"""Pre-screening: a file of would-be applications, scored and priced in batches by a job that goes on where it stopped.

Nothing personal is taken: a row carries a reference of the bank's own and figures, and a reference that is an identity
number is refused. Rows and results commit batch by batch, so a job that is killed repeats nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions.models import champion
from services.credit.actions.reading import case_of
from services.credit.actions.underwriting import Case, Legs, Rulebook, underwrite
from services.credit.formulas.identity import identity_number_fault
from services.credit.tables import valuations_of
from services.credit.tables.prescreens import Prescreen, PrescreenBatch
from shared import clock, jobs, money, spreadsheets
from shared.db import found, tenant
from shared.jobs import Job
from shared.spreadsheets import cell_fault

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
_COLUMNS = spreadsheets.Columns(COLUMNS, REQUIRED)
#: Rows of one file, and rows in one transaction.
MOST_ROWS, BATCH = 20_000, 500
#: Largest file. [bytes]
MAX_FILE = 16 * 1024 * 1024
_WHOLE = ("term_months", "employees")
_FLAGS = ("new_business", "revolving")
_EXAMPLE = ("FILE-0001", "cooperative", "022", "500000.00", "36", "8", "false", "false", "0.8", "", "")

#: Reads a row as the request of a what-if: what it asks, and what is wrong with it by field.
Reader = Callable[[Mapping[str, Any]], tuple[dict[str, Any] | None, list[tuple[str, str]]]]


def start(session: Session, file: BinaryIO, *, format_: str, charset: str, dry_run: bool, officer: str) -> Prescreen:
    """Take a file apart and start its job; one that no row can be read from is refused."""
    rows = _rows(file, format_, charset)
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
    for number, cells, errors in batch.content:
        request, told = (None, errors) if errors else read(_request(cells))
        if request is None:
            results[number] = _refused(cells, told)
        else:
            asked.append((number, cells, request))
    if not made.dry_run:
        named = {asset["asset_id"] for _, _, request in asked for asset in request["assets"]}
        known = valuations_of(session, named)
        card = champion(session)
        for number, cells, request in asked:
            results[number] = _screened(*case_of(request, lambda _: known, card), cells["reference"])
    else:
        results |= {number: {"reference": cells["reference"]} for number, cells, _ in asked}
    batch.results = [[number, results[number]] for number, *_ in batch.content]
    # What was asked is in the results as far as anybody needs it.
    batch.content = []
    _count(made, results.values())
    job.done += len(batch.results)
    job.cursor = str(batch.number + 1)
    if job.done >= job.total:
        made.finished_at = clock.now()


def results(session: Session, prescreen_id: UUID, format_: str) -> bytes:
    """What became of every row so far, in the order of the file; no cell is a formula to a spreadsheet."""
    made = found(session, Prescreen, prescreen_id)
    batches = session.scalars(
        select(PrescreenBatch.results)
        .where(PrescreenBatch.prescreen_id == made.id)
        .order_by(PrescreenBatch.number)
        .execution_options(yield_per=1)
    )
    lines = (
        [str({"row": number, **result}.get(name, "") or "") for name in RESULT]
        for batch in batches
        for number, result in batch or ()
    )
    return spreadsheets.written(format_, RESULT, lines)


def template(format_: str) -> bytes:
    """A file with every column and one example row, to be filled in and sent back."""
    return spreadsheets.written(format_, COLUMNS, [_EXAMPLE])


# -- the file ---------------------------------------------------------------------------------------------------------


def _rows(file: BinaryIO, format_: str, charset: str) -> list[list[Any]]:
    """Number and cells of each row that is not blank, and what no request can be read from."""
    rows: list[list[Any]] = []
    for row in spreadsheets.read(file, format_, charset, _COLUMNS):
        if row.blank:
            continue
        cells = {name: cell.strip()[:200] for name, cell in row.content.items()}
        faults = {f"/{name}": cell_fault(cell, free=name == "reference") for name, cell in cells.items()}
        errors = [*row.errors, *((where, told) for where, told in faults.items() if told)]
        rows.append([row.number, {} if row.errors else cells, errors])
        if len(rows) > MOST_ROWS:
            raise spreadsheets.refused(f"has more than {MOST_ROWS} rows; send it in parts")
    return rows


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

"""Many would-be applications at once: rows that hold, rows that do not, a job that is killed, a table to download."""

import csv
import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select

from services.credit.actions.prescreens import BATCH
from services.credit.consumers import DOOR
from services.credit.tables import PrescreenBatch
from shared import db, jobs
from shared.spreadsheets import FORMATS
from tests.conftest import Database
from tests.credit.borrowers import resident
from tests.credit.story import ASSET, Story
from tests.harness import BANK, body

COLUMNS = "reference,borrower_kind,industry,amount,term_months,employees,new_business,guaranteed_share,asset_id,tonnes"
GOOD = f"FILE-1,cooperative,022,1000000.00,36,8,false,0.8,{ASSET},40000.000"


@pytest.fixture
def story(credit_db: Database) -> Story:
    made = Story(credit_db)
    made.value()
    return made


def sent(story: Story, *rows: str, query: str = "", header: str = COLUMNS, status: int = 202) -> Any:
    return body(story.officer.send(f"/v1/prescreens{query}", "\r\n".join([header, *rows]).encode()), status)


def run(story: Story) -> int:
    steps = 0
    while jobs.run_step(story.database.worker_sessions, DOOR.jobs):
        steps += 1
    return steps


def results(story: Story, made: Any) -> list[dict[str, str]]:
    answer = story.officer.get(f"/v1/prescreens/{made['id']}/results")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_a_row_is_judged_and_priced_as_a_what_if_is(story: Story) -> None:
    made = sent(story, GOOD)
    assert run(story) == 1
    (row,) = results(story, made)
    asked = {
        "borrower_kind": "cooperative",
        "industry": "022",
        "amount": {"amount": "1000000.00", "currency": "CNY"},
        "term_months": 36,
        "employees": 8,
        "new_business": False,
        "guaranteed_share": "0.8",
        "assets": [{"asset_id": str(ASSET), "tonnes": "40000.000"}],
    }
    score = body(story.officer.post("/v1/score", asked))
    assert (row["row"], row["reference"], row["outcome"]) == ("2", "FILE-1", score["outcome"])
    assert (int(row["score"]), row["maximum_amount"]) == (score["score"], score["maximum_amount"]["amount"])
    assert 0 < float(row["annual_rate"]) < 0.2
    shown = body(story.officer.get(f"/v1/prescreens/{made['id']}"))
    assert (shown["screened"], shown["approved"], shown["refused"]) == (1, 1, 0)
    assert shown["finished_at"] is not None


def test_a_row_that_cannot_be_right_says_why_and_the_others_go_on(story: Story) -> None:
    bad = {
        "FILE-2,cooperative,022,NaN,36,,,,,": "/amount",
        "FILE-3,cooperative,022,-5.00,36,,,,,": "/amount",
        "FILE-4,cooperative,022,Infinity,36,,,,,": "/amount",
        "FILE-5,spirit,022,1000000.00,36,,,,,": "/borrower_kind",
        "FILE-6,cooperative,022,1000000.00,1e3,,,,,": "/term_months",
        "FILE-7,cooperative,022,1000000.00,36,-1,,,,": "/employees",
        "FILE-8,cooperative,022,1000000.00,36,,perhaps,,,": "/new_business",
        f"FILE-9,cooperative,022,1000000.00,36,,,,{ASSET},": "/tonnes",
        f"{resident()},natural_person,022,1000000.00,36,,,,,": "/reference",
        "=HYPERLINK(1),cooperative,022,1000000.00,36,,,,,": "/reference",
        "FILE-11,cooperative,022,=A1*2,36,,,,,": "/amount",
        'FILE-12,cooperative,022,"1,000,000.00",36,,,,,': "/amount",
        "FILE-13,cooperative,022,#REF!,36,,,,,": "/amount",
        "FILE-14,coop\0,022,1000000.00,36,,,,,": "/borrower_kind",
        "FILE-15,cooperative": "has 2 cells where the header has 10",
    }
    made = sent(story, *bad, GOOD, "FILE-10,cooperative,999,1000000.00,36,8,,,,")
    run(story)
    rows = results(story, made)
    for row, (_, pointer) in zip(rows, bad.items(), strict=False):
        assert pointer in row["errors"], row
        assert row["outcome"] == ""
    assert rows[-2]["outcome"] == "approve"
    assert rows[-1]["outcome"] != "", "an industry that no loan of the training had is scored as unseen"
    assert rows[9]["reference"].startswith("'="), "no spreadsheet runs it"
    shown = body(story.officer.get(f"/v1/prescreens/{made['id']}"))
    assert (shown["refused"], shown["screened"]) == (15, 2)
    with story.database.worker_sessions() as session:
        db.act_for(session, BANK)
        (batch,) = session.scalars(select(PrescreenBatch)).all()
    assert batch.content == [], "what was asked is not kept"
    assert resident() not in str(batch.results)


def test_a_dry_run_checks_the_rows_and_scores_none(story: Story) -> None:
    made = sent(story, GOOD, "FILE-2,spirit,022,1000000.00,36,,,,,", query="?dry_run=true")
    run(story)
    good, bad = results(story, made)
    assert (good["errors"], good["score"]) == ("", "")
    assert "/borrower_kind" in bad["errors"]


def test_a_job_that_is_stopped_goes_on_behind_its_last_batch(story: Story) -> None:
    count = 2 * BATCH + 7
    made = sent(story, *(GOOD.replace("FILE-1", f"FILE-{number}") for number in range(count)))
    assert jobs.run_step(story.database.worker_sessions, DOOR.jobs)
    job = body(story.officer.get(f"/v1/jobs/{made['id']}"))
    assert (job["done"], job["total"], job["state"]) == (BATCH, count, "running")
    assert len(results(story, made)) == BATCH

    def dies(session: Any, job: Any) -> None:
        DOOR.jobs["prescreen"](session, job)
        raise RuntimeError("killed in the middle of a batch")

    jobs.run_step(story.database.worker_sessions, {"prescreen": dies})
    assert len(results(story, made)) == BATCH, "a batch that did not commit left nothing"
    body(story.officer.post(f"/v1/jobs/{made['id']}/resumption"))
    assert run(story) == 2
    assert [row["reference"] for row in results(story, made)] == [f"FILE-{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe1", "UTF-8"),
        (b"reference,amount\r\n", "other columns"),
        ((COLUMNS + ",name\r\n").encode(), "other columns"),
        ((COLUMNS + "\r\n").encode(), "no rows"),
        ((COLUMNS + "\r\n").encode("utf-16"), "UTF-16"),
        ((COLUMNS + f"\r\n{GOOD},右玉").encode("gb18030"), "not UTF-8 in line 2"),
        ((COLUMNS.replace(",", ";") + "\r\n").encode(), "other signs than commas"),
        ((COLUMNS + "\r\n" + f"{GOOD}\r\n" * 20_001).encode(), "more than 20000 rows"),
    ],
)
def test_a_file_that_no_row_can_be_read_from_is_refused(story: Story, content: bytes, what: str) -> None:
    assert what in body(story.officer.send("/v1/prescreens", content), 422)["detail"]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_template_is_a_file_that_is_taken(story: Story, kind: str) -> None:
    template = story.officer.get("/v1/prescreens/template", format=kind).get_data()
    made = body(story.officer.send(f"/v1/prescreens?format={kind}", template), 202)
    run(story)
    (row,) = results(story, made)
    assert row["errors"] == ""
    assert row["outcome"] != ""


def test_a_workbook_is_screened_as_the_same_csv_is_and_given_back_as_one(story: Story) -> None:
    amount = Decimal(GOOD.split(",")[3])
    book = openpyxl.Workbook()
    for line in (
        COLUMNS.split(","),
        [*GOOD.split(",")[:3], float(amount), 36, 8, False, 0.8, str(ASSET), 40000],
        ["FILE-2", "cooperative", "022", "=1+1", 36],
    ):
        book.active.append(line)
    saved = io.BytesIO()
    book.save(saved)
    made = body(story.officer.send("/v1/prescreens?format=xlsx", saved.getvalue()), 202)
    same = sent(story, GOOD)
    run(story)
    good, bad = results(story, made)
    assert good == results(story, same)[0]
    assert (bad["row"], bad["errors"][:16]) == ("3", "/amount: begins ")
    answer = story.officer.get(f"/v1/prescreens/{made['id']}/results", format="xlsx").get_data()
    header, *lines = openpyxl.load_workbook(io.BytesIO(answer)).active.iter_rows(values_only=True)
    assert [dict(zip(header, (cell or "" for cell in line), strict=True)) for line in lines] == [good, bad]


def test_a_file_in_the_national_charset_is_taken_when_it_says_so(story: Story) -> None:
    content = "\r\n".join([COLUMNS, GOOD, GOOD.replace("cooperative", "合作社")]).encode("gb18030")
    made = body(story.officer.send("/v1/prescreens?charset=gb18030", content), 202)
    run(story)
    assert "/borrower_kind" in results(story, made)[1]["errors"]

"""Many prices at once: each row as alone, batch by batch, and the book on another day's rates."""

import csv
import io
from decimal import Decimal

import pytest

from services.insurance.actions import bulk_pricing, policies, pricing
from services.insurance.actions.bulk_pricing import COLUMNS
from services.insurance.consumers import JOBS
from services.insurance.tables import BulkPricingBatch, Endorsement, Policy
from shared import jobs
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, Client, body, client, deliver
from tests.insurance.examples import bound, row, rows, valued

ROWS = [
    ("P-1", "youyu", "1000000.00", "900000.00", "0.4", "0.3", "0.5", "0.5", "0.2", "0.1", "larix_principis", "25", "12",
     "2.5", "8", "north", "low", "yes"),
    ("P-2", "pinglu", "500000.00", "300000.00", "0.8", "", "", "", "", "", "populus_simonii", "", "30", *[""] * 5),
    ("P-3", "youyu", "1000.00", "1.00", *[""] * 14),
]  # fmt: skip


def sheet(lines: list[tuple[str, ...]], header: tuple[str, ...] = COLUMNS) -> bytes:
    made = io.StringIO()
    csv.writer(made).writerows([header, *lines])
    return made.getvalue().encode()


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def run(database: Database) -> None:
    while jobs.run_step(database.worker_sessions, JOBS):
        pass


def results(insurer: Client, pricing_id: str) -> list[dict[str, str]]:
    text = insurer.get(f"/v1/pricings/{pricing_id}/results").get_data(as_text=True).removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


def test_each_row_costs_what_it_costs_alone(insurer: Client, insurance_db: Database) -> None:
    made = body(insurer.send("/v1/pricings", sheet(ROWS)), 202)
    run(insurance_db)
    assert body(insurer.get(f"/v1/jobs/{made['id']}"))["state"] == "finished"
    shown = body(insurer.get(f"/v1/pricings/{made['id']}"))
    assert (shown["priced"], shown["refused"], bool(shown["finished_at"])) == (3, 0, True)
    found = results(insurer, made["id"])
    assert sum(Decimal(one["annual_premium"]) for one in found) == Decimal(shown["summary"]["annual_premium"])
    for cells, one in zip(ROWS, found, strict=True):
        told = dict(zip(COLUMNS, cells, strict=True))
        forest = {
            "county": told["county"], "value": {"amount": told["value"], "currency": "CNY"},
            "sum_insured": {"amount": told["sum_insured"], "currency": "CNY"},
            "hazards": {p: told[p] for p in bulk_pricing.PERILS if told[p]},
            "species": {told["species"]: "1"} if told["species"] else {},
            **{name: told[name] for name in (*pricing.MEASURED, *pricing.NAMED) if told[name]},
        }  # fmt: skip
        alone = body(insurer.post("/v1/price", {"forests": [forest], "term_months": 12}))
        assert one["annual_premium"] == alone["annual_premium"]["amount"]
        assert one["expected_annual_loss"] == alone["expected_annual_loss"]["amount"]
        assert one["technical_rate"] == alone["pricing"]["technical_rate"]
        assert {p: one[p] for p in pricing.PAYERS} == alone["pricing"]["split"]


def test_what_is_wrong_with_a_row_is_told_of_it_and_the_others_go_on(insurer: Client, insurance_db: Database) -> None:
    good = ROWS[2]

    def bad(**cells: str) -> tuple[str, ...]:
        return tuple((dict(zip(COLUMNS, good, strict=True)) | cells).values())

    lines = [
        good, bad(value="-5"), bad(sum_insured="900.01"), bad(county="nowhere"), bad(fire="NaN"), bad(fire="0.95"),
        bad(slope_deg="91"), bad(fuel="much"), bad(reference="=1+1"), bad(sum_insured="0.00"), good[:5],
    ]  # fmt: skip
    made = body(insurer.send("/v1/pricings", sheet(lines)), 202)
    run(insurance_db)
    found = results(insurer, made["id"])
    assert [bool(one["errors"]) for one in found] == [False] + [True] * 10
    assert [bool(one["annual_premium"]) for one in found] == [True] + [False] * 10
    assert "=1+1" not in str(found)


def test_a_stopped_file_goes_on_where_it_was(
    insurer: Client, insurance_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_pricing, "BATCH", 2)
    made = body(insurer.send("/v1/pricings", sheet(ROWS)), 202)
    assert jobs.run_step(insurance_db.worker_sessions, JOBS)
    body(insurer.post(f"/v1/jobs/{made['id']}/cancellation"))
    assert not jobs.run_step(insurance_db.worker_sessions, JOBS)
    assert len(results(insurer, made["id"])) == 2
    body(insurer.post(f"/v1/jobs/{made['id']}/resumption"))
    run(insurance_db)
    assert [one["reference"] for one in results(insurer, made["id"])] == ["P-1", "P-2", "P-3"]
    assert [one.content for one in rows(insurance_db, BulkPricingBatch)] == [[], []]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"reference,county\nA,youyu\n", sheet([]), sheet(ROWS, (*COLUMNS[:-1], "surprise"))]
)
def test_a_file_that_no_row_can_be_read_from_is_refused(insurer: Client, content: bytes) -> None:
    assert insurer.send("/v1/pricings", content).status_code in (400, 422)


def test_a_template_can_be_sent_back(insurer: Client, insurance_db: Database) -> None:
    made = body(insurer.send("/v1/pricings?format=xlsx", insurer.get("/v1/pricings/template", format="xlsx").data), 202)
    run(insurance_db)
    assert body(insurer.get(f"/v1/pricings/{made['id']}"))["priced"] == 1


def test_the_book_is_priced_anew_and_no_policy_changes(insurer: Client, insurance_db: Database) -> None:
    asset = uuid7()
    bound(insurance_db, asset, uuid7())
    before = row(insurance_db, Policy)
    deliver("insurance", insurance_db, valued(asset, 2, hazards={"fire": Decimal("0.8")}), first=2)
    made = body(insurer.post("/v1/repricings"), 202)
    run(insurance_db)
    summary = body(insurer.get(f"/v1/pricings/{made['id']}"))["summary"]
    assert (summary["before"], summary["up"], summary["down"]) == (str(before.annual_premium), "1", "0")
    (one,) = results(insurer, made["id"])
    assert Decimal(one["annual_premium"]) > Decimal(one["before"])
    assert one["change"] == summary["change_p50"]
    assert row(insurance_db, Policy).annual_premium == before.annual_premium
    other = client("insurance", insurance_db, "insurer", OTHER_INSURER)
    assert other.get(f"/v1/pricings/{made['id']}").status_code == 404
    assert other.post("/v1/repricings").status_code == 409


def test_a_book_is_renewed_as_each_policy_would_be_and_what_cannot_be_is_told(
    insurer: Client, insurance_db: Database
) -> None:
    assets = [uuid7() for _ in range(3)]
    kept, broken, worse = (bound(insurance_db, asset, uuid7()) for asset in assets)
    until = row(insurance_db, Policy, id=kept).expiry
    version = insurer.get(f"/v1/policies/{broken}").headers["ETag"]
    body(insurer.post(f"/v1/policies/{broken}/breach", {"reason": "felled"}, If_Match=version))
    hazards = {"fire": Decimal("0.95")}
    deliver("insurance", insurance_db, valued(assets[2], 2, hazards=hazards), first=2)
    assert insurer.post("/v1/renewals", {"expiring_by": "2020-01-01", "months": 12}).status_code == 409
    made = body(insurer.post("/v1/renewals", {"expiring_by": until.isoformat(), "months": 12}), 202)
    run(insurance_db)
    shown = body(insurer.get(f"/v1/pricings/{made['id']}"))
    assert (shown["kind"], shown["priced"], shown["refused"]) == ("renewal", 1, 2)
    found = {one["reference"]: one for one in results(insurer, made["id"])}
    assert "broke" in found[str(broken)]["errors"]
    assert "0.95" in found[str(worse)]["errors"]
    policy = row(insurance_db, Policy, id=kept)
    assert (policy.expiry, str(policy.annual_premium)) == (
        policies.months_later(until, 12), found[str(kept)]["annual_premium"],
    )  # fmt: skip
    assert row(insurance_db, Policy, id=broken).expiry == until
    assert [one.policy_id for one in rows(insurance_db, Endorsement)] == [kept]

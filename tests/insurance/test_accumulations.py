"""The book's bad years as a job: the same for the same seed and book, whatever stops it, and private."""

import csv
import io
from decimal import Decimal
from xml.etree import ElementTree

import numpy as np
import pytest

from services.insurance.actions import accumulations
from services.insurance.consumers import JOBS
from services.insurance.tables import AccumulationBlock, Cover
from shared import jobs
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import BANK, GUARANTOR, INSURER, OTHER_INSURER, Client, body, client, deliver
from tests.insurance.examples import accepted, pledge, quoted, rows, valued
from tests.insurance.examples import asked as asked_cover

YEARS = 1_000


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def book(database: Database, count: int = 2) -> list:
    """Forests a kilometre apart, each on a policy of its own."""
    made = []
    for number in range(count):
        asset, loan = uuid7(), uuid7()
        cover = quoted(database, asset, loan, scheme="4-3-2-1")
        deliver("insurance", database, accepted(loan, cover, pledge(asset)), first=2)
        deliver(
            "insurance", database, valued(asset, 2, longitude=Decimal("112.4") + number * Decimal("0.012")), first=2
        )
        made.append(asset)
    return made


def run(database: Database, insurer: Client, **asked) -> dict:
    made = body(insurer.post("/v1/accumulations", {"years": YEARS} | asked), 202)
    while jobs.run_step(database.worker_sessions, JOBS):
        pass
    return body(insurer.get(f"/v1/accumulations/{made['id']}"))


def test_a_run_says_what_the_years_say_and_a_seed_repeats_it(
    insurer: Client, insurance_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(insurance_db)
    one = run(insurance_db, insurer, seed=7)
    assert (one["policies"], one["forests"], one["unverified_parameters"] != []) == (2, 2, True)
    rows_of = {(m["of"], m["name"]): m for m in one["metrics"]}
    assert {name for of, name in rows_of if of == "bank"} == {BANK}
    assert {name for of, name in rows_of if of == "guarantor"} == {GUARANTOR}
    table = list(
        csv.DictReader(io.StringIO(insurer.get(f"/v1/accumulations/{one['id']}/years").data.decode("utf-8-sig")))
    )
    aggregate = np.array([float(row["aggregate"]) for row in table])
    assert len(table) == YEARS
    assert aggregate.any()
    assert float(rows_of["all", ""]["aal"]) == pytest.approx(aggregate.mean(), abs=0.01)
    for of in ("peril", "county", "bank", "guarantor"):
        parts = sum(Decimal(m["aal"]) for (dimension, _), m in rows_of.items() if dimension == of)
        assert parts == pytest.approx(Decimal(rows_of["all", ""]["aal"]), abs=Decimal("0.05"))
    for metric in rows_of.values():
        for at in metric["return_periods"]:
            assert Decimal(at["tvar"]) >= Decimal(at["aep"]) >= Decimal(at["oep"])
            assert at["thin"] == (at["return_period"] > YEARS / 10)
    assert body(insurer.get("/v1/accumulations"))["items"][0]["id"] == one["id"]
    # The same whatever the steps are; another with another seed.
    monkeypatch.setattr(accumulations, "BLOCK", 300)
    again, other = run(insurance_db, insurer, seed=7), run(insurance_db, insurer, seed=8)
    assert (again["book_digest"], again["result_digest"]) == (one["book_digest"], one["result_digest"])
    assert (other["book_digest"], other["result_digest"] == one["result_digest"]) == (one["book_digest"], False)


def test_a_run_is_stopped_and_goes_on(insurer: Client, insurance_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    book(insurance_db, 1)
    monkeypatch.setattr(accumulations, "BLOCK", 400)
    made = body(insurer.post("/v1/accumulations", {"years": YEARS}), 202)
    assert jobs.run_step(insurance_db.worker_sessions, JOBS)
    body(insurer.post(f"/v1/jobs/{made['id']}/cancellation"))
    assert insurer.get(f"/v1/accumulations/{made['id']}/years").status_code == 404
    body(insurer.post(f"/v1/jobs/{made['id']}/resumption"))
    while jobs.run_step(insurance_db.worker_sessions, JOBS):
        pass
    assert body(insurer.get(f"/v1/jobs/{made['id']}"))["done"] == YEARS
    assert [block.first_year for block in rows(insurance_db, AccumulationBlock)] == [1, 401, 801]
    other = client("insurance", insurance_db, "insurer", OTHER_INSURER)
    assert other.get(f"/v1/accumulations/{made['id']}").status_code == 404
    assert other.post("/v1/accumulations", {}).status_code == 409


def test_a_forest_nobody_can_place_is_refused_by_name(insurer: Client, insurance_db: Database) -> None:
    (asset,) = book(insurance_db, 1)
    deliver("insurance", insurance_db, valued(asset, 3, longitude=Decimal(20)), first=3)
    refused = insurer.post("/v1/accumulations", {})
    assert refused.status_code == 409
    assert str(asset) in refused.get_data(as_text=True)


def test_a_price_is_loaded_with_what_it_adds_to_the_book_once_there_is_a_run(
    insurer: Client, insurance_db: Database
) -> None:
    book(insurance_db)
    asset = uuid7()
    deliver("insurance", insurance_db, valued(asset, longitude=Decimal("112.41")))
    asked = {"forests": [{"asset_id": str(asset)}], "term_months": 12}
    before = body(insurer.post("/v1/price", asked))
    ran = run(insurance_db, insurer)
    after = body(insurer.post("/v1/price", asked))
    margins = [
        next(one for one in price["pricing"]["waterfall"] if one["step"] == "risk_margin") for price in (before, after)
    ]
    assert (margins[0]["equation"], margins[0]["coefficients"]["because"]) == ("(I10)", "no run of the book is there")
    told = margins[1]["coefficients"]
    assert (margins[1]["equation"], told["accumulation"]) == ("(I11)", ran["id"])
    expected = (float(told["co_tvar"]) - float(told["mean"])) * float(told["cost_of_capital"]) / 100
    assert float(margins[1]["amount"]) == pytest.approx(expected, abs=0.02)
    for price in (before, after):
        parts = sum(Decimal(one["amount"]) for one in price["pricing"]["waterfall"])
        assert parts == Decimal(price["annual_premium"]["amount"])
    # A bank's quote on the same forest goes the same way.
    deliver("insurance", insurance_db, asked_for := asked_cover(uuid7(), pledge(asset)))
    cover = rows(insurance_db, Cover, loan_id=asked_for.loan_id)[0]
    assert next(one for one in cover.pricing["waterfall"] if one["step"] == "risk_margin")["equation"] == "(I11)"


def test_worst_years_and_events_fall_on_three_balance_sheets_and_are_drawn(
    insurer: Client, insurance_db: Database
) -> None:
    book(insurance_db)
    ran = run(insurance_db, insurer)
    path = f"/v1/accumulations/{ran['id']}"
    told = body(insurer.get(f"{path}/balance-sheets"))
    aal = {(m["of"], m["name"]): m["aal"] for m in ran["metrics"]}
    assert told["mean"]["insurer"] == aal["all", ""]
    assert told["mean"]["guarantor"] == aal["sheet", "guarantor"]
    gross = [Decimal(one["insurer"]) for one in told["worst_events"]]
    assert gross == sorted(gross, reverse=True)
    for one in told["worst_events"]:
        hit = Decimal(one["paid_to_bank"]) + Decimal(one["bank_exposure"])
        # A loan of 300,000 CNY behind each policy; the guarantor's side carries four parts of five.
        assert hit % 300_000 == 0
        assert Decimal(one["paid_to_bank"]) <= Decimal(one["insurer"])
        assert Decimal(one["guarantor"]) == pytest.approx(4 * Decimal(one["bank"]), abs=Decimal("0.05"))
    worst = {one["return_period"]: one for one in told["worst_years_of_the_insurer"]}
    tvar = {at["return_period"]: at["tvar"] for at in ran["metrics"][0]["return_periods"]}
    assert {period: one["insurer"] for period, one in worst.items()} == tvar
    assert Decimal(worst[100]["guarantor"]) > Decimal(told["mean"]["guarantor"])
    assert len(told["assumed"]) == 5
    for of in ("exceedance", "waterfall", "map"):
        drawn = insurer.get(f"{path}/picture", of=of)
        assert drawn.mimetype == "image/svg+xml"
        assert ElementTree.fromstring(drawn.data).tag.endswith("svg")
    assert insurer.get(f"{path}/picture", of="nothing").status_code == 422


def test_a_run_goes_out_in_the_open_formats_and_says_the_same_there(insurer: Client, insurance_db: Database) -> None:
    book(insurance_db)
    ran = run(insurance_db, insurer)

    def table(name: str) -> list[dict[str, str]]:
        answer = insurer.get(f"/v1/accumulations/{ran['id']}/exchange", table=name)
        assert answer.mimetype == "text/csv"
        return list(csv.DictReader(io.StringIO(answer.data.decode())))

    places, policies = table("oed_location"), table("oed_account")
    assert {one["AccNumber"] for one in places} == {one["AccNumber"] for one in policies} == {"1", "2"}
    insured = sum(Decimal(one["OtherTIV"]) for one in places)
    assert 0 < insured <= sum(Decimal(one["PolLimit6All"]) for one in policies)
    # Pest and drought have no code there.
    assert {one["LocPerilsCovered"] for one in places} == {"BBF;ZFZ;ZSN;XSL;OO1"}
    rows_of = {(m["of"], m["name"]): m for m in ran["metrics"]}
    number_of = {(one["Of"], one["Name"]): one["SummaryId"] for one in table("ord_summary")}
    mean = {one["SummaryId"]: one for one in table("ord_alt")}
    assert {key: mean[number]["MeanLoss"] for key, number in number_of.items()} == {
        key: rows_of[key]["aal"] for key in number_of
    }
    all_of_it = number_of["all", ""]
    assert (mean[all_of_it]["SourceNumLocs"], Decimal(mean[all_of_it]["SourceExposure"])) == ("2", insured)
    curve = {(one["SummaryId"], one["EPType"], one["ReturnPeriod"]): one["Loss"] for one in table("ord_ept")}
    at = next(one for one in rows_of["all", ""]["return_periods"] if one["return_period"] == 100)
    kinds = {"OEP": "oep", "AEP": "aep", "TVAR_OEP": "occurrence_tvar", "TVAR_AEP": "tvar"}
    assert {kind: curve[all_of_it, kind, "100"] for kind in kinds} == {kind: at[name] for kind, name in kinds.items()}
    # A year costs what its events cost, less what went beyond the sums of the policies.
    years: dict[int, Decimal] = {}
    for one in table("ord_splt"):
        years[int(one["Year"])] = years.get(int(one["Year"]), Decimal(0)) + Decimal(one["Loss"])
    told = insurer.get(f"/v1/accumulations/{ran['id']}/years").data.decode("utf-8-sig")
    cost = {int(one["year"]): Decimal(one["aggregate"]) for one in csv.DictReader(io.StringIO(told))}
    assert years
    assert set(years) == {year for year, amount in cost.items() if amount}
    assert all(amount >= cost[year] > 0 for year, amount in years.items())
    assert insurer.get(f"/v1/accumulations/{ran['id']}/exchange", table="nothing").status_code == 422

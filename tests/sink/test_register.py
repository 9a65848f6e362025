"""Projects, certificates of lien, replacement after a loss, and the search for a unit, over HTTP."""

import importlib
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine, text

from services.sink.actions import ledger
from services.sink.actions.pledges import reduce_pledge
from services.sink.actions.reversals import Loss, report_reversal
from services.sink.actions.units import issue_credits, retire_credits
from services.sink.actions.valuations import basis, inputs_of, live_stock, verified_level
from services.sink.tables import Asset
from shared import clock, schema
from shared.errors import ConflictError
from shared.events.credit import EnforcementOrdered, PledgeReductionOrdered
from shared.events.sink import (
    CreditsCancelled,
    CreditsIssued,
    CreditsRetired,
    CreditsTransferred,
    PledgeEnforced,
    PledgePlaced,
    PledgeReduced,
    PledgeReleased,
)
from tests.conftest import Database, make_database
from tests.harness import BANK, BUREAU, GUARANTOR, INSURER, Client, body, client, deliver, published
from tests.sink.examples import accepted, forests, minted, read_asset, years_from_today
from tests.sink.test_consumers import after, defaulted
from tests.sink.test_ledger import by_account, forest, issue, pledge

SERIALS = re.compile(r"^CCER-P\d{5}-\d{8}-\d{8}-\d{3}:\d+-\d+$")


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    return client("sink", sink_db, "bureau", BUREAU)


@pytest.fixture
def officer(sink_db: Database) -> Client:
    return client("sink", sink_db, "officer", BANK)


# -- projects ---------------------------------------------------------------------------------------------------------


def step(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "taken_on": clock.today().isoformat(), "evidence": "decision 2026-17"} | more


def test_a_project_passes_its_five_states_in_order_and_its_units_wait_for_the_fourth(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    (asset,) = forests(sink_db, sealed, programme="gold_standard", crediting_from=years_from_today(-2))
    with sealed(sink_db.sessions, BUREAU) as session:
        session.get_one(Asset, asset.id).programme = "ccer"
    start, today = asset.crediting_from, clock.today()
    units = {"asset_id": str(asset.id), "origin": "1", "vintage_from": start.isoformat()}
    units |= {"vintage_to": today.isoformat(), "tonnes": "9"}
    assert body(minted(sink_db, units), 409)["type"].endswith("/project-state")
    given = {"name": "Windbreaks", "portal_id": "A-77", "asset_ids": [str(asset.id)], "evidence": "portal notice"}
    shown = {"project_type": "N0101", "proponent": "示范林业合作社", "province": "山西省"}
    given |= shown
    project = body(bureau.post("/v1/projects", given | {"taken_on": today.isoformat()}), 201)
    assert (project["state"], project["portal_state"], project["portal_id"]) == ("notice", 1, "A-77")
    path, period = f"/v1/projects/{project['id']}/steps", {"vintage_from": start.isoformat(), "vintage_to": str(today)}
    for wrong in (
        step("reductions_notice", **period),
        step("issued"),
        step("registered", **period),
        step("registered", taken_on=(today + timedelta(days=1)).isoformat()),
        step("registered", taken_on=(today - timedelta(days=1)).isoformat()),
        step("registered", evidence=""),
    ):
        assert bureau.post(path, wrong, If_Match=f'"v{project["version"]}"').status_code in (409, 422)
    for number, one in enumerate(
        [step("registered"), step("reductions_notice", **period), step("reductions_registered")], 2
    ):
        assert minted(sink_db, units).status_code == 409
        project = body(bureau.post(path, one, If_Match=f'"v{project["version"]}"'), 201)
        assert project["portal_state"] == number
    assert bureau.post(path, step("issued"), If_Match='"v1"').status_code == 412
    body(minted(sink_db, units), 201)
    project = body(bureau.get(f"/v1/projects/{project['id']}"))
    assert shown.items() <= project.items()
    listed = {state: body(bureau.get("/v1/projects", state=state))["items"] for state in ("notice", "issued")}
    assert listed == {"notice": [], "issued": [project]}
    assert [one["state"] for one in project["steps"]] == [
        "notice", "registered", "reductions_notice", "reductions_registered", "issued",
    ]  # fmt: skip
    assert project["steps"][-1]["evidence"] == "issuance 1"
    # The next period begins after the last one ended.
    again = bureau.post(path, step("reductions_notice", **period), If_Match=f'"v{project["version"]}"')
    assert body(again, 422)["errors"][0]["pointer"] == "/vintage_from"


def test_a_forest_belongs_to_one_project_of_its_own_registrar_and_programme(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    (taken,) = forests(sink_db, sealed)
    given = {"name": "Again", "evidence": "portal notice", "taken_on": clock.today().isoformat()}
    for asset_id, institution, status in (
        (taken.id, BUREAU, 409),
        (taken.id, "bureau-elsewhere", 403),
        (uuid4(), BUREAU, 404),
    ):
        http = client("sink", sink_db, "bureau", institution)
        assert http.post("/v1/projects", given | {"asset_ids": [str(asset_id)]}).status_code == status


_EXTENT = ("min_longitude", "max_longitude", "min_latitude", "max_latitude")

# -- the same ground --------------------------------------------------------------------------------------------------


def test_the_same_ground_issues_a_vintage_once_whoever_registered_it(sink_db: Database, sealed: Any) -> None:
    mine = forest(sink_db, sealed)
    issue(sink_db, sealed, mine, 5)
    (theirs,) = forests(sink_db, sealed, crediting_from=years_from_today(-3), programme="verra")
    # The register refuses the same ground at its door; this one came in beside it, through another institution.
    admin = create_engine(sink_db.admin_url)
    with admin.begin() as connection:
        connection.execute(text("SELECT set_config('app.institution', :i, true)"), {"i": BUREAU})
        same = ", ".join(f"{side} = m.{side}" for side in ("geometry", *_EXTENT))
        connection.execute(
            text(
                f"UPDATE assets SET registrar = 'bureau-elsewhere', {same}"
                " FROM assets m WHERE m.id = :mine AND assets.id = :theirs"
            ),
            {"mine": mine.id, "theirs": theirs.id},
        )
    admin.dispose()
    day = clock.today().isoformat()
    given = {"asset_id": str(theirs.id), "origin": "theirs", "vintage_from": day, "vintage_to": day, "tonnes": "5"}
    refused = body(minted(sink_db, given, "bureau-elsewhere"), 409)
    assert refused["type"].endswith("/ground-issued-before")
    assert BUREAU not in str(refused)
    assert str(mine.id) not in str(refused)
    before = (clock.today() - timedelta(days=1)).isoformat()
    issued = body(minted(sink_db, given | {"vintage_from": before, "vintage_to": before}, "bureau-elsewhere"), 201)
    # A pooled buffer of another programme, and a batch named after the forest.
    assert issued["batch"].startswith(f"VERRA-F{theirs.id.hex[-10:].upper()}-")


# -- units ------------------------------------------------------------------------------------------------------------


def test_every_answer_and_event_names_the_serials_and_a_unit_is_found_by_its_number(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = forest(sink_db, sealed)
    day = clock.today().isoformat()
    unit = {"asset_id": str(asset.id), "tonnes": "9"}
    issued = body(minted(sink_db, {**unit, "origin": "1", "vintage_from": day, "vintage_to": day}), 201)
    assert (issued["tonnes"], issued["buffer_tonnes"]) == ("9.000", "1.000")
    first = issued["first_serial"]
    assert issued["serials"] == [f"{issued['batch']}:{first}-{first + 9}"]
    retired = body(bureau.post("/v1/retirements", {**unit, "tonnes": "2", "reason": "a meeting"}), 201)
    assert retired["serials"] == [f"{issued['batch']}:{first + 1}-{first + 2}"]
    moved = body(bureau.post("/v1/transfers", {**unit, "tonnes": "3", "to": "Trader"}), 201)
    assert moved["serials"] == [f"{issued['batch']}:{first + 3}-{first + 5}"]
    used = {**unit, "tonnes": "1", "reason": "error of entry"}
    cancelled = body(bureau.post("/v1/cancellations", {**used, "holder": "Trader"}), 201)
    assert cancelled["serials"] == [f"{issued['batch']}:{first + 3}-{first + 3}"]
    told = published(sink_db, CreditsIssued, CreditsRetired, CreditsTransferred, CreditsCancelled)
    assert [list(one.serials) for one in told] == [one["serials"] for one in (issued, retired, moved, cancelled)]
    assert all(SERIALS.match(one) for event in told for one in event.serials)
    (found,) = body(bureau.get("/v1/blocks", serial=str(first + 4)))["items"]
    assert (found["account"], found["holder"], found["tonnes"]) == ("transferred", "Trader", "2.000")
    whole = body(bureau.get("/v1/blocks", serial=issued["batch"], limit=100))["items"]
    assert sum(Decimal(block["tonnes"]) for block in whole) == 10
    part = body(bureau.get("/v1/blocks", serial=f"{issued['batch']}:{first}-{first + 1}"))["items"]
    assert {block["account"] for block in part} == {"buffer", "retired"}
    assert body(bureau.get("/v1/blocks", serial=str(first + 10)))["items"] == []
    for wrong in ("no such thing", "0", f"{issued['batch']}:{first + 1}-{first}"):
        assert bureau.get("/v1/blocks", serial=wrong).status_code == 422
    listed = body(bureau.get("/v1/postings", asset_id=str(asset.id)))["items"]
    assert [one["kind"] for one in listed] == ["cancel", "transfer", "retire", "issue"]
    units = body(bureau.get(f"/v1/assets/{asset.id}"))["units"]
    assert (units["issued"], units["buffer"], units["transferred"], units["cancelled"]) == (
        "9.000", "1.000", "2.000", "1.000",
    )  # fmt: skip
    for path, wrong in (
        ("retirements", {**used, "reason": ""}),
        ("cancellations", {**used, "reason": ""}),
        ("retirements", {**used, "tonnes": "1.5"}),
        ("retirements", {**used, "tonnes": "0"}),
        ("transfers", {**unit, "to": "Trader", "holder": "Trader"}),
    ):
        assert bureau.post(f"/v1/{path}", wrong).status_code == 422
    assert bureau.post("/v1/retirements", {**used, "holder": "Nobody"}).status_code == 409


def test_an_issuance_serves_the_liens_and_every_step_of_a_lien_names_its_serials(
    sink_db: Database, sealed: Any, officer: Client
) -> None:
    asset = forest(sink_db, sealed)
    issue(sink_db, sealed, asset, 90)
    most = read_asset(sink_db, asset.id).free_tonnes
    held = pledge(sink_db, sealed, asset, str(most - 40))
    (placed,) = published(sink_db, PledgePlaced)
    assert len(placed.serials) == 1
    shown = officer.get(f"/v1/pledges/{held.id}")
    assert body(shown)["serials"] == list(placed.serials)
    on_forecast = Decimal(body(shown)["forecast_tonnes"])
    about = {"loan_id": held.loan_id, "bank": BANK, "insurer": INSURER, "guarantor": GUARANTOR}
    orders = [
        PledgeReductionOrdered(**about, asset_id=asset.id, tonnes=tonnes, reason="no longer needed")
        for tonnes in (most, on_forecast + 20 + Decimal("0.5"))
    ]
    deliver("sink", sink_db, *orders)
    # The first is more than the lien has. Of the second half a unit stays: issued units are whole.
    less = body(officer.get(f"/v1/pledges/{held.id}"))
    assert (less["forecast_tonnes"], less["tonnes"], less["rank"]) == ("0.000", "30.000", 1)
    (reduced,) = published(sink_db, PledgeReduced)
    assert (reduced.tonnes, reduced.left, reduced.loan_id) == (on_forecast + 20, 30, held.loan_id)
    assert by_account(sink_db, asset) == [("buffer", 10), ("free", 20), ("pledged", 30), ("free", 40)]
    with sealed(sink_db.sessions, BANK) as session, pytest.raises(ConflictError, match="whole"):
        reduce_pledge(session, held.id, Decimal("0.5"), "part of a unit")


# -- losses -----------------------------------------------------------------------------------------------------------


def undoing(database: Database, asset: Asset, tonnes: float) -> str:
    """The severity of a loss that brings the stock so many tonnes below what issued units stand on."""
    with database.sessions() as session:
        inputs = inputs_of(session.get_one(Asset, asset.id), basis(session, BUREAU))
    return f"{1 - (verified_level(inputs) - tonnes - 0.5) / live_stock(inputs):.8f}"


def burn(database: Database, sealed: Any, asset: Asset, severity: str) -> None:
    with sealed(database.sessions, BUREAU) as session:
        report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal(severity))])


def test_a_loss_takes_from_the_buffer_and_the_rest_is_owed_until_it_is_replaced(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset, standing = forest(sink_db, sealed), forest(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        issue_credits(session, asset.id, str(asset.id), asset.crediting_from, clock.today(), Decimal(90))
    with sealed(sink_db.sessions, BUREAU) as session:
        retire_credits(session, asset.id, Decimal(80), "a meeting")
    burn(sink_db, sealed, asset, "1")
    (duty,) = body(bureau.get("/v1/replacement-duties", asset_id=str(asset.id)))["items"]
    assert (duty["reversed_tonnes"], duty["buffer_tonnes"], duty["duty_tonnes"]) == ("100.000", "10.000", "90.000")
    (told,) = published(sink_db, CreditsCancelled)
    assert (told.account, told.tonnes, list(told.serials)) == ("buffer", 10, duty["serials"])
    assert ("buffer_cancelled", 10) in by_account(sink_db, asset)
    with sealed(sink_db.sessions, BUREAU) as session:
        issue_credits(session, standing.id, "of what stands", standing.crediting_from, clock.today(), Decimal(90))
    path = f"/v1/replacement-duties/{duty['id']}/discharges"
    assert bureau.post(path, {"asset_id": str(asset.id), "tonnes": "10"}).status_code == 409
    assert bureau.post(path, {"asset_id": str(standing.id), "tonnes": "91"}).status_code == 409
    paid = body(bureau.post(path, {"asset_id": str(standing.id), "tonnes": "60"}), 201)
    assert paid["discharged_tonnes"] == "60.000"
    assert ("retired", 60) in by_account(sink_db, standing)
    assert bureau.post(path, {"asset_id": str(standing.id), "tonnes": "31"}).status_code == 409
    body(bureau.post(path, {"asset_id": str(standing.id), "tonnes": "30"}), 201)
    other = client("sink", sink_db, "bureau", "bureau-elsewhere")
    assert other.post(path, {"asset_id": str(standing.id), "tonnes": "1"}).status_code == 403


def test_a_second_loss_is_covered_only_as_far_as_it_goes_beyond_the_first(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        issue_credits(session, asset.id, "1", asset.crediting_from, clock.today(), Decimal(90))
    burn(sink_db, sealed, asset, undoing(sink_db, asset, 40))
    burn(sink_db, sealed, asset, "1")
    with sink_db.sessions() as session:
        lost = session.scalars(text("SELECT reversed_tonnes FROM replacement_duties ORDER BY recorded_at")).all()
    assert lost == [41, 59]
    # What the forecast alone lost is nobody's duty.
    fresh = forest(sink_db, sealed)
    burn(sink_db, sealed, fresh, "0.9")
    with sink_db.sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM replacement_duties")) == len(lost)


# -- liens that were there before the ledger --------------------------------------------------------------------------


def test_liens_from_before_the_ledger_are_carried_over_as_liens_on_the_forecast(postgres: Any) -> None:
    database = make_database(postgres, "sink", "carried_over")
    migration = importlib.import_module("services.sink.migrations.sink_0004_ledger")
    admin = create_engine(database.admin_url)
    try:
        schema.undo("sink", database.owner)
        schema.migrate("sink", database.owner, migration.down_revision)
        with admin.begin() as connection:
            columns = required(connection, "assets")
            columns |= {"pledged_tonnes": "15", "enforced_tonnes": "5", "forecast_tonnes": "100"}
            insert(connection, "assets", columns | {"id": f"'{UUID(int=1)}'", "live_share": "1"})
            for rank, (state, tonnes) in enumerate(
                (("placed", 10), ("frozen", 5), ("enforced", 5), ("released", 7)), 1
            ):
                pledged = required(connection, "pledges") | {
                    "asset_id": f"'{UUID(int=1)}'", "tonnes": str(tonnes), "rank": str(rank), "state": f"'{state}'",
                    "id": f"'{uuid4()}'", "loan_id": f"'{uuid4()}'", "institution": f"'{BANK}'",
                }  # fmt: skip
                insert(connection, "pledges", pledged)
        schema.migrate("sink", database.owner)
        with database.sessions() as session:
            asset = session.get_one(Asset, UUID(int=1))
            held = ledger.liens(session, asset)
        assert [(one.account, one.tonnes, one.first_serial) for one in held] == [
            ("pledged", 10, None), ("frozen", 5, None), ("enforced", 5, None),
        ]  # fmt: skip
        with admin.begin() as connection:
            connection.execute(text("SELECT demand_counters(id) FROM assets"))
    finally:
        admin.dispose()
        database.dispose()


def required(connection: Any, table: str) -> dict[str, str]:
    """A value that the type takes, for each column that needs one."""
    found = connection.execute(
        text(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :t AND is_nullable = 'NO'"
        ),
        {"t": table},
    )
    by_type = {
        "uuid": "gen_random_uuid()", "jsonb": "'[]'", "date": "current_date + ordinal", "boolean": "false",
        "timestamp with time zone": "now()", "character varying": "'x'",
    }  # fmt: skip
    values = {name: by_type.get(kind, "1") for name, kind in found}
    return {
        name: "0" if name.endswith("_tonnes") else value.replace("ordinal", str(10 * ("until" in name)))
        for name, value in values.items()
    }


def insert(connection: Any, table: str, values: dict[str, str]) -> None:
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"))


def test_what_a_bank_took_over_is_told_with_its_serials(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    loan = accepted([(asset.id, "12")])
    deliver("sink", sink_db, loan)
    issue(sink_db, sealed, asset, 90)
    deliver("sink", sink_db, defaulted(loan), after(loan, EnforcementOrdered, balance=Decimal("1.00")), first=2)
    (told,) = published(sink_db, PledgeEnforced)
    assert len(told.serials) == 1
    assert ("enforced", 12) in by_account(sink_db, asset)
    assert published(sink_db, PledgeReleased) == []

"""Zero-carbon accounts: what covers a year, and that nothing covers two."""

import threading
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.sink.actions.accounts import EntryFacts, enter
from services.sink.tables import AccountEntry, CompensationOrder
from shared import clock
from shared.errors import ConflictError
from tests.conftest import Database
from tests.harness import Client, body
from tests.sink.compensation import MEMBER, OTHER_MEMBER, bureau, issued, meeting, member, paid, retired, tag
from tests.sink.test_plantings import planted

YEAR = clock.today().year


def account(who: Client, **changes: Any) -> str:
    asked = {"kind": "campus", "name": "雁门校区", "county": "shuocheng"} | changes
    made: str = body(who.post("/v1/zero-carbon-accounts", asked), 201)["id"]
    return made


def line(who: Client, account_id: str, status: int = 201, **facts: Any) -> Any:
    return body(who.post(f"/v1/zero-carbon-accounts/{account_id}/entries", {"year": YEAR} | facts), status)


def year(who: Client, account_id: str) -> dict[str, Any]:
    (balance,) = body(who.get(f"/v1/zero-carbon-accounts/{account_id}/balances"))["items"]
    found: dict[str, Any] = balance
    return found


def adopted(database: Database, holder: str = MEMBER, trees: int = 45_000) -> dict[str, Any]:
    planting = planted(database, planted_year=YEAR - 10)
    asked = {"adopter": "雁门大学", "trees": trees, "holder": holder}
    made: dict[str, Any] = body(bureau(database).post(f"/v1/plantings/{planting['id']}/adoptions", asked), 201)
    first = Decimal(planting["schedule"][0]["grown_tonnes"]) * trees / planting["trees"]
    return made | {"first_year": str(first.quantize(Decimal("0.001"), rounding="ROUND_FLOOR"))}


def test_a_year_is_zero_carbon_when_allowances_and_retired_units_cover_it_and_not_before(
    sink_db: Database, sealed: Any
) -> None:
    issued(sink_db, sealed, "500")
    campus = member(sink_db)
    campus_account = account(campus)
    assert body(campus.get(f"/v1/zero-carbon-accounts/{campus_account}/balances"))["items"] == []
    adoption = adopted(sink_db)
    from_trees = Decimal(adoption["first_year"])
    assert from_trees > 1
    line(campus, campus_account, kind="emission", tonnes=str(from_trees + 10), note="meter readings")
    line(campus, campus_account, kind="reduction", tonnes="5", note="new boiler")
    line(campus, campus_account, kind="allowance", tonnes=str(from_trees), adoption_id=adoption["id"])
    seen = year(campus, campus_account)
    assert (seen["uncovered"], seen["zero_carbon"], seen["ex_ante"]) == ("10.000", False, True)
    # The reduction is told and covers nothing.
    assert seen["reductions"] == "5.000"
    assert {reason["code"] for reason in seen["reasons"]} == {"uncovered", "ex_ante"}
    bought = retired(sink_db, campus)
    line(campus, campus_account, kind="retirement", tonnes="9.999", order_id=bought["id"])
    assert year(campus, campus_account)["zero_carbon"] is False
    line(campus, campus_account, kind="retirement", tonnes="0.001", order_id=bought["id"])
    seen = year(campus, campus_account)
    assert (seen["uncovered"], seen["surplus"], seen["zero_carbon"]) == ("0.000", "0.000", True)


def test_a_year_without_counted_emissions_is_unknown_and_not_zero_carbon(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "500")
    campus = member(sink_db)
    empty = account(campus)
    line(campus, empty, kind="retirement", tonnes="10", order_id=retired(sink_db, campus)["id"])
    seen = year(campus, empty)
    assert (seen["zero_carbon"], seen["surplus"]) == (False, "10.000")
    assert [reason["code"] for reason in seen["reasons"]] == ["no_emissions"]


def test_a_footprint_is_entered_once_in_a_year_it_happened_in(sink_db: Database) -> None:
    campus = member(sink_db)
    one, other = account(campus), account(campus, name="another")
    footprint = body(campus.post("/v1/footprints", meeting()), 201)
    entered = line(campus, one, kind="emission", footprint_id=footprint["id"])
    assert entered["tonnes"] == footprint["tonnes"]
    line(campus, other, 409, kind="emission", footprint_id=footprint["id"])
    # Struck by mistake or not, it can be entered again, and only then.
    path = f"/v1/account-entries/{entered['id']}/voiding"
    struck = body(campus.post(path, {"reason": "wrong account"}, If_Match=tag(entered)))
    assert struck["voided_at"] is not None
    body(campus.post(path, {"reason": "wrong account"}, If_Match=tag(struck)), 409)
    line(campus, other, 422, kind="emission", footprint_id=footprint["id"], year=YEAR - 1)
    line(campus, other, kind="emission", footprint_id=footprint["id"])
    assert body(campus.get(f"/v1/zero-carbon-accounts/{one}/balances"))["items"] == []


def test_retired_units_cover_one_account_once(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "500")
    campus = member(sink_db)
    one, other = account(campus), account(campus, name="another")
    waiting, bought = paid(sink_db, campus), retired(sink_db, campus)
    line(campus, one, 409, kind="retirement", tonnes="1", order_id=waiting["id"])
    entry = line(campus, one, kind="retirement", tonnes="7", order_id=bought["id"])
    line(campus, other, 409, kind="retirement", tonnes="3.001", order_id=bought["id"])
    line(campus, other, kind="retirement", tonnes="3", order_id=bought["id"], year=YEAR - 1)
    assert body(campus.get(f"/v1/compensation-orders/{bought['id']}"))["claimed_tonnes"] == "10.000"
    body(campus.post(f"/v1/account-entries/{entry['id']}/voiding", {"reason": "typo"}, If_Match=tag(entry)))
    assert body(campus.get(f"/v1/compensation-orders/{bought['id']}"))["claimed_tonnes"] == "3.000"
    line(campus, other, kind="retirement", tonnes="7", order_id=bought["id"])


def test_an_allowance_is_claimed_once_and_not_before_it_has_grown(sink_db: Database) -> None:
    campus = member(sink_db)
    one, other = account(campus), account(campus, name="another")
    adoption = adopted(sink_db)
    grown = Decimal(adoption["first_year"])
    claim = {"kind": "allowance", "adoption_id": adoption["id"]}
    line(campus, one, 409, **claim, tonnes=str(grown + Decimal("0.001")))
    line(campus, one, 409, **claim, tonnes="0.001", year=YEAR - 1)
    line(campus, one, **claim, tonnes=str(grown - 1))
    line(campus, other, 409, **claim, tonnes="1.001")
    line(campus, other, **claim, tonnes="1")
    line(campus, one, 409, **claim, tonnes="0.001")
    shown = body(campus.get(f"/v1/adoptions/{adoption['id']}"))
    assert Decimal(shown["claimed_tonnes"]) == grown


def test_of_two_claims_on_the_last_tonnes_one_is_entered(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "500")
    campus = member(sink_db)
    accounts = [UUID(account(campus, name=name)) for name in ("one", "two")]
    bought = UUID(retired(sink_db, campus)["id"])
    start, outcomes = threading.Barrier(2), []

    def race(account_id: UUID) -> None:
        start.wait(10)
        try:
            with sealed(sink_db.sessions, MEMBER) as session:
                enter(session, account_id, EntryFacts("retirement", YEAR, Decimal(6), order_id=bought))
            outcomes.append("entered")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=race, args=(one,)) for one in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["entered", "refused"]
    with sealed(sink_db.sessions, MEMBER) as session:
        assert session.query(AccountEntry).count() == 1
        assert session.get_one(CompensationOrder, bought).claimed_tonnes == 6


def test_nothing_of_anothers_covers_ones_own_emissions(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "500")
    campus, village = member(sink_db), member(sink_db, OTHER_MEMBER)
    theirs, footprint = retired(sink_db, campus), body(campus.post("/v1/footprints", meeting()), 201)
    adoption = adopted(sink_db)
    own = account(village, kind="village")
    line(village, own, 404, kind="retirement", tonnes="1", order_id=theirs["id"])
    line(village, own, 404, kind="allowance", tonnes="1", adoption_id=adoption["id"])
    line(village, own, 404, kind="emission", footprint_id=footprint["id"])
    # The bureau sees the order and the adoption, and may use neither.
    bureaus = account(bureau(sink_db), kind="enterprise")
    line(bureau(sink_db), bureaus, 409, kind="retirement", tonnes="1", order_id=theirs["id"])
    line(bureau(sink_db), bureaus, 409, kind="allowance", tonnes="1", adoption_id=adoption["id"])
    for path in (f"/v1/zero-carbon-accounts/{own}", f"/v1/zero-carbon-accounts/{own}/balances"):
        body(campus.get(path), 404)
    line(campus, own, 404, kind="emission", tonnes="1", note="not mine")


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"kind": "emission", "tonnes": "1"}, "/note"),
        ({"kind": "emission"}, "/tonnes"),
        ({"kind": "emission", "tonnes": "1", "footprint_id": "00000000-0000-0000-0000-000000000000"}, "/tonnes"),
        ({"kind": "emission", "tonnes": "1", "order_id": "00000000-0000-0000-0000-000000000000"}, "/kind"),
        ({"kind": "allowance", "tonnes": "1"}, "/adoption_id"),
        ({"kind": "retirement", "tonnes": "1"}, "/order_id"),
        ({"kind": "emission", "tonnes": "1", "note": "x", "year": YEAR + 1}, "/year"),
        ({"kind": "emission", "tonnes": "0", "note": "x"}, "/tonnes"),
        ({"kind": "emission", "tonnes": "-1", "note": "x"}, "/tonnes"),
        ({"kind": "gift", "tonnes": "1"}, "/kind"),
    ],
)
def test_a_line_that_cannot_be_is_refused_by_name(sink_db: Database, facts: dict[str, Any], pointer: str) -> None:
    campus = member(sink_db)
    problem = line(campus, account(campus), 422, **facts)
    assert pointer in [error["pointer"] for error in problem["errors"]]


def test_an_account_has_its_name_alone(sink_db: Database) -> None:
    campus = member(sink_db)
    account(campus)
    asked = {"kind": "village", "name": "雁门校区", "county": "youyu"}
    body(campus.post("/v1/zero-carbon-accounts", asked), 409)
    body(member(sink_db, OTHER_MEMBER).post("/v1/zero-carbon-accounts", asked), 201)

"""Requests weighed by the shadow prices of a queue: off until set, dated, refused with the dearest limit's rule."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.guarantee.actions.bid_prices import Asked, bid
from services.guarantee.tables import BidPrices
from shared import clock
from shared.events.parts import PledgedAsset
from tests.guarantee.stories import COUNTY, asked, ready, yuan
from tests.guarantee.test_acceptance import accepted, person, placed, queue
from tests.harness import GUARANTOR, OTHER_GUARANTOR, body, deliver


@pytest.fixture
def manager(guarantee_db, sealed):
    """A manager of a guarantor with room for all."""
    ready(guarantee_db.sessions, sealed)
    return person(guarantee_db, "maker")


def set_prices(who, allocation_id, status=201, **more):
    given = {"allocation_id": allocation_id, "starts_on": clock.today().isoformat()} | more
    return body(who.post("/v1/bid-prices", given), status)


def decided(database, who, **changed):
    """A request and what became of it."""
    request = asked(small_or_farmer=False, **changed)
    deliver("guarantee", database, request)
    return body(who.get("/v1/guarantees", loan_id=str(request.loan_id)))["items"][0]


def pledge(value):
    return PledgedAsset(asset_id=uuid4(), valuation_version=1, county=COUNTY, tonnes=yuan(1), value=yuan(value))


def test_a_loan_worth_less_than_its_room_is_refused_and_the_rule_is_told(guarantee_db, manager):
    where = placed(guarantee_db, manager)
    allocation_id = where.rpartition("/")[2]
    assert (decided(guarantee_db, manager)["state"], decided(guarantee_db, manager)["bid"]) == ("reserved", None)
    made = set_prices(manager, allocation_id)
    assert [(one["kind"], one["key"]) for one in made["prices"]] == [("headroom", "")]
    refused = decided(guarantee_db, manager)
    assert refused["state"] == "refused"
    (reason,) = refused["reasons"]
    assert reason["code"] == "price.headroom"
    assert "State Council Order 683 (2017), art. 15" in reason["en"]
    assert "融资担保责任余额不超过净资产 10 倍" in reason["zh"]
    assert float(refused["bid"]["value"]) == pytest.approx(985_600)
    # 400,000 of weighted liability, at 97 % of what a fen of headroom was worth in the queue.
    assert float(refused["bid"]["price"]) == pytest.approx(400_000 * 0.97 * 985_600 / 300_000, rel=1e-3)
    assert refused["bid"]["bid_prices_id"] == made["id"]
    # Carbon counts; and who must be served is not weighed at all.
    assert decided(guarantee_db, manager, pledges=(pledge(1_000_000),))["state"] == "reserved"
    request = asked()
    deliver("guarantee", guarantee_db, request)
    spared = body(manager.get("/v1/guarantees", loan_id=str(request.loan_id)))["items"][0]
    assert (spared["state"], spared["bid"]) == ("reserved", None)
    set_prices(manager, None)
    assert decided(guarantee_db, manager)["state"] == "reserved"


def test_what_an_accepted_allocation_holds_room_for_is_not_weighed(guarantee_db, manager):
    where = placed(guarantee_db, manager)
    body(accepted(guarantee_db, manager, where))
    set_prices(manager, where.rpartition("/")[2])
    loan = body(manager.get(f"{where}/acceptance"))["loans"][0]["loan"]
    assert decided(guarantee_db, manager, loan_id=UUID(loan))["state"] == "reserved"


def test_prices_count_from_their_day_to_their_last(guarantee_db, manager):
    allocation_id = placed(guarantee_db, manager).rpartition("/")[2]
    tomorrow = (clock.today() + timedelta(days=1)).isoformat()
    set_prices(manager, allocation_id, starts_on=tomorrow, ends_on=tomorrow)
    assert decided(guarantee_db, manager)["bid"] is None
    with clock.travelled(timedelta(days=1)):
        assert decided(guarantee_db, manager)["state"] == "refused"
    with clock.travelled(timedelta(days=2)):
        assert decided(guarantee_db, manager)["bid"] is None
    set_prices(manager, allocation_id, 422, starts_on=tomorrow, ends_on=clock.today().isoformat())


def test_managers_see_the_prices_beside_the_room_that_is_left(guarantee_db, manager):
    assert body(manager.get("/v1/shadow-prices"))["items"] == []
    allocation_id = placed(guarantee_db, manager).rpartition("/")[2]
    (shown,) = body(manager.get("/v1/shadow-prices"))["items"]
    assert (shown["kind"], shown["weighed"], shown["cap"]["amount"]) == ("headroom", False, "2000000000.00")
    set_prices(manager, allocation_id, scale="0.5")
    (now,) = body(manager.get("/v1/shadow-prices"))["items"]
    assert now["weighed"]
    assert float(now["price"]) == pytest.approx(float(shown["price"]) / 2)
    assert float(now["room_worth"]["amount"]) == pytest.approx(float(shown["room_worth"]["amount"]) / 2)


def test_prices_of_another_guarantors_queue_are_not_there(guarantee_db, manager):
    allocation_id = placed(guarantee_db, manager).rpartition("/")[2]
    set_prices(person(guarantee_db, "maker", OTHER_GUARANTOR), allocation_id, 404)
    without = queue()
    without["guarantors"] = without["guarantors"][1:]
    without["contracts"], without["buckets"] = without["contracts"][1:], without["buckets"][1:]
    set_prices(manager, placed(guarantee_db, manager, without).rpartition("/")[2], 409)


def test_a_risky_loan_pays_for_the_loss_rate_and_a_safe_one_is_paid():
    by = BidPrices(
        scale=yuan(1),
        objective={"amount": "1", "carbon": "0", "el": "0"},
        prices=[{"kind": "loss_rate", "key": "", "price": "0.5", "cap_pd_bp": 400}],
    )
    parts = {"primary": 400, "province": 300, "national": 0, "bank": 200, "pool": 100}
    common = {"carbon": 0, "loss_given_default": 0.5, "liability": 400, "parts": parts}
    risky, safe = (
        bid(by, Asked(1_000, default_probability=p, obligor="o", county="c", bank=GUARANTOR, **common))
        for p in (0.05, 0.03)
    )
    assert (risky.price, risky.taken, risky.dearest) == (0.5 * 100 * 400, False, ("loss_rate", ""))
    assert (safe.price, safe.taken) == (-0.5 * 100 * 400, True)

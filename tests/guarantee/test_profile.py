"""The profile: limits follow from it, and lowering them under their use is an explicit state."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from services.guarantee.actions import PARAMETERS
from services.guarantee.actions.guarantees import reserve_guarantee
from services.guarantee.actions.profile import limits, profile_of, set_profile
from services.guarantee.tables import Bucket
from shared import clock
from shared.errors import InvalidError, NotFoundError, PreconditionError
from tests.guarantee.stories import COUNTY, asked, ready, terms, yuan
from tests.harness import GUARANTOR, OTHER_GUARANTOR


def caps(sessions, sealed, **changed):
    ready(sessions, sealed, **changed)
    with sealed(sessions, GUARANTOR) as session:
        return limits(profile_of(session), PARAMETERS.at(clock.today()))


def test_limits_follow_from_net_assets(guarantee_db, sealed):
    found = caps(guarantee_db.sessions, sealed)
    assert found.headroom == 200_000_000_000
    assert found.obligor == 2_000_000_000
    assert found.cap("county", "anywhere") == 60_000_000_000
    assert found.cap("pool", COUNTY) == 1_000_000_000
    assert found.cap("pool", "anywhere") == 0


def test_the_larger_class_may_write_fifteen_times_its_net_assets(guarantee_db, sealed):
    assert caps(guarantee_db.sessions, sealed, leverage_class=15).headroom == 300_000_000_000


def test_equity_in_other_guarantors_and_business_elsewhere_lower_the_limits(guarantee_db, sealed):
    found = caps(
        guarantee_db.sessions,
        sealed,
        equity_in_guarantors=yuan(100_000_000),
        other_liability=yuan("999999999.99"),
    )
    assert (found.headroom, found.obligor) == (1, 1_000_000_000)


def test_business_elsewhere_above_the_limit_leaves_no_room_rather_than_less_than_none(guarantee_db, sealed):
    assert caps(guarantee_db.sessions, sealed, other_liability=yuan(9_000_000_000)).headroom == 0


def test_a_county_twice_is_refused(guarantee_db, sealed):
    one = {"county": COUNTY, "cap": None, "pool_balance": yuan(1)}
    with pytest.raises(InvalidError, match="twice"):
        ready(guarantee_db.sessions, sealed, counties=[one, one])


def test_a_profile_replaces_the_one_before_whole(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    ready(
        guarantee_db.sessions,
        sealed,
        default_probability_ceiling=Decimal("0.05"),
        counties=[
            {"county": COUNTY, "cap": yuan(5), "pool_balance": yuan(6)},
            {"county": "yingxian", "cap": None, "pool_balance": yuan(0)},
        ],
    )
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        row = profile_of(session)
        assert (row.version, row.default_probability_ceiling) == (2, Decimal("0.05"))
        assert [(one.county, one.cap, one.pool_balance) for one in row.counties] == [
            ("yingxian", None, 0),
            (COUNTY, 5, 6),
        ]


def test_a_profile_is_private(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    with pytest.raises(NotFoundError), sealed(guarantee_db.sessions, OTHER_GUARANTOR) as session:
        profile_of(session)
    with sealed(guarantee_db.sessions, OTHER_GUARANTOR) as session:
        assert session.scalars(select(Bucket)).all() == []


def test_the_first_profile_answers_to_no_later_version(guarantee_db, sealed):
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        session.info["expected_version"] = 3
        with pytest.raises(PreconditionError, match="v0"):
            set_profile(session, terms())


def test_a_cap_lowered_under_its_use_is_an_explicit_state_that_ends_when_it_is_raised(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        reserve_guarantee(session, asked())
    for quota, effective in ((yuan(100), 30_000_000), (yuan(300_000), 30_000_000), (yuan(300_001), 30_000_100)):
        ready(guarantee_db.sessions, sealed, province_quota=quota)
        with sealed(guarantee_db.sessions, GUARANTOR) as session:
            bucket = session.scalars(select(Bucket).where(Bucket.kind == "province")).one()
        assert (bucket.cap_effective, bucket.over_limit) == (effective, quota < 300_000)
        assert bucket.room == max(int(quota * 100) - 30_000_000, 0)

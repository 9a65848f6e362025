"""The guarantor's profile, and the limits that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS, capacity
from services.guarantee.formulas import liability
from services.guarantee.tables import County, Profile
from shared import audit, clock, money
from shared.db import locked, tenant
from shared.errors import InvalidError, NotFoundError, PreconditionError
from shared.ids import uuid7
from shared.parameters import InForce

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """Caps of every bucket a guarantor may have, in fen."""

    headroom: int
    obligor: int
    province: int
    national: int
    county: int
    counties: Mapping[str, int]
    pools: Mapping[str, int]

    def cap(self, kind: str, key: str) -> int:
        """The cap of one bucket. [fen]"""
        if kind == "county":
            return self.counties.get(key, self.county)
        if kind == "pool":
            # A county whose pool is not in the profile has promised nothing.
            return self.pools.get(key, 0)
        return int(getattr(self, kind))

    def known(self) -> list[capacity.Place]:
        """Buckets that exist whether or not anything is in them."""
        single = [("headroom", ""), ("national", ""), ("province", "")]
        return [*single, *(("county", key) for key in self.counties), *(("pool", key) for key in self.pools)]


def limits(profile: Profile, p: InForce) -> Limits:
    """The caps that follow from a profile under the parameters in force."""
    net_assets = liability.net_assets_for_ratios(money.fen(profile.net_assets), money.fen(profile.equity_in_guarantors))
    multiple = p["leverage_multiple"]["base" if profile.leverage_class == 10 else "small"]
    other = money.fen(profile.other_liability)
    default = liability.county_room(net_assets, multiple, p["county_cap"], liability=0, held=0)
    return Limits(
        headroom=max(liability.leverage_room(net_assets, multiple, liability=other, held=0), 0),
        obligor=liability.concentration_room(net_assets, p["obligor_limit"], liability=0, held=0),
        province=money.fen(profile.province_quota),
        national=money.fen(profile.national_quota),
        county=default,
        counties={one.county: default if one.cap is None else money.fen(one.cap) for one in profile.counties},
        pools={
            one.county: liability.pool_room(money.fen(one.pool_balance), p["pool_multiple"], promised=0, held=0)
            for one in profile.counties
        },
    )


def profile_of(session: Session) -> Profile:
    """The current institution's profile, or a refusal."""
    profile = session.scalars(select(Profile).where(Profile.institution == tenant(session))).one_or_none()
    if profile is None:
        raise NotFoundError('no profile has been set; POST one with If-Match: "v0"')
    return profile


def profile_for_decision(session: Session) -> Profile | None:
    """The profile, kept from changing until this transaction ends; None if none was set."""
    return session.scalars(
        select(Profile)
        .where(Profile.institution == tenant(session))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def set_profile(session: Session, terms: Mapping[str, Any]) -> Profile:
    """Set the whole profile and move every cap with it; a cap below its use is kept as an explicit over-limit state."""
    counties = [one["county"] for one in terms["counties"]]
    if len(set(counties)) != len(counties):
        raise InvalidError("a county stands twice in the list of counties")
    profile = _locked_profile(session)
    for name in (
        "net_assets",
        "equity_in_guarantors",
        "other_liability",
        "leverage_class",
        "province_quota",
        "national_quota",
        "default_probability_ceiling",
    ):
        setattr(profile, name, terms[name])
    profile.set_at = clock.now()
    profile.counties = [County(institution=tenant(session), **one) for one in terms["counties"]]
    session.flush()
    over = capacity.set_caps(session, limits(profile, PARAMETERS.at(clock.today())))
    if over:
        log.warning("over limit", buckets=[f"{bucket.kind}:{bucket.key}" for bucket in over])
    audit.record(
        session,
        "set_profile",
        profile.id,
        version=profile.version,
        over_limit=[f"{bucket.kind}:{bucket.key}" for bucket in over],
        **{name: str(terms[name]) for name in ("net_assets", "leverage_class", "province_quota", "national_quota")},
    )
    return profile


def _locked_profile(session: Session) -> Profile:
    known = session.scalar(select(Profile.id).where(Profile.institution == tenant(session)))
    if known is not None:
        return locked(session, Profile, known)
    if session.info.pop("expected_version", 0) != 0:
        raise PreconditionError('no profile has been set yet; send If-Match: "v0" to set the first')
    zero = Decimal("0.00")
    profile = Profile(
        id=uuid7(),
        institution=tenant(session),
        net_assets=zero,
        equity_in_guarantors=zero,
        other_liability=zero,
        leverage_class=10,
        province_quota=zero,
        national_quota=zero,
        default_probability_ceiling=None,
        set_at=clock.now(),
        counties=[],
    )
    session.add(profile)
    return profile

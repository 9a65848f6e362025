"""Covenants of a block of loans: the rows of the database as columns, the columns tested, the findings as columns.

Nothing here reads the database or writes it; the numbers come from formulas/covenants.py. A stress test changes the
columns and tests them again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import numpy as np

from services.credit.actions.collateral import LARGEST_RATIO
from services.credit.actions.policy import Policy
from services.credit.formulas import covenants as formulas
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas.covenants import Flags, Floats, Whole
from services.credit.tables import COVERING, Contracts, Pledges, Valuation

QUANTILES = ("p05", "p10", "p50", "p90", "p95")
#: As an ordinal: no day at all.
NEVER = 0


@dataclass(frozen=True)
class Forests:
    """The latest valuations of some assets, one element for each; the last is an asset that was never valued."""

    at: Mapping[UUID, int]
    version: Whole
    county: list[str]
    #: Present value by quantile, in the order of QUANTILES. [CNY]
    values: Floats
    forecast: Floats
    pledged: Floats
    haircut: Floats
    as_of: Whole
    fresh_until: Whole
    #: Issuances to come: of which forest, on which day, how many tonnes, at which price.
    issued_by: Whole
    issued_on: Whole
    issued_tonnes: Floats
    spot: Floats
    #: Fire hazard score; NaN where the valuation carries none.
    fire: Floats

    def __len__(self) -> int:
        return len(self.version)


def forests(policy: Policy, valuations: Mapping[UUID, Valuation]) -> Forests:
    """Valuations as columns, with the haircut of policy where one carries none."""
    rows = list(valuations.values())
    fallback = ltv.price_haircut(
        policy["carbon_price_volatility"], policy["sale_time_years"], policy["price_haircut_confidence"]
    )
    aged = timedelta(days=policy["valuation_maximum_age_days"])
    haircut = [float(row.liquidity_haircut) for row in rows]
    issuances = [
        (place, date.fromisoformat(one["verified_on"]).toordinal(), max(0.0, float(one["mean"])))
        for place, row in enumerate(rows)
        for one in row.removals
    ]
    return Forests(
        at={row.asset_id: place for place, row in enumerate(rows)},
        version=np.array([*(row.version for row in rows), 0]),
        county=[*(row.county for row in rows), ""],
        values=np.array(
            [*([float(getattr(row, f"pv_{name}")) for name in QUANTILES] for row in rows), [np.nan] * len(QUANTILES)]
        ),
        forecast=np.array([*(float(row.forecast_tonnes) for row in rows), 0.0]),
        pledged=np.array([*(float(row.pledged_tonnes) for row in rows), 0.0]),
        haircut=np.array([*(one if one > 0 else fallback for one in haircut), 0.0]),
        as_of=np.array([*(row.as_of.toordinal() for row in rows), NEVER]),
        fresh_until=np.array([*(min(row.as_of + aged, row.valid_until).toordinal() for row in rows), NEVER]),
        issued_by=np.array([one[0] for one in issuances], dtype=np.int64),
        issued_on=np.array([one[1] for one in issuances], dtype=np.int64),
        issued_tonnes=np.array([one[2] for one in issuances], dtype=np.float64),
        spot=np.array([*(float(row.spot_price) for row in rows), np.nan]),
        fire=np.array([*(float(row.hazards.get("fire", "nan")) for row in rows), np.nan]),
    )


@dataclass(frozen=True)
class Block:
    """Loans, their legs and their pledges, as columns."""

    loans: Contracts
    ids: Sequence[str]
    balance: Whole
    called: Flags
    quantile: Whole
    margin: Floats
    cure: Floats
    matures: Whole
    cover_bound: Flags
    cover_until: Whole
    next_due: Whole
    guarantee_released: Flags
    #: Of each pledge: its loan and its forest by place, its tonnes, whether the lien stands or was struck out.
    owner: Whole
    forest: Whole
    asset_ids: list[UUID]
    tonnes: Floats
    pledge_states: Sequence[str]
    placed: Flags
    released: Flags

    def __len__(self) -> int:
        return len(self.ids)


def numbers(told: Sequence[str]) -> Floats:
    """Numbers as the database writes them; NaN where there is none."""
    return np.array([float(one or "nan") for one in told], dtype=np.float64)


def days(told: Sequence[str]) -> Whole:
    """Days by their ordinals; NEVER where there is none."""
    return np.array([int(one or NEVER) for one in told], dtype=np.int64)


def are(told: Sequence[str], *states: str) -> Flags:
    """Whether each is one of these states."""
    return np.array([one in states for one in told], dtype=bool)


def block(loans: Contracts, pledges: Pledges, known: Forests) -> Block:
    """The rows of loans and of their pledges as columns."""
    ids = loans.texts("id")
    place = {one: number for number, one in enumerate(ids)}
    unknown = len(known) - 1
    return Block(
        loans=loans,
        ids=ids,
        balance=np.rint(numbers(loans.texts("balance")) * 100).astype(np.int64),
        called=are(loans.texts("state"), "margin_called"),
        quantile=np.array([QUANTILES.index(one) for one in loans.texts("quantile")], dtype=np.int64),
        margin=numbers(loans.texts("margin")),
        cure=numbers(loans.texts("cure")),
        matures=days(loans.texts("matures_on")),
        cover_bound=are(loans.texts("cover_state"), *COVERING),
        cover_until=days(loans.texts("cover_until")),
        next_due=days(loans.texts("next_due_on")),
        guarantee_released=are(loans.texts("guarantee_state"), "released"),
        owner=np.array([place[one] for one in pledges.loan_ids], dtype=np.int64),
        forest=np.array([known.at.get(one, unknown) for one in pledges.asset_ids], dtype=np.int64),
        asset_ids=pledges.asset_ids,
        tonnes=np.array(pledges.tonnes, dtype=np.float64),
        pledge_states=pledges.states,
        placed=are(pledges.states, "placed"),
        released=are(pledges.states, "released"),
    )


@dataclass(frozen=True)
class Findings:
    """What a test of a block found, one element for each loan."""

    #: Value of the pledges after haircuts; NaN while one of them cannot be valued. [CNY]
    value: Floats
    #: NaN: unknown, or the pledge is worth next to nothing.
    ratio: Floats
    limit: Floats
    #: [fen]
    shortfall: Whole
    unvalued: Flags
    margin_broken: Flags
    cover_lost: Flags
    guarantee_lost: Flags
    pledge_lost: Flags
    #: Last day on which every valuation may be used; NEVER where one may not be.
    fresh_until: Whole
    #: By pledge: its valuation may not be used.
    fault: Flags

    @property
    def broken(self) -> Flags:
        """Loans with a covenant that is broken, which calls the margin."""
        lost = self.cover_lost | self.guarantee_lost | self.pledge_lost
        return self.unvalued | self.margin_broken | lost


def examine(one: Block, known: Forests, on: date) -> Findings:
    """Test loans against the levels of their contracts. What cannot be valued is a breach for the whole balance."""
    today, count = on.toordinal(), len(one)
    owed = one.balance / 100
    # A lien that is asked for and not yet entered secures nothing.
    counts = one.placed
    stale = (known.as_of > today) | (known.fresh_until < today)
    fault = counts & stale[one.forest]
    worth = formulas.pledge_values(
        known.values[one.forest, one.quantile[one.owner]],
        one.tonnes,
        known.forecast[one.forest],
        known.pledged[one.forest],
        known.haircut[one.forest],
    )
    worth = np.where(fault, np.nan, worth)
    value = formulas.sums(worth[counts], one.owner[counts], count)
    unvalued = np.isnan(value)
    ratio = formulas.loan_to_values(owed, value)
    shortfall = formulas.shortfalls(owed, value, one.cure)
    above = formulas.margins_broken(ratio, one.margin, one.cure, one.called)
    nothing_owed = one.balance == 0
    lost = np.zeros(count, dtype=bool)
    lost[one.owner[one.released]] = True
    fresh = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(fresh, one.owner[counts], known.fresh_until[one.forest[counts]])
    return Findings(
        value=value,
        ratio=np.where(nothing_owed, 0.0, np.where(ratio < LARGEST_RATIO, ratio, np.nan)),
        limit=np.where(one.called, one.cure, one.margin),
        shortfall=np.where(nothing_owed, 0, shortfall),
        unvalued=unvalued & ~nothing_owed,
        margin_broken=above & ~unvalued & (shortfall > 0) & ~nothing_owed,
        cover_lost=(~one.cover_bound | ((one.cover_until != NEVER) & (one.cover_until < today))) & ~nothing_owed,
        guarantee_lost=one.guarantee_released & ~nothing_owed,
        pledge_lost=lost & ~nothing_owed,
        fresh_until=np.where(fresh == np.iinfo(np.int64).max, NEVER, fresh),
        fault=fault,
    )


@dataclass(frozen=True)
class IssuanceYears:
    """Income of the pledged part of issuances within the term, one element for each loan and year. [CNY]"""

    owner: Whole
    year: Whole
    income: Floats


def issuance_years(one: Block, known: Forests, on: date) -> IssuanceYears:
    """Expected income of each loan's pledges in each year in which an issuance falls before it matures.

    At the spot price of the valuation, as the income of a loan is shown.
    """
    first, last = (
        np.searchsorted(known.issued_by, one.forest, "left"),
        np.searchsorted(known.issued_by, one.forest, "right"),
    )
    many = np.where(one.placed, last - first, 0)
    pledge = np.repeat(np.arange(len(one.owner)), many)
    which = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first, many)
    day, owner = known.issued_on[which], one.owner[pledge]
    within = (day >= on.toordinal()) & (day <= one.matures[owner])
    pledge, which, owner, day = pledge[within], which[within], owner[within], day[within]
    forest = one.forest[pledge]
    share = one.tonnes[pledge] / np.maximum(
        np.maximum(known.forecast[forest], known.pledged[forest]), one.tonnes[pledge]
    )
    income = known.issued_tonnes[which] * share * known.spot[forest]
    year = np.array([date.fromordinal(each).year for each in day.tolist()], dtype=np.int64)
    keys, at = np.unique(owner * 10_000 + year, return_inverse=True)
    return IssuanceYears(keys // 10_000, keys % 10_000, formulas.sums(income, at, len(keys)))

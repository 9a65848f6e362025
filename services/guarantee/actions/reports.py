"""The report that a regulator and a board expect: figures as of now, each traced to its rule and to the rows behind it.

What can be counted twice is (actions/counts.py), and where the two counts part, the answer says so.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS, counts
from services.guarantee.actions.capacity import Place, Use
from services.guarantee.actions.counts import IN_FORCE, Count, kg
from services.guarantee.actions.profile import Limits, limits, profile_of
from services.guarantee.formulas import call as calls
from services.guarantee.formulas import liability, ratios
from services.guarantee.formulas.amortisation import amortised_use
from services.guarantee.formulas.split import split
from services.guarantee.tables import LIVE, Call, Guarantee, JournalRow, Profile, Recovery, Reservation
from shared import clock, money, spreadsheets
from shared.parameters import InForce

#: Differences that an answer lists; it counts them all.
_MOST_DIFFERENCES = 100

#: What a report of this kind should hold and this service does not know.
MISSING = (
    "limit on a group of related obligors: groups are not known here",
    "farmers apart from small businesses: a request does not tell them apart",
    "asset grades and reserves: the guarantor does not report its assets and its fee income of a year here",
    "forest area (mu): a request names assets and tonnes, not areas",
    "what province, national fund and pool have paid: this service is not told, so what they owe is before it",
    "compensation rate of one year: the day on which a guarantee ended is not kept, so it is of all years",
    "business outside this service: only its liability is known, as the guarantor says it",
)


# -- what can be drilled into -----------------------------------------------------------------------------------------


class Rows(NamedTuple):
    """The rows that a figure is the sum of: their noun, which they are, and what each one brings. [fen or kg]"""

    noun: str
    table: type[Any]
    which: tuple[Any, ...]
    value: Callable[[Any], int]
    unit: str = "CNY"

    @property
    def statement(self) -> Select[Any]:
        """All of them."""
        return select(self.table).where(*self.which)

    def count(self, session: Session) -> int:
        """How many they are."""
        return session.scalar(select(func.count()).select_from(self.table).where(*self.which)) or 0


def _guaranteed(guarantee: Guarantee) -> int:
    return calls.gross_payment(money.fen(guarantee.balance), guarantee.shares_bp)


def _signed(account: str) -> Callable[[JournalRow], int]:
    return lambda row: money.fen(row.amount) if row.debit == account else -money.fen(row.amount)


def _used(party: str) -> Callable[[Reservation], int]:
    return lambda one: amortised_use(getattr(one, party), one.balance, one.amount)


_LIVE = Reservation.state.in_(LIVE)
_FORCE = Guarantee.state.in_(IN_FORCE)

ROWS: Mapping[str, Rows] = {
    "liability.in_force": Rows(
        "reservation", Reservation, (Reservation.state == "posted",), lambda one: int(one.liability)
    ),
    "liability.held": Rows(
        "reservation", Reservation, (Reservation.state == "pending",), lambda one: int(one.liability)
    ),
    "concentration.obligor": Rows("reservation", Reservation, (_LIVE,), lambda one: int(one.liability)),
    "concentration.county": Rows("reservation", Reservation, (_LIVE,), lambda one: int(one.liability)),
    "reguarantee.province": Rows("reservation", Reservation, (_LIVE, Reservation.province > 0), _used("province")),
    "reguarantee.national": Rows("reservation", Reservation, (_LIVE, Reservation.national > 0), _used("national")),
    "view.gross": Rows("guarantee", Guarantee, (_FORCE,), _guaranteed),
    "view.net": Rows(
        "guarantee", Guarantee, (_FORCE,), lambda one: split(money.fen(one.balance), one.shares_bp)["primary"]
    ),
    "view.cash_back": Rows(
        "guarantee",
        Guarantee,
        (_FORCE,),
        lambda one: sum(calls.reimbursement_claims(money.fen(one.balance), one.shares_bp).values()),
    ),
    "compensation.open": Rows("call", Call, (Call.state == "open",), lambda one: money.fen(one.payable)),
    "compensation.paid": Rows("call", Call, (Call.state == "paid",), lambda one: money.fen(one.paid)),
    "compensation.recovered": Rows("recovery", Recovery, (), lambda one: money.fen(one.net - one.share_bank)),
    "compensation.subrogated": Rows("call", Call, (Call.state == "paid",), lambda one: money.fen(one.subrogated_claim)),
    "compensation.released": Rows(
        "guarantee",
        Guarantee,
        (Guarantee.state == "released", Guarantee.issued_on.is_not(None)),
        lambda one: money.fen(one.guaranteed),
    ),
    **{
        f"receivable.{party}": Rows(
            "journal_row", JournalRow, (or_(JournalRow.debit == party, JournalRow.credit == party),), _signed(party)
        )
        for party in calls.REIMBURSERS
    },
    "support.all": Rows("guarantee", Guarantee, (_FORCE,), _guaranteed),
    "support.small": Rows("guarantee", Guarantee, (_FORCE, Guarantee.small_or_farmer), _guaranteed),
    "carbon.pledged": Rows(
        "guarantee", Guarantee, (_FORCE, Guarantee.pledged_tonnes.is_not(None)), lambda one: kg(one.pledged_tonnes), "t"
    ),
}


def rows_of(session: Session, figure: str) -> Rows:
    """The rows behind a figure as they are now; of a concentration those of the largest one."""
    rows = ROWS[figure]
    if not figure.startswith("concentration."):
        return rows
    kind = figure.removeprefix("concentration.")
    key = _largest(counts.kept_uses(session), kind)[0]
    return rows._replace(which=(*rows.which, getattr(Reservation, kind) == key))


def shown(rows: Rows, row: Any) -> dict[str, Any]:
    """One row as the answer shows it."""
    loan = getattr(row, "loan_id", None)
    return {"kind": rows.noun, "id": row.id, "loan_id": loan, "value": _text(rows.unit, rows.value(row))}


# -- figures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """The equation behind a figure, as its docstring cites it."""

    number: str
    source: str
    verified: str

    @classmethod
    def of(cls, formula: Callable[..., Any]) -> "Rule":
        """Read from the docstring, the one place where it stands."""
        told = inspect.getdoc(formula) or ""
        cited = re.search(r"Eq\. \((\w+)\).*^Source: (.+)\. Verified: (\w+)\.$", told, re.M | re.S)
        assert cited is not None
        return cls(*cited.groups())


@dataclass(frozen=True)
class Figure:
    """One number of the report: amounts in fen, tonnes in kg, the rest pure; None where there is nothing to count."""

    name: str
    zh: str
    en: str
    unit: str
    value: int | float | None
    rule: Rule
    #: The same number, summed without what is kept; None for what is only worked out of other figures.
    anew: int | None = None
    #: Which obligor or county it is about.
    key: str = ""
    limit: int | float | None = None
    #: Whether the limit is one to stay below or to reach.
    at_most: bool = True
    #: The coefficients it rests on.
    parameters: tuple[str, ...] = ()
    #: The figures it is worked out of; itself if it has rows of its own.
    made_of: tuple[str, ...] = ()

    @property
    def headroom(self) -> int | float | None:
        """What is left to the limit; below 0 it is broken."""
        if self.value is None or self.limit is None:
            return None
        return self.limit - self.value if self.at_most else self.value - self.limit

    @property
    def difference(self) -> int | None:
        """Kept less counted anew."""
        return None if self.anew is None or self.value is None else int(self.value) - self.anew

    def text(self, number: int | float | None) -> str | None:
        """A number of this figure as it is written."""
        return None if number is None else _text(self.unit, number)


def _text(unit: str, number: int | float) -> str:
    """CNY with fen, tonnes with kg, counts whole, ratios with six decimals."""
    if unit == "CNY":
        return f"{money.from_fen(int(number)):.2f}"
    if unit == "t":
        return f"{Decimal(number).scaleb(-3):.3f}"
    return str(number) if unit == "loans" else f"{number:.6f}"


@dataclass(frozen=True)
class Difference:
    """Where the two counts part."""

    what: str
    key: str
    kept: str
    anew: str
    difference: str


@dataclass
class Report:
    """A guarantor's report as of a moment."""

    at: datetime
    profile: Profile
    parameters: InForce
    figures: list[Figure]
    #: How many rows each of ROWS has.
    counts: Mapping[str, int]
    compared: int
    differences: list[Difference] = field(default_factory=list)

    def rows(self, figure: Figure) -> int:
        """How many rows a figure rests on."""
        return sum(self.counts[name] for name in figure.made_of)


def report(session: Session) -> Report:
    """Count everything, twice where it can be, and say where the two counts part."""
    p = PARAMETERS.at(clock.today())
    profile = profile_of(session)
    kept, anew = counts.kept(session, p), counts.anew(session, p)
    figures = [
        *_liability(kept, anew, profile, p),
        *_concentration(kept, anew, limits(profile, p)),
        *_views(kept, anew),
        *_compensation(kept, anew),
        *_support(kept, anew, p),
    ]
    rows = {name: rows_of(session, name).count(session) for name in ROWS}
    places = sorted(kept.uses.keys() | anew.uses.keys())
    differences = [
        Difference(f"{kind}.{phase}", key, *(f"{money.from_fen(one):.2f}" for one in (*pair, pair[0] - pair[1])))
        for kind, key in places
        for phase, *pair in zip(("posted", "pending"), kept.use(kind, key), anew.use(kind, key), strict=True)
        if pair[0] != pair[1]
    ]
    differences += [
        Difference(one.name, one.key, *(str(one.text(n)) for n in (one.value, one.anew, one.difference)))
        for one in figures
        if one.difference
    ]
    compared = 2 * len(places) + sum(one.anew is not None for one in figures)
    return Report(clock.now(), profile, p, figures, rows, compared, differences)


def view(made: Report) -> dict[str, Any]:
    """A report as the answer shows it."""
    p, profile = made.parameters, made.profile
    used = sorted({name for one in made.figures for name in one.parameters})
    return {
        "at": made.at,
        "guarantor": profile.institution,
        "profile_version": profile.version,
        "leverage_class": profile.leverage_class,
        "parameters_hash": p.digest,
        "unverified_parameters": [name for name in used if p.entries[name].verified == "no"],
        "figures": [
            {
                **{name: getattr(one, name) for name in ("name", "zh", "en", "unit", "key")},
                **{name: one.text(getattr(one, name)) for name in ("value", "limit", "headroom", "anew", "difference")},
                "limit_is": None if one.limit is None else "most" if one.at_most else "least",
                "rule": one.rule.number,
                "source": one.rule.source,
                "verified": one.rule.verified,
                "parameters": [_told(p, name) for name in one.parameters],
                "parameters_hash": p.digest,
                "rows": made.rows(one),
                "rows_of": [name for name in one.made_of if name in ROWS],
            }
            for one in made.figures
        ],
        "reconciliation": {
            "agrees": not made.differences,
            "compared": made.compared,
            "differences": len(made.differences),
            "first": made.differences[:_MOST_DIFFERENCES],
        },
        "missing": MISSING,
    }


#: Columns of the report as a table.
COLUMNS = (
    *("name", "zh", "en", "key", "value", "unit", "limit", "limit_is", "headroom", "anew", "difference"),
    *("rule", "source", "verified", "parameters", "parameters_hash", "rows", "rows_of", "at", "guarantor"),
)


def table(made: Report, format_: str) -> bytes:
    """The report as a file, a line for each figure."""
    whole = view(made)
    common = {"at": made.at.isoformat(), "guarantor": made.profile.institution}
    lines = []
    for one in whole["figures"]:
        told = one | common | {"rows_of": " ".join(one["rows_of"]), "parameters": "; ".join(one["parameters"])}
        lines.append(["" if told[name] is None else str(told[name]) for name in COLUMNS])
    return spreadsheets.written(format_, COLUMNS, lines)


def _told(p: InForce, name: str) -> str:
    entry = p.entries[name]
    return f"{name} from {entry.from_} ({entry.source}; verified: {entry.verified})"


# -- the parts of the report ------------------------------------------------------------------------------------------

_WEIGHTS = ("small_threshold", "small_weight", "full_weight", "weight_applies_to", "deduct_reguarantee")


def _liability(kept: Count, anew: Count, profile: Profile, p: InForce) -> Iterator[Figure]:
    weighed = Rule.of(liability.weighted_liability)
    (posted, pending), (posted_anew, pending_anew) = kept.use("headroom"), anew.use("headroom")
    other = money.fen(profile.other_liability)
    assets = liability.net_assets_for_ratios(money.fen(profile.net_assets), money.fen(profile.equity_in_guarantors))
    multiple = p["leverage_multiple"]["base" if profile.leverage_class == 10 else "small"]
    own, held = ("liability.in_force",), ("liability.held",)
    yield Figure(
        own[0], "在保责任余额", "liability balance in force", "CNY", posted, weighed, posted_anew, parameters=_WEIGHTS,
        made_of=own,
    )  # fmt: skip
    yield Figure(
        held[0], "已占用未出函的责任余额", "liability held for loans not yet issued", "CNY", pending, weighed,
        pending_anew, parameters=_WEIGHTS, made_of=held,
    )  # fmt: skip
    yield Figure(
        "liability.other", "系统外责任余额（机构自报）", "liability outside this service, as the guarantor says", "CNY",
        other, weighed,
    )  # fmt: skip
    yield Figure(
        "liability.total", "融资担保责任余额合计（含占用）", "liability balance in all, with what is held", "CNY",
        posted + pending + other, Rule.of(liability.leverage_room), limit=multiple * assets,
        parameters=("leverage_multiple", *_WEIGHTS), made_of=own + held,
    )  # fmt: skip
    yield Figure(
        "liability.leverage", "放大倍数", "leverage, liability in force in multiples of net assets", "-",
        ratios.leverage(posted + other, assets) if assets else None, Rule.of(ratios.leverage), limit=multiple,
        parameters=("leverage_multiple", *_WEIGHTS), made_of=own,
    )  # fmt: skip
    test = p["leverage_test"]
    steps, weighed_small, weighed_all = p["leverage_multiple"], kept.liability[True], sum(kept.liability.values())
    yield Figure(
        "liability.leverage_by_test", "按小微和农户占比可用的放大倍数", "multiple that the book would earn", "-",
        liability.leverage_multiple(
            ratios.share_of_book(weighed_small, weighed_all), kept.small_obligors / kept.obligors,
            test["balance_share"], test["household_share"], steps["base"], steps["small"],
        ) if weighed_all and kept.obligors else None,
        Rule.of(liability.leverage_multiple), parameters=("leverage_multiple", "leverage_test"), made_of=own,
    )  # fmt: skip


def _largest(uses: Mapping[Place, Use], kind: str) -> tuple[str, int]:
    """The key with the largest use, taken and held; the first by name among equals. [-, fen]"""
    found = ((key, sum(use)) for (one, key), use in uses.items() if one == kind)
    return min(found, key=lambda pair: (-pair[1], pair[0]), default=("", 0))


def _concentration(kept: Count, anew: Count, caps: Limits) -> Iterator[Figure]:
    for kind, zh, en, formula, parameter in (
        (
            "obligor",
            "单户最大责任余额",
            "largest obligor, taken and held",
            liability.concentration_room,
            "obligor_limit",
        ),
        ("county", "单县最大责任余额", "largest county, taken and held", liability.county_room, "county_cap"),
    ):
        key, most = _largest(kept.uses, kind)
        name = f"concentration.{kind}"
        yield Figure(
            name, zh, en, "CNY", most, Rule.of(formula), _largest(anew.uses, kind)[1], key, caps.cap(kind, key),
            parameters=(parameter, *_WEIGHTS), made_of=(name,),
        )  # fmt: skip
    for kind, zh, en in (
        ("province", "省级再担保占用", "taken of the provincial quota"),
        ("national", "国担基金占用", "taken of the national quota"),
    ):
        name = f"reguarantee.{kind}"
        yield Figure(
            name, zh, en, "CNY", sum(kept.use(kind)), Rule.of(amortised_use), sum(anew.use(kind)),
            limit=caps.cap(kind, ""), made_of=(name,),
        )  # fmt: skip


def _views(kept: Count, anew: Count) -> Iterator[Figure]:
    for name, zh, en, formula in (
        ("view.gross", "对银行的担保余额（总额）", "gross: owed to the banks if all were called", calls.gross_payment),
        ("view.net", "分担后自留（净额）", "net: kept once all others reimburse", calls.finally_borne),
        ("view.cash_back", "先垫付、后收回", "cash: paid first and claimed back", calls.reimbursement_claims),
    ):
        yield Figure(
            name, zh, en, "CNY", kept.sums[name], Rule.of(formula), anew.sums[name], made_of=(name,)
        )  # fmt: skip


def _compensation(kept: Count, anew: Count) -> Iterator[Figure]:
    claim = calls.reimbursement_claims
    for name, zh, en, formula in (
        ("compensation.open", "待代偿金额", "called and not yet paid", calls.gross_payment),
        ("compensation.paid", "累计代偿", "calls paid so far", calls.gross_payment),
        (
            "compensation.recovered",
            "累计追偿（银行以外各方）",
            "recovered so far for all but the banks",
            calls.recovery_shares,
        ),
        ("compensation.subrogated", "代位求偿余额", "left of the claims on debtors", calls.subrogated_claim),
        ("receivable.province", "应收省级再担保", "owed by the provincial re-guarantor, recoveries taken off", claim),
        ("receivable.national", "应收国担基金", "owed by the national fund, recoveries taken off", claim),
        ("receivable.pool", "应收风险补偿资金池", "owed by the reimbursement pools, recoveries taken off", claim),
        ("compensation.released", "累计解除担保额", "guaranteed amounts that ended so far", liability.loss_rate),
    ):
        yield Figure(name, zh, en, "CNY", kept.sums[name], Rule.of(formula), anew.sums[name], made_of=(name,))
    paid, released = kept.sums["compensation.paid"], kept.sums["compensation.released"]
    yield Figure(
        "compensation.rate", "累计代偿率", "compensation rate, paid / released, of all years", "-",
        liability.loss_rate(paid, released) if released else None, Rule.of(liability.loss_rate),
        made_of=("compensation.paid", "compensation.released"),
    )  # fmt: skip


#: No equation: what the request said, added up.
_AS_REQUESTED = Rule("", "the bank's request for the guarantee", "no")


def _support(kept: Count, anew: Count, p: InForce) -> Iterator[Figure]:
    mix, share = p["policy_mix"], Rule.of(ratios.share_of_book)
    for name, zh, en in (
        ("support.all", "在保担保余额", "guaranteed balance in force"),
        ("support.small", "小微和农户在保担保余额", "of it for small and farming borrowers"),
    ):
        gross = Rule.of(calls.gross_payment)
        yield Figure(name, zh, en, "CNY", kept.sums[name], gross, anew.sums[name], made_of=(name,))
        loans = f"{name}.loans"
        yield Figure(
            loans, f"{zh}：笔数", f"{en}: loans", "loans", kept.sums[loans], gross, anew.sums[loans], made_of=(name,)
        )  # fmt: skip
    yield Figure(
        "carbon.pledged", "在保贷款质押的碳汇量（按申请）", "tonnes CO2e pledged for loans in force, as requested", "t",
        kept.sums["carbon.pledged"], _AS_REQUESTED, anew.sums["carbon.pledged"], made_of=("carbon.pledged",),
    )  # fmt: skip
    whole, small, household = (kept.sums[f"support.{one}"] for one in ("all", "small", "small_household"))
    yield Figure(
        "support.small_share", "小微和农户占比", "share of small and farming borrowers (government guarantors)",
        "-", ratios.share_of_book(small, whole) if whole else None, share, limit=mix["small_and_agri_share"],
        at_most=False, parameters=("policy_mix",), made_of=("support.small", "support.all"),
    )  # fmt: skip
    yield Figure(
        "support.small_household_share", "其中单户五百万元及以下占比",
        "of small and farming borrowers, those within the limit of a small household at this guarantor", "-",
        ratios.share_of_book(household, small) if small else None, share, limit=mix["small_household_share"],
        at_most=False, parameters=("policy_mix",), made_of=("support.small",),
    )  # fmt: skip

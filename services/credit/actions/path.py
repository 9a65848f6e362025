"""A path to yes: the smallest allowed changes of a request with which the same rulebook approves it.

A move changes what the borrower may choose: amount, term, product, tonnes, forests, cover, guarantee. What a person or
a firm is cannot be moved. Each kind of move is a ladder of steps, each dearer than the one before; a path is a step on
some ladders. Every path that is told was underwritten again by `underwrite` and came out approved; no step of it can
be lower while the others stay. That nothing flips the decision is said as the outcome of the same search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

from services.credit.actions import collateral as pledge
from services.credit.actions.collateral import Collateral
from services.credit.actions.policy import PATH, Policy, policy
from services.credit.actions.underwriting import Case, Rulebook, Underwritten, underwrite
from shared.events.parts import Reason

#: Amounts are cut to whole thousands of yuan. [fen]
_ROUND = 100_000
#: How many paths are told.
MOST_PATHS = 3
#: How finely each ladder is tried when several kinds of move are combined, before each step is lowered one by one.
_PARTS = {2: 4, 3: 2}


@dataclass(frozen=True, slots=True)
class Move:
    """A step on one ladder: what it costs, what it changes, and what it asks for."""

    kind: str
    step: int
    cost: float
    before: str
    after: str
    says: Reason


@dataclass(frozen=True, slots=True)
class Path:
    """Changes that together bring a yes, the case with them, and what is then said."""

    moves: tuple[Move, ...]
    cost: float
    case: Case
    found: Underwritten


@dataclass(frozen=True, slots=True)
class Search:
    """What the search for a path found."""

    outcome: str
    paths: tuple[Path, ...]
    #: Why there is none, if there is none.
    none: Reason | None
    #: How many requests were underwritten.
    tried: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """A kind of move: how many steps a case has of it, and the case after some of them."""

    steps: Callable[[Policy, Case], int]
    moved: Callable[[Policy, Case, int], Case]
    #: What it changes, before and after; and what it asks for.
    told: Callable[[Case, Case], tuple[str, str, Reason]]


def search(book: Rulebook, case: Case) -> Search:
    """Find up to three ways to a yes, the cheapest first; none asks for all that another asks for, and more."""
    outcome = underwrite(book, case).outcome
    if outcome == "approve":
        return Search(outcome, (), None, 1)
    on = date.fromisoformat(case.facts.on)
    if pledge.faults(book.judged_by, case.assets, on):
        return Search(outcome, (), _REVALUE, 1)
    grid = policy(on, PATH)
    ladders = {kind: steps for kind, ladder in LADDERS.items() if (steps := ladder.steps(grid, case)) > 0}

    @cache
    def approved(key: tuple[tuple[str, int], ...]) -> bool:
        return underwrite(book, moved(grid, case, dict(key))).outcome == "approve"

    def enough(chosen: Mapping[str, int]) -> bool:
        return approved(tuple((kind, chosen[kind]) for kind in LADDERS if chosen.get(kind)))

    ways: list[dict[str, int]] = []
    for size in (1, *_PARTS):
        for kinds in combinations(ladders, size):
            if not any(set(way) <= set(kinds) for way in ways):
                start = _first(enough, {kind: ladders[kind] for kind in kinds})
                if start is not None:
                    ways.append(_lowered(enough, start))
        if len(ways) >= MOST_PATHS:
            break
    paths = _undominated([_path(book, grid, case, way) for way in ways])
    paths.sort(key=lambda path: (path.cost, len(path.moves), [move.kind for move in path.moves]))
    told = tuple(paths[:MOST_PATHS])
    return Search(outcome, told, None if told else _NONE, 1 + approved.cache_info().misses)


def moved(grid: Policy, case: Case, chosen: Mapping[str, int]) -> Case:
    """The case after some steps on some ladders."""
    for kind, ladder in LADDERS.items():
        if chosen.get(kind):
            case = ladder.moved(grid, case, chosen[kind])
    return case


def _path(book: Rulebook, grid: Policy, case: Case, way: Mapping[str, int]) -> Path:
    moves = []
    for kind, ladder in LADDERS.items():
        if way.get(kind):
            before, after, says = ladder.told(case, ladder.moved(grid, case, way[kind]))
            cost = round(way[kind] * grid["path_costs"][kind], 6)
            moves.append(Move(kind, way[kind], cost, before, after, says))
    whole = moved(grid, case, way)
    return Path(tuple(moves), round(sum(move.cost for move in moves), 6), whole, underwrite(book, whole))


def _first(enough: Callable[[Mapping[str, int]], bool], ladders: Mapping[str, int]) -> dict[str, int] | None:
    """The first steps that are enough together: every one of a single ladder, a coarse choice of several."""
    parts = _PARTS.get(len(ladders))
    choices = [
        range(1, steps + 1) if parts is None else sorted({max(1, steps * one // parts) for one in range(1, parts + 1)})
        for steps in ladders.values()
    ]
    for steps in sorted(product(*choices), key=sum):
        chosen = dict(zip(ladders, steps, strict=True))
        if enough(chosen):
            return chosen
    return None


def _lowered(enough: Callable[[Mapping[str, int]], bool], start: Mapping[str, int]) -> dict[str, int]:
    """Lower each step as far as the others allow, until none can be lowered; a step of 0 falls out."""
    chosen, before = dict(start), dict[str, int]()
    while chosen != before:
        before = dict(chosen)
        for kind in before:
            chosen[kind] = next(step for step in range(chosen[kind] + 1) if enough({**chosen, kind: step}))
        chosen = {kind: step for kind, step in chosen.items() if step}
    return chosen


def _undominated(paths: Sequence[Path]) -> list[Path]:
    """Without the paths that ask for at least as much of everything as another does, and without doubles."""
    asked = [{move.kind: move.step for move in path.moves} for path in paths]

    def worse(mine: Mapping[str, int], other: Mapping[str, int]) -> bool:
        return mine != other and all(step <= mine.get(kind, 0) for kind, step in other.items())

    return [
        path
        for number, (path, mine) in enumerate(zip(paths, asked, strict=True))
        if mine not in asked[:number] and not any(worse(mine, other) for other in asked)
    ]


# -- ladders ----------------------------------------------------------------------------------------------------------


def _amount_steps(grid: Policy, case: Case) -> int:
    return int(round(grid["path_grid"]["amount_largest_cut"] / grid["path_grid"]["amount"], 6))


def _less_amount(grid: Policy, case: Case, step: int) -> Case:
    left = round(case.facts.amount * (1 - step * grid["path_grid"]["amount"]))
    return replace(case, facts=replace(case.facts, amount=max(_ROUND, left // _ROUND * _ROUND)))


def _say_amount(case: Case, after: Case) -> tuple[str, str, Reason]:
    asked, left = case.facts.amount / 100, after.facts.amount / 100
    says = Reason(
        code="borrow_less",
        zh=f"借款金额由 {asked:,.2f} 元减至 {left:,.2f} 元,其余 {asked - left:,.2f} 元以自有资金或首付解决",
        en=f"borrow CNY {left:,.2f} instead of {asked:,.2f} and bring the other {asked - left:,.2f} yourself",
    )
    return f"{asked:.2f}", f"{left:.2f}", says


def _term_steps(grid: Policy, case: Case) -> int:
    room: int = case.facts.term_months - grid["path_grid"]["term_shortest"]
    return max(0, room // int(grid["path_grid"]["term"]))


def _shorter(grid: Policy, case: Case, step: int) -> Case:
    months = case.facts.term_months - step * grid["path_grid"]["term"]
    return replace(case, facts=replace(case.facts, term_months=months))


def _say_term(case: Case, after: Case) -> tuple[str, str, Reason]:
    asked, left = case.facts.term_months, after.facts.term_months
    says = Reason(
        code="shorter_term",
        zh=f"期限由 {asked} 个月缩短为 {left} 个月",
        en=f"repay in {left} months instead of {asked}",
    )
    return str(asked), str(left), says


def _say_product(case: Case, after: Case) -> tuple[str, str, Reason]:
    says = Reason(
        code="term_loan",
        zh="改为一次性放款的定期贷款,不用循环额度",
        en="take a term loan instead of a revolving line",
    )
    return "revolving", "term", says


def _say_verifier(case: Case, after: Case) -> tuple[str, str, Reason]:
    says = Reason(code="name_verifier", zh="补充已签发减排量的核查机构", en="name who verified the issued units")
    return "", "named", says


def _room(asset: Collateral) -> float:
    """Tonnes of an asset that are free and not yet asked for."""
    return max(0.0, min(asset.free_tonnes, asset.forecast_tonnes) - asset.tonnes)


def _more_tonnes(grid: Policy, case: Case, step: int) -> Case:
    part = step * grid["path_grid"]["tonnes"]
    assets = tuple(replace(one, tonnes=round(one.tonnes + part * _room(one), 3)) for one in case.assets)
    return replace(case, assets=assets)


def _fewer_tonnes(grid: Policy, case: Case, step: int) -> Case:
    assets = tuple(replace(one, tonnes=min(one.tonnes, one.forecast_tonnes)) for one in case.assets)
    return replace(case, assets=assets)


def _say_tonnes(case: Case, after: Case) -> tuple[str, str, Reason]:
    asked, left = (sum(asset.tonnes for asset in one.assets) for one in (case, after))
    says = Reason(
        code="pledge_tonnes",
        zh=f"质押数量由 {asked:,.3f} 吨改为 {left:,.3f} 吨(同一批林地的可质押量之内)",
        en=f"pledge {left:,.3f} t of the same forests instead of {asked:,.3f}",
    )
    return f"{asked:.3f}", f"{left:.3f}", says


def _further_forest(grid: Policy, case: Case, step: int) -> Case:
    """One more forest of the kind and place of the largest one, so many parts of it."""
    like = max(case.assets, key=lambda asset: (asset.p50 or 0.0, asset.asset_id))
    part = step * grid["path_grid"]["forest"]
    counted = part * pledge.share(like)
    values = {name: counted * (getattr(like, name) or 0.0) for name in ("p05", "p10", "p50", "p90", "p95")}
    tonnes = round(part * like.tonnes, 3)
    more = replace(
        like,
        asset_id=_FURTHER,
        tonnes=tonnes,
        forecast_tonnes=tonnes,
        free_tonnes=tonnes,
        pledged_tonnes=0.0,
        issued_tonnes=part * like.issued_tonnes if pledge.verification_state(like) == "issued" else 0.0,
        **values,
    )
    return replace(case, assets=(*case.assets, more))


def _say_forest(case: Case, after: Case) -> tuple[str, str, Reason]:
    more = after.assets[-1]
    says = Reason(
        code="pledge_forest",
        zh=f"追加质押另一片同类林地:不少于 {more.tonnes:,.0f} 吨,估值中位数不低于 {more.p50:,.2f} 元、"
        f"P10 不低于 {more.p10:,.2f} 元",
        en=f"pledge a further forest of the same kind: at least {more.tonnes:,.0f} t, valued at no less than"
        f" CNY {more.p50:,.2f} at the median and {more.p10:,.2f} at p10",
    )
    return "0", f"{more.p10:.2f}", says


def _guarantee_steps(grid: Policy, case: Case) -> int:
    if case.legs is not None and case.legs.guarantors is not None:
        return 0
    room = 1 - grid["bank_minimum_retained_share"] - case.facts.guaranteed_share
    return max(0, int(round(room / grid["path_grid"]["guarantee"], 6)))


def _more_guarantee(grid: Policy, case: Case, step: int) -> Case:
    share = round(case.facts.guaranteed_share + step * grid["path_grid"]["guarantee"], 8)
    return replace(case, facts=replace(case.facts, guaranteed_share=share))


def _say_guarantee(case: Case, after: Case) -> tuple[str, str, Reason]:
    asked, left = case.facts.guaranteed_share, after.facts.guaranteed_share
    says = Reason(
        code="more_guarantee",
        zh=f"担保比例由 {asked:.0%} 提高到 {left:.0%}(选用相应的分担方案)",
        en=f"have {left:.0%} guaranteed instead of {asked:.0%}, under a scheme that bears it",
    )
    return f"{asked:.4f}", f"{left:.4f}", says


def _cover_steps(grid: Policy, case: Case) -> int:
    return 0 if case.legs is None or not case.assets else round(1 / grid["path_grid"]["cover"])


def _more_cover(grid: Policy, case: Case, step: int) -> Case:
    assert case.legs is not None
    worth = sum(pledge.present_values(case.assets, "p50"))
    insured = round(max(case.legs.sum_insured, worth * step * grid["path_grid"]["cover"]), 2)
    return replace(case, legs=replace(case.legs, sum_insured=insured))


def _say_cover(case: Case, after: Case) -> tuple[str, str, Reason]:
    assert case.legs is not None
    assert after.legs is not None
    asked, left = case.legs.sum_insured, after.legs.sum_insured
    says = Reason(
        code="more_cover",
        zh=f"为质押林地投保,保险金额不低于 {left:,.2f} 元,银行为第一受益人",
        en=f"insure the pledged forest for at least CNY {left:,.2f} with the bank as loss payee",
    )
    return f"{asked:.2f}", f"{left:.2f}", says


_FURTHER = "further-forest"
LADDERS: Mapping[str, Ladder] = MappingProxyType(
    {
        "verifier": Ladder(
            lambda _, case: int(
                case.facts.verifier is None and any(pledge.verification_state(one) == "issued" for one in case.assets)
            ),
            lambda _, case, __: replace(case, facts=replace(case.facts, verifier="named")),
            _say_verifier,
        ),
        "product": Ladder(
            lambda _, case: int(case.facts.revolving),
            lambda _, case, __: replace(case, facts=replace(case.facts, revolving=False)),
            _say_product,
        ),
        "amount": Ladder(_amount_steps, _less_amount, _say_amount),
        "term": Ladder(_term_steps, _shorter, _say_term),
        "fewer_tonnes": Ladder(
            lambda _, case: int(any(one.tonnes > one.forecast_tonnes for one in case.assets)),
            _fewer_tonnes,
            _say_tonnes,
        ),
        "tonnes": Ladder(
            lambda grid, case: round(1 / grid["path_grid"]["tonnes"]) if any(map(_room, case.assets)) else 0,
            _more_tonnes,
            _say_tonnes,
        ),
        "forest": Ladder(
            lambda grid, case: (
                round(grid["path_grid"]["forest_most"] / grid["path_grid"]["forest"]) if case.assets else 0
            ),
            _further_forest,
            _say_forest,
        ),
        "guarantee": Ladder(_guarantee_steps, _more_guarantee, _say_guarantee),
        "cover": Ladder(_cover_steps, _more_cover, _say_cover),
    }
)

_REVALUE = Reason(
    code="no_path_without_valuation",
    zh="押品没有可用的估值,任何条件调整都无法计算;请先由登记方完成估值",
    en="a forest has no usable valuation, so no change can be judged; have it valued first",
)
_NONE = Reason(
    code="no_path",
    zh="在允许调整的范围内(金额、期限、产品、质押量、追加林地、担保、保险)没有找到可获批准的方案",
    en="within what may be changed (amount, term, product, tonnes, further forest, guarantee, cover) no request was"
    " found that is approved",
)


# -- as told ----------------------------------------------------------------------------------------------------------


def show(found: Search) -> dict[str, Any]:
    """A search as it is told."""
    return {
        "outcome": found.outcome,
        "paths": [
            {
                "cost": path.cost,
                "moves": [
                    {
                        "kind": move.kind,
                        "step": move.step,
                        "cost": move.cost,
                        "before": move.before,
                        "after": move.after,
                        "zh": move.says.zh,
                        "en": move.says.en,
                    }
                    for move in path.moves
                ],
                "outcome": path.found.outcome,
                "score": round(path.found.judgement.score),
                "default_probability": _rate(path.found.judgement.default_probability),
                "annual_rate": None if path.found.price is None else _rate(path.found.price.annual_rate),
            }
            for path in found.paths
        ],
        "none": found.none,
        "tried": found.tried,
    }


def _rate(value: float) -> Decimal:
    return Decimal(repr(value))

"""From prices to a placing: greedy, a linear core, then integer cores around what is undecided.

Every proposal is counted in whole numbers before it replaces the placing there is, and every price becomes a bound by
L(λ) over all columns. So value and bound are right whatever the solver does; only the gap between them suffers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from services.guarantee.allocation.core import Core, Limits
from services.guarantee.allocation.placing import NONE, Placing, by_preference, greedy
from services.guarantee.allocation.prices import Pricing, dual_prices, published
from services.guarantee.allocation.problem import Flags, Floats, Ints, Problem
from services.guarantee.allocation.refusal import CancelledError, InfeasibleError


@dataclass(frozen=True)
class Effort:
    """How much is done, in counts."""

    price_steps: int = 300
    #: Rounds of the linear core, and columns in one.
    lines: int = 6
    line_columns: int = 200_000
    #: How near to a loan's best column another is to be weighed, as a share of its amount, and how many are.
    width: float = 0.01
    per_loan: int = 3
    #: Times that prices call further columns in.
    sifts: int = 10
    #: Rounds of the integer core, columns in one, and fruitless rounds after which it ends.
    cores: int = 6
    core_columns: int = 1_500
    patience: int = 3
    #: Gap at which there is nothing left to do; None goes by the size of the queue. [-]
    target: float | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Progress:
    """How far a placing has come."""

    stage: str
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """What may be missing to the optimum, as a share of the bound."""
        return max(1 - self.value / self.bound, 0.0) if self.bound > 0 else 0.0


#: Hears of progress; answers whether the placing is still wanted.
Watch = Callable[[Progress], bool]


@dataclass
class Search:
    """One queue on its way to a placing."""

    problem: Problem
    must: Flags
    effort: Effort
    watch: Watch
    #: Prices and a placing to begin with.
    warm: Floats | None = None
    base: Ints | None = None

    def __post_init__(self) -> None:
        self.pricing = Pricing(self.problem, self.must)
        few = 2_000 < self.problem.loans <= 20_000
        self._target = self.effort.target if self.effort.target is not None else 1e-4 if few else 1e-3
        self.amount = np.array([float(one.amount) for one in self.problem.queue.loans])
        self.prices = np.zeros(self.problem.rows)
        self.bound = self.pricing.safe_bound(self.prices)
        self.placing = Placing(self.problem)
        self.turn = self.fruitless = 0

    def run(self) -> None:
        """Take every turn there is."""
        while not self.finished:
            self.advance()

    def advance(self) -> None:
        """Take one turn: prices and a first placing, then linear cores, then integer cores."""
        turn, lines = self.turn, self.effort.lines
        # Each turn draws by itself, so that a search that was interrupted goes on as if it had not been.
        self.random = np.random.default_rng([self.effort.limits.seed, turn])
        self.turn += 1
        if turn == 0:
            prices, _ = dual_prices(self.pricing, self.effort.price_steps, self.warm, tell=self._priced)
            self.take_prices(prices)
            self._serve()
            self._tell("greedy")
        elif turn <= lines:
            if not self._linear_core(turn):
                self.turn = max(self.turn, lines + 1)
        else:
            self.fruitless = 0 if self._integer_core(turn - lines) else self.fruitless + 1

    def resume(self, turn: int, fruitless: int, prices: Floats, chosen: Ints) -> None:
        """Go on after a turn, from the prices and the placing that it left."""
        self.turn, self.fruitless = turn, fruitless
        self.take_prices(prices)
        self._take(Placing(self.problem, chosen))

    @property
    def finished(self) -> bool:
        """Whether another turn would be in vain."""
        effort = self.effort
        worn_out = self.turn > effort.lines + effort.cores or self.fruitless >= effort.patience
        return self.turn > 0 and (self.done or worn_out)

    @property
    def done(self) -> bool:
        """Whether value and bound have met as closely as is asked for."""
        return self.placing.value >= self.bound * (1 - self._target)

    # -- bounds and placings ------------------------------------------------------------------------------------------

    def take_prices(self, prices: Floats) -> None:
        """Keep prices that give a lower bound than the ones there are."""
        prices = published(prices)
        bound = self.pricing.safe_bound(prices)
        if bound < self.bound:
            self.prices, self.bound = prices, bound

    def _take(self, placing: Placing) -> bool:
        """Keep a placing that is worth more, breaks no limit and serves all that must be; says whether it is kept."""
        placing = placing.copy()
        better = self._lawful(placing) and (placing.value > self.placing.value or not self._lawful(self.placing))
        if better:
            self.placing = placing
        return better

    def _lawful(self, placing: Placing) -> bool:
        """Whether a placing breaks no limit and serves all that must be."""
        return bool((placing.room >= 0).all()) and bool((placing.chosen[self.must] != NONE).all())

    def _serve(self) -> None:
        """A first placing by prices; loans that must be served and found no place come by themselves first."""
        reduced = self.pricing.reduced(self.prices)
        # Equals are taken by turns: the first of them would be full while the others stand empty.
        wish = reduced - self._jitter() * self.amount[self.problem.loan] * self.effort.width / 10
        self._take(greedy(self.problem, wish, self.must))
        if self._lawful(self.placing):
            return
        base = self._must_served() if self.base is None else Placing(self.problem, self.base)
        base.fill(self._keen(reduced), *by_preference(self.problem, reduced, -np.inf))
        self._take(base)

    def _must_served(self) -> Placing:
        """Place all loans that must be served. Raises InfeasibleError with the limits that stand in the way."""
        problem, columns = self.problem, np.flatnonzero(self.must[self.problem.loan])
        counted = replace(problem, value=np.ones(len(problem.loan)))
        nobody = np.zeros(problem.loans, bool)
        core = Core(counted, Placing(problem), columns, nobody, self._wanted, self.effort.limits)
        core.add(columns)
        found = core.solve(np.zeros(0, np.int64))
        base = Placing(problem)
        if found is not None:
            self._round(base, columns, found.taken)
            base.fill(np.flatnonzero(self.must), *by_preference(problem, problem.value, -np.inf))
        missing = np.flatnonzero(self.must & (base.chosen == NONE))
        if len(missing):
            raise self._infeasible(counted, missing)
        return base

    def _infeasible(self, counted: Problem, missing: Ints) -> InfeasibleError:
        """Why not all can be served that must be: how many can at most, and the limits that have a price then."""
        nobody = np.zeros(counted.loans, bool)
        only = Pricing(counted.only(self.must[counted.loan], nobody)[0], nobody)
        prices, _ = dual_prices(only, self.effort.price_steps)
        most, all_of_them = int(only.safe_bound(published(prices)) + 1e-6), int(self.must.sum())
        dearest = [row for row in np.argsort(-prices * counted.cap)[:5] if prices[row] > 0]
        limits = ", ".join(counted.queue.buckets[row].id for row in dearest)
        found = f"but at most {most} can be" if most < all_of_them else f"but {len(missing)} of them found no place"
        told = f"{all_of_them} loans must be served, {found}" + (f"; in the way: {limits}" if limits else "")
        first = int(missing[0])
        return InfeasibleError("loans", told, first + 1, "class", counted.queue.loans[first].id)

    # -- cores --------------------------------------------------------------------------------------------------------

    def _penalties(self) -> tuple[Floats, Floats, Floats]:
        """What each column, and each loan's staying out, loses against the loan's best; and the second-best option."""
        problem = self.problem
        reduced = self.pricing.reduced(self.prices)
        best = np.zeros(problem.loans)
        best[self.pricing.open] = self.pricing.best(reduced)
        best = np.where(self.must, best, np.maximum(best, 0.0))
        lost = best[problem.loan] - reduced
        out = np.where(self.must, np.inf, best)
        # Second smallest of a loan's options: the smallest that is left when one of the smallest is taken away.
        order = np.lexsort((lost, problem.loan))
        begin = problem.start[:-1][self.pricing.open]
        second = np.full(problem.loans, np.inf)
        smallest, next_one = np.full(problem.loans, np.inf), np.full(problem.loans, np.inf)
        smallest[self.pricing.open] = lost[order[begin]]
        many = np.diff(problem.start) > 1
        next_one[many] = lost[order[problem.start[:-1][many] + 1]]
        second = np.minimum(np.maximum(smallest, out), next_one)
        return lost, out, second

    def _linear_core(self, turn: int) -> bool:
        """Free the loans that are nearest to another choice, solve for them as a line, take its prices, round it."""
        lost, out, second = self._penalties()
        problem = self.problem
        width = self.effort.width / 2 ** (turn - 1)
        relative = lost / self.amount[problem.loan]
        # Loans that are not where the prices want them hold room that others are worth more for.
        astray = self._now(lost, out) > width / 100 * self.amount
        near = (relative <= width) & (astray | (second / self.amount <= width))[problem.loan]
        columns = self._with_now(self._some(np.flatnonzero(near), self.effort.line_columns, astray))
        if not len(columns):
            return False
        free = np.zeros(problem.loans, bool)
        free[problem.loan[columns]] = True
        every = np.flatnonzero(free[problem.loan])
        core = Core(problem, self.placing, every, self.must, self._wanted, self.effort.limits)
        # Many columns of a loan are as good as each other; a few of them begin, and prices call in the others.
        place = self._place(relative + self._jitter() * width / 10)
        core.add(self._with_now(columns[place[columns] < self.effort.per_loan]))
        before, found = self.bound, None
        for _ in range(self.effort.sifts):
            answer = core.solve()
            if answer is None:
                break
            found = answer
            self.take_prices(found.prices)
            if core.add(self._called_in(core, every, found.prices)) <= len(core.loans) // 1000:
                break
        if found is None:
            return False
        base = self._fixed(columns)
        self._round(base, core.columns[: len(found.taken)], found.taken)
        reduced = self.pricing.reduced(self.prices)
        base.fill(self._keen(reduced), *by_preference(problem, reduced, -np.inf))
        taken = self._take(base)
        self._tell(f"linear core {turn}")
        return taken or self.bound < before

    def _called_in(self, core: Core, every: Ints, prices: Floats) -> Ints:
        """Up to two columns of each free loan that are worth more at these prices than those of it that are in."""
        problem = self.problem
        reduced = self.pricing.reduced(prices)
        best = np.zeros(problem.loans)
        np.maximum.at(best, problem.loan[core.columns], reduced[core.columns])
        better = reduced[every] > best[problem.loan[every]] + 1e-6 * self.amount[problem.loan[every]]
        return every[better & (self._place(-reduced)[every] < 2)]

    def _integer_core(self, turn: int) -> bool:
        """Free the loans whose place is in doubt and solve for them in whole numbers; says whether it helped."""
        lost, out, second = self._penalties()
        problem, now = self.problem, self._now(lost, out)
        room = self.bound - self.placing.value
        # No better placing takes a column that loses more than there is room; where all others fit, the core is exact.
        near = lost <= room
        if near.sum() > self.effort.core_columns:
            few = self._place(lost / self.amount[problem.loan] + self._jitter() * 1e-4) < self.effort.per_loan
            near = few & (lost <= max(room / 20, 1.0))
        doubt = np.where(now > 0, 0.0, second / self.amount)
        # Loans that are not where the prices want them come first, then those for which another place is as good.
        keen = np.lexsort((self.random.random(problem.loans), doubt > self.effort.width / 10, now <= 0))
        until = int(np.searchsorted(np.cumsum(np.bincount(problem.loan[near], minlength=problem.loans)[keen]),
                                    self.effort.core_columns))  # fmt: skip
        free = np.zeros(problem.loans, bool)
        free[keen[:until]] = True
        columns = np.flatnonzero(near & free[problem.loan])
        columns = self._with_now(columns)
        if not len(columns):
            return False
        core = Core(problem, self.placing, columns, self.must, self._wanted, self.effort.limits)
        core.add(columns)
        found = core.solve(self.placing.columns)
        if found is None:
            return False
        base = self._fixed(columns)
        self._round(base, columns, found.taken)
        reduced = self.pricing.reduced(self.prices)
        base.fill(self._keen(reduced), *by_preference(problem, reduced, -np.inf))
        taken = self._take(base)
        self._tell(f"integer core {turn}")
        return taken

    def _jitter(self) -> Floats:
        return self.random.random(len(self.problem.loan))

    def _place(self, cost: Floats) -> Ints:
        """The place of each column among its loan's, the cheapest is 0."""
        order = np.lexsort((cost, self.problem.loan))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - self.problem.start[:-1][self.problem.loan[order]]
        return place

    def _now(self, lost: Floats, out: Floats) -> Floats:
        """What each loan loses where it is now against its best."""
        chosen = self.placing.chosen
        return np.where(chosen == NONE, out, lost[chosen]) if len(lost) else out

    def _some(self, columns: Ints, most: int, first: Flags) -> Ints:
        """The columns of some of their loans, those first and then any, so that there are not many more than `most`."""
        if len(columns) <= most:
            return columns
        loans = np.unique(self.problem.loan[columns])
        kept = np.zeros(self.problem.loans, bool)
        any_order = self.random.permutation(loans)
        any_order = any_order[np.argsort(~first[any_order], kind="stable")]
        kept[any_order[: len(loans) * most // len(columns)]] = True
        return columns[kept[self.problem.loan[columns]]]

    def _with_now(self, columns: Ints) -> Ints:
        """The columns, and what their loans have now."""
        loans = np.unique(self.problem.loan[columns])
        now = self.placing.chosen[loans]
        return np.union1d(columns, now[now != NONE])

    def _fixed(self, columns: Ints) -> Placing:
        """The placing without the loans that are free."""
        chosen = self.placing.chosen.copy()
        chosen[self.problem.loan[columns]] = NONE
        return Placing(self.problem, chosen)

    def _round(self, base: Placing, columns: Ints, taken: Floats) -> None:
        """Take columns by how far the solver takes them, as long as they fit; the whole ones come first."""
        some = np.flatnonzero(taken > 0.02)
        order = some[np.lexsort((-self.problem.value[columns[some]], -np.round(taken[some], 6)))]
        loans = self.problem.loan[columns[order]]
        base.fill_columns(loans, columns[order])

    def _keen(self, reduced: Floats) -> Ints:
        """Loans by what their best column gains for each fen of the loan."""
        best = np.full(self.problem.loans, -np.inf)
        best[self.pricing.open] = self.pricing.best(reduced)
        return np.argsort(-best / self.amount, kind="stable")

    # -- whoever waits ------------------------------------------------------------------------------------------------

    def _tell(self, stage: str) -> None:
        if not self.watch(Progress(stage, self.placing.value, self.bound)):
            raise CancelledError

    def _priced(self, step: int, lowest: float) -> None:
        if step % 50 == 0 and not self.watch(Progress(f"prices, step {step}", self.placing.value, lowest)):
            raise CancelledError

    def _wanted(self) -> bool:
        return self.watch(Progress("", self.placing.value, self.bound))

"""Marginal capital: what a price adds to the worst years of the book, from the latest run, before anybody is bound.

A run never changes once it is through, so what was read of one is kept by the process; whose run it is, the database
says anew each time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from services.insurance.accumulation.book import MU_PER_HA, excluded
from services.insurance.accumulation.marginal import BookYears, EventGrid
from services.insurance.accumulation.refusal import RowError
from services.insurance.accumulation.simulation import Catalogue
from services.insurance.actions import PARAMETERS, accumulations, pricing
from services.insurance.formulas.exceedance import joining_contribution
from services.insurance.formulas.premium import capital_margin
from services.insurance.formulas.terms import losses_after_terms
from shared import clock
from shared.db import act_for

#: Books and event grids that a process keeps; a run of 100,000 years is some hundreds of megabytes.
KEPT = 2
_books: OrderedDict[UUID, BookYears] = OrderedDict()


@dataclass(frozen=True)
class BookCapital:
    """The book of one run, ready to be joined; amounts of a price are fen."""

    of: dict[str, str]
    book: BookYears
    events: EventGrid
    small_fire_mu: float
    pest_threshold: float
    return_period: float
    cost_of_capital: float

    def margin(
        self, insured: Sequence[pricing.Insured], frequency: pricing.Array, terms: pricing.Terms
    ) -> pricing.Margin | str:
        """Price of the capital that a policy on these forests ties up, or why that is not known."""
        if any(one.place is None for one in insured):
            return "the place of a forest is not known"
        names = [one.name for one in insured]
        longitude, latitude, area = np.array([one.place for one in insured], dtype=np.float64).T
        try:
            places = self.events.catalogue.places(names, longitude, latitude, area, frequency.T)
            hits = self.events.hits(places)
        except RowError as error:
            return error.reason
        except ValueError as error:
            return str(error)
        sums = np.array([float(one.sum_insured) * 100 for one in insured])
        loss = hits.damage * sums[hits.parcel]
        perils, area_mu = tuple(one.name for one in self.events.catalogue.perils), hits.area_ha * MU_PER_HA
        loss[excluded(perils, hits.peril, area_mu, hits.damage, self.small_fire_mu, self.pest_threshold)] = 0
        paid = terms.insurer_share * losses_after_terms(
            loss, np.asarray(terms.deductible), np.asarray(terms.deductible_share),
            np.asarray(terms.event_limit or np.inf), np.asarray(np.inf), np.asarray(terms.franchise),
        )  # fmt: skip
        years, at = np.unique(hits.year.astype(np.int64) - 1, return_inverse=True)
        # Claims of a year take no more than the sum insured, whatever the events.
        most = min(terms.annual_cap or np.inf, float(sums.sum()))
        yearly = np.minimum(np.bincount(at, weights=paid, minlength=len(years)), most)
        aggregate = self.book.aggregate
        tail = joining_contribution(self.book.worst_first, aggregate, years, yearly, self.return_period)
        mean = float(yearly.sum() / len(aggregate))
        amount = capital_margin(self.cost_of_capital, tail, mean)
        return pricing.Margin(
            np.array([amount]), "(I11)",
            {
                "basis": "co-TVaR of the policy in the book", "co_tvar": tail, "mean": mean,
                "cost_of_capital": self.cost_of_capital, "return_period": self.return_period,
                "years_hit": len(years), **self.of,
            },
        )  # fmt: skip


def of_latest(session: Session) -> pricing.Capital:
    """How a price of this transaction's insurer is to be loaded: by its latest run, if there is one that holds."""
    made = accumulations.latest(session)
    if made is None:
        return unknown("no run of the book is there")
    p = PARAMETERS.at(clock.today())
    if made.parameters_digest != p.digest:
        return unknown("the parameters have changed since the latest run of the book")
    if made.years < p["capital_return_period"]:
        return unknown("the latest run of the book is shorter than the return period of capital")
    book = _books.get(made.id)
    if book is None:
        book = _books[made.id] = BookYears(
            np.ascontiguousarray(accumulations.arrays(session, made.id, "aggregate")["aggregate"][0]) * 100
        )
        while len(_books) > KEPT:
            _books.popitem(last=False)
    return BookCapital(
        {"accumulation": str(made.id), "book_of": made.on.isoformat(), "years": str(made.years),
         "seed": str(made.seed), "result_digest": str(made.result_digest)},
        book, _grid(accumulations.catalogue_of(p, made.seed, made.years)), float(p["small_fire_exclusion_mu"]),
        float(p["pest_threshold_degree"]), float(p["capital_return_period"]), float(p["cost_of_capital"]),
    ).margin  # fmt: skip


def of_insurer(session: Session, institution: str) -> pricing.Capital:
    """The same for an answer that binds nobody, in a transaction without an insurer."""
    act_for(session, institution)
    return of_latest(session)


def unknown(why: str) -> pricing.Capital:
    """No book to join; the price says why."""
    return lambda insured, frequency, terms: why


@lru_cache(KEPT)
def _grid(catalogue: Catalogue) -> EventGrid:
    return EventGrid(catalogue)

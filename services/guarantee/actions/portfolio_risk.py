"""What the book in force may lose in a year: expected loss, and capital by Vasicek and by CreditRisk+."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS
from services.guarantee.formulas import creditrisk_plus
from services.guarantee.formulas.expected_loss import expected_loss
from services.guarantee.formulas.fen import whole_fen
from services.guarantee.formulas.split import largest_remainder, split
from services.guarantee.formulas.vasicek import unexpected_loss_rate
from services.guarantee.tables import Guarantee
from shared import clock, money
from shared.db import tenant

#: Steps of the loss distribution.
_STEPS = 2**16

ASSUMPTIONS = (
    "of each loan the guarantor's own part after all others reimburse, at today's balance",
    "all loans share the factors of economy and forest, as those of one province do",
    "loans of one obligor default together",
    "loans whose default probability or loss given default is 0 are left out",
    "default probability and loss given default as the bank told them with its request",
)


@dataclass(frozen=True)
class County:
    """What one county has of the book and of its risk. [fen]"""

    county: str
    loans: int
    retained: int
    expected_loss: int
    vasicek_capital: int
    creditrisk_capital: int


@dataclass(frozen=True)
class Risk:
    """The risk of a book; parts of counties sum to it. [fen]"""

    at: datetime
    guarantor: str
    loans: int
    obligors: int
    retained: int
    expected_loss: int
    confidence: float
    correlation: float
    vasicek_capital: int
    volatility: float
    creditrisk_sd: int
    creditrisk_quantile: int
    creditrisk_capital: int
    counties: Sequence[County]
    parameters_hash: str
    unverified_parameters: tuple[str, ...]
    rules: tuple[str, ...] = ("G40", "G46", "G59", "G60", "G61", "G62", "G73")
    assumptions: tuple[str, ...] = ASSUMPTIONS


class _Loan(NamedTuple):
    """A loan of the book; `loss` is what its default costs. [fen]"""

    obligor: str
    county: str
    retained: int
    probability: float
    severity: float

    @property
    def loss(self) -> float:
        return self.retained * self.severity


def risk(session: Session) -> Risk:
    """Count the risk of the guarantees in force that are not called: a call is a loss already."""
    p = PARAMETERS.at(clock.today())
    confidence, volatility = p["capital_confidence"], p["sector_volatility"]
    correlation = sum(p["asset_correlation"].values())
    book = _book(session)
    el = [float(one) for one in expected_loss(*_columns(book), 1.0)] if book else []
    beyond = cache(lambda probability: unexpected_loss_rate(probability, 1.0, correlation, confidence))
    vasicek = [one.loss * beyond(one.probability) for one in book]
    sd, quantile, capital, shares = _creditrisk(book, volatility, confidence)
    places = sorted({one.county for one in book})
    # In a book of a few fen each part may be less than half a fen, and somebody has to have the capital.
    weights = [max(whole_fen(_of(place, book, shares)), 1) for place in places]
    by_county = largest_remainder(capital, weights) if places else []
    counties = [
        County(
            county=place,
            loans=sum(one.county == place for one in book),
            retained=sum(one.retained for one in book if one.county == place),
            expected_loss=whole_fen(_of(place, book, el)),
            vasicek_capital=whole_fen(_of(place, book, vasicek)),
            creditrisk_capital=by_county[i],
        )
        for i, place in enumerate(places)
    ]
    return Risk(
        at=clock.now(),
        guarantor=tenant(session),
        loans=len(book),
        obligors=len({one.obligor for one in book}),
        retained=sum(one.retained for one in counties),
        expected_loss=sum(one.expected_loss for one in counties),
        confidence=confidence,
        correlation=correlation,
        vasicek_capital=sum(one.vasicek_capital for one in counties),
        volatility=volatility,
        creditrisk_sd=sd,
        creditrisk_quantile=quantile,
        creditrisk_capital=capital,
        counties=counties,
        parameters_hash=p.digest,
        unverified_parameters=p.unverified,
    )


def _book(session: Session) -> list[_Loan]:
    rows = session.execute(
        select(
            *(Guarantee.obligor, Guarantee.county, Guarantee.balance, Guarantee.shares_bp),
            *(Guarantee.default_probability, Guarantee.loss_given_default),
        ).where(Guarantee.state == "issued")
    )
    kept = (
        _Loan(obligor, county, split(money.fen(balance), bp)["primary"], float(probability), float(severity))
        for obligor, county, balance, bp, probability, severity in rows
    )
    # What cannot default or costs nothing is no risk, and neither model takes it.
    return [one for one in kept if one.probability > 0 and one.loss > 0]


def _columns(book: Sequence[_Loan]) -> tuple[list[float], list[float], list[int]]:
    return [one.probability for one in book], [one.severity for one in book], [one.retained for one in book]


def _of(county: str, book: Sequence[_Loan], amounts: Sequence[float]) -> float:
    return math.fsum(amount for one, amount in zip(book, amounts, strict=True) if one.county == county)


def _creditrisk(book: Sequence[_Loan], volatility: float, confidence: float) -> tuple[int, int, int, list[float]]:
    """Standard deviation, quantile and capital of the book, and what each loan adds to the first. [fen]"""
    if not book:
        return 0, 0, 0, []
    loss: dict[str, float] = {}
    expected: dict[str, float] = {}
    for one in book:
        loss[one.obligor] = loss.get(one.obligor, 0) + one.loss
        expected[one.obligor] = expected.get(one.obligor, 0) + one.loss * one.probability
    exposures = np.array(list(loss.values()))
    probabilities = np.array([expected[obligor] / loss[obligor] for obligor in loss])
    mean = creditrisk_plus.portfolio_mean(exposures, probabilities)
    sd = creditrisk_plus.portfolio_sd(exposures, probabilities, volatility)
    # No distribution has its quantile further from the mean than this (Cantelli).
    furthest = mean + sd * math.sqrt(confidence / (1 - confidence))
    unit = max(2 * (furthest + float(exposures.max())) / _STEPS, 1.0)
    distribution = creditrisk_plus.loss_distribution(exposures, probabilities, volatility, unit, _STEPS)
    quantile = creditrisk_plus.loss_quantile(distribution, unit, confidence)
    capital = max(creditrisk_plus.economic_capital(distribution, unit, confidence), 0.0)
    added = dict(zip(loss, creditrisk_plus.sd_contributions(exposures, probabilities, volatility), strict=True))
    by_loan = [float(added[one.obligor]) * one.loss * one.probability / expected[one.obligor] for one in book]
    return whole_fen(sd), whole_fen(quantile), whole_fen(capital), by_loan

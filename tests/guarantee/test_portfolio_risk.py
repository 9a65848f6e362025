"""The risk of a book: two models, counties that sum to it, and an answer that names what nobody verified."""

from decimal import Decimal

import numpy as np
import pytest

from services.guarantee.actions.calls import open_call
from services.guarantee.actions.guarantees import issue_guarantee, reserve_guarantee
from services.guarantee.formulas.creditrisk_plus import portfolio_mean, portfolio_sd, sd_contributions
from services.guarantee.formulas.vasicek import unexpected_loss_rate
from tests.guarantee.stories import accepted, asked, defaulted, guarantee, ready, yuan
from tests.harness import GUARANTOR, body, client


def test_contributions_are_the_euler_shares_of_the_standard_deviation():
    exposures, probabilities = np.array([100.0, 250.0, 40.0]), np.array([0.02, 0.01, 0.3])
    shares = sd_contributions(exposures, probabilities, 0.8)
    assert shares.sum() == pytest.approx(portfolio_sd(exposures, probabilities, 0.8))
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-4
        slope = portfolio_sd(exposures + step, probabilities, 0.8) - portfolio_sd(exposures - step, probabilities, 0.8)
        assert shares[i] == pytest.approx(exposures[i] * slope / 2e-4, rel=1e-6)
    assert sd_contributions([0.0], [0.5], 0.8).tolist() == [0.0]


def test_a_book_of_a_few_fen_has_its_capital_somewhere(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        request = asked(amount=yuan("0.05"))
        reserve_guarantee(session, request)
        session.flush()
        issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
    risk = body(client("guarantee", guarantee_db, "guarantor", GUARANTOR).get("/v1/reports/portfolio-risk"))
    assert [fen(risk["creditrisk_capital"]), fen(risk["creditrisk_sd"])] == [1, 0]
    assert fen(risk["counties"][0]["creditrisk_capital"]) == 1


def fen(amount):
    return round(Decimal(amount["amount"]) * 100)


def test_the_books_risk_by_two_models_and_by_county(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    http = client("guarantee", guarantee_db, "guarantor", GUARANTOR)
    empty = body(http.get("/v1/reports/portfolio-risk"))
    assert (empty["loans"], fen(empty["creditrisk_capital"]), empty["counties"]) == (0, 0, [])
    requests = [
        asked(county="youyu", obligor="twice", amount=yuan(1_000_000)),
        asked(county="pinglu", obligor="twice", amount=yuan(1_000_000), default_probability=Decimal("0.01")),
        asked(county="pinglu", amount=yuan(3_000_000), loss_given_default=Decimal("0.25")),
        asked(county="youyu", amount=yuan(500_000), default_probability=Decimal(0)),
        asked(county="youyu", amount=yuan(700_000)),
    ]
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        for request in requests:
            # One scheme without a pool, so that both counties have room.
            request = asked(**vars(request) | {"scheme": "4-2-2-2"})
            reserve_guarantee(session, request)
            session.flush()
            issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
        open_call(session, defaulted(requests[-1].loan_id))
    risk = body(http.get("/v1/reports/portfolio-risk"))
    assert (risk["loans"], risk["obligors"], fen(risk["retained"])) == (3, 2, 200_000_000)
    # Of each loan 40 %: 400,000 at 3 % and 1 % of 40 % lost, 1,200,000 at 3 % of 25 %.
    assert fen(risk["expected_loss"]) == 480_000 + 160_000 + 900_000
    rho, level = risk["correlation"], risk["confidence"]
    at_3, at_1 = (unexpected_loss_rate(p, 1.0, rho, level) for p in (0.03, 0.01))
    assert fen(risk["vasicek_capital"]) == pytest.approx(16_000_000 * (at_3 + at_1) + 30_000_000 * at_3, abs=2)
    losses, chances = [32_000_000.0, 30_000_000.0], [0.02, 0.03]
    assert fen(risk["creditrisk_sd"]) == pytest.approx(portfolio_sd(losses, chances, risk["volatility"]), abs=1)
    # Both obligors at once have a chance of about 0.001 with the sector's volatility: the quantile is at their sum.
    assert fen(risk["creditrisk_quantile"]) == pytest.approx(62_000_000, rel=0.05)
    beyond = fen(risk["creditrisk_quantile"]) - portfolio_mean(losses, chances)
    assert fen(risk["creditrisk_capital"]) == pytest.approx(beyond, rel=1e-3)
    for name in ("retained", "expected_loss", "vasicek_capital", "creditrisk_capital"):
        assert sum(fen(one[name]) for one in risk["counties"]) == fen(risk[name]), name
    assert [(one["county"], one["loans"]) for one in risk["counties"]] == [("pinglu", 2), ("youyu", 1)]
    assert risk["unverified_parameters"] == ["asset_correlation", "capital_confidence", "sector_volatility"]

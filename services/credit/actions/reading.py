"""What is shown of a loan: state, legs, decision, offer, covenants, money, and a what-if that keeps nothing."""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import models, path, schedules, scoring, underwriting, watching
from services.credit.actions.charges import late_charges
from services.credit.actions.decisions import case_now, current_collateral, unverified
from services.credit.actions.policy import COVENANTS, TERMS, policy
from services.credit.actions.states import IN_DEFAULT, LIVE
from services.credit.actions.underwriting import Case, Rulebook, rulebook
from services.credit.formulas import loan_to_value as ltv
from services.credit.tables import Decision, Loan, LoanHistory, Valuation, charges_of, latest_decision, payments_of
from shared import clock, money
from shared.db import found
from shared.models import Served

#: Reads our copies of valuations of some assets.
Valuations = Callable[[Iterable[UUID]], dict[UUID, Valuation]]


def what_if(asked: dict[str, Any], valuations: Valuations, champion: Served) -> dict[str, Any]:
    """Judge an application that nobody has made. Valuations are read only if forests are named."""
    rules, case = case_of(asked, valuations, champion)
    judgement = underwriting.underwrite(rules, case).judgement
    return {
        "outcome": judgement.outcome,
        "score": round(judgement.score),
        "points": {name: round(points, 2) for name, points in judgement.points.items()},
        "default_probability": _rate(judgement.default_probability),
        "default_probability_low": _rate(judgement.default_probability_low),
        "default_probability_high": _rate(judgement.default_probability_high),
        "loan_to_value": _rates(judgement.loan_to_value),
        "pledge_rate": _rate(judgement.pledge_rate),
        "value": judgement.value,
        "maximum_amount": judgement.maximum_amount,
        "reasons": judgement.reasons,
        "watch": judgement.watch,
        "flags": judgement.flags,
        "model": champion.label(),
        "parameters_digest": rules.judged_by.digest,
        "unverified_parameters": rules.judged_by.unverified,
    }


def path_of(session: Session, loan_id: UUID) -> dict[str, Any]:
    """The smallest changes with which a loan's application would be approved as things stand now."""
    loan = found(session, Loan, loan_id)
    return path.show(path.search(rulebook(clock.today(), models.champion(session)), case_now(session, loan)))


def path_of_question(asked: dict[str, Any], valuations: Valuations, champion: Served) -> dict[str, Any]:
    """The smallest changes with which an application that nobody has made would be approved."""
    return path.show(path.search(*case_of(asked, valuations, champion)))


def case_of(asked: dict[str, Any], valuations: Valuations, champion: Served) -> tuple[Rulebook, Case]:
    """The case of an application that nobody has made, and the rulebook of today."""
    today = clock.today()
    assets = []
    if asked["assets"]:
        known = valuations(asset["asset_id"] for asset in asked["assets"])
        assets = [pledge.collateral(a["asset_id"], a["tonnes"], known.get(a["asset_id"])) for a in asked["assets"]]
    share = asked["guaranteed_share"]
    if share is None:
        share = 1 - policy(today, TERMS)["bank_minimum_retained_share"]
    facts = scoring.Facts(
        on=today.isoformat(),
        amount=money.fen(asked["amount"]),
        term_months=asked["term_months"],
        industry=asked["industry"],
        employees=asked["employees"],
        new_business=asked["new_business"],
        revolving=asked["revolving"],
        guaranteed_share=float(share),
        natural_person=asked["borrower_kind"] == "natural_person",
        verifier=asked["verifier"],
    )
    return rulebook(today, champion), Case(facts, tuple(assets))


def show(session: Session, loan: Loan) -> dict[str, Any]:
    """A loan whole, as it stands at the end of this transaction."""
    session.flush()
    decision = latest_decision(session, loan.id)
    assert decision is not None
    # What may be stated again under another name is put beside the columns of the row itself.
    return {
        **{column.key: getattr(loan, column.key) for column in Loan.__table__.columns},
        "assets": loan.assets,
        "cover": loan.cover,
        "guarantee": _guarantee(loan),
        "decision": _decision(session, decision),
        "offer": _offer(loan),
        "deadlines": loan,
        "covenants": _covenants(session, loan),
        "risk": _risk(loan, clock.today()),
        "balance": _balance(session, loan, clock.today()),
    }


def show_by_id(session: Session, loan_id: UUID) -> dict[str, Any]:
    """A loan whole, by its id."""
    return show(session, found(session, Loan, loan_id))


def trail(session: Session, loan_id: UUID) -> dict[str, Any]:
    """Every change of a loan's state, oldest first."""
    found(session, Loan, loan_id)
    steps = select(LoanHistory).where(LoanHistory.loan_id == loan_id).order_by(LoanHistory.number)
    return {"items": session.scalars(steps).all()}


def ledger_of(session: Session, loan_id: UUID) -> dict[str, Any]:
    """Money that came in on a loan and what was charged beside its interest, oldest first."""
    found(session, Loan, loan_id)
    return {"items": payments_of(session, loan_id), "charges": charges_of(session, loan_id)}


def schedule_of(session: Session, loan_id: UUID) -> dict[str, Any]:
    """Instalments of a loan as agreed; none before it is priced."""
    return schedules.show(session, found(session, Loan, loan_id))


def _decision(session: Session, decision: Decision) -> dict[str, Any]:
    judged, price = decision.result["judgement"], decision.result["price"]
    priced = price or dict.fromkeys(
        ("annual_rate", "loss_given_default", "loss_given_default_before_legs", "expected_losses", "worth_bp")
    )
    losses = priced["expected_losses"]
    return {
        "id": decision.id,
        "kind": decision.kind,
        "decided_at": decision.decided_at,
        "outcome": decision.outcome,
        "score": round(judged["score"]),
        "points": {name: round(points, 2) for name, points in judged["points"].items()},
        "default_probability": _rate(judged["default_probability"]),
        "default_probability_low": _rate(judged["default_probability_low"]),
        "default_probability_high": _rate(judged["default_probability_high"]),
        "loan_to_value": _rates(judged["loan_to_value"]),
        "pledge_rate": _rate(judged["pledge_rate"]),
        "value": _amount(judged["value"]),
        "maximum_amount": _amount(judged["maximum_amount"]),
        "reasons": decision.result["reasons"],
        "watch": judged.get("watch", []),
        "flags": judged["flags"],
        "rules": decision.result.get("rules", []),
        "annual_rate": _rate(priced["annual_rate"]),
        "loss_given_default": _rate(priced["loss_given_default"]),
        "loss_given_default_before_legs": _rate(priced["loss_given_default_before_legs"]),
        "expected_losses": None if losses is None else {leg: money.from_fen(part) for leg, part in losses.items()},
        "worth_bp": priced["worth_bp"],
        "model": decision.model or models.label_of_kept(session, decision.artefact_hash),
        "parameters_digest": decision.parameters_digest,
        "unverified_parameters": unverified(decision.decided_on),
        "inputs": decision.inputs,
        "inputs_hash": decision.inputs_hash,
        "result_hash": decision.result_hash,
    }


def _guarantee(loan: Loan) -> dict[str, Any]:
    guarantee = loan.guarantee
    shares = guarantee.shares
    return {
        **{column.key: getattr(guarantee, column.key) for column in guarantee.__table__.columns},
        "shares": None if shares is None else {name: Decimal(part) for name, part in shares.items()},
    }


def _offer(loan: Loan) -> dict[str, Any] | None:
    if loan.offer is None:
        return None
    return {
        "payload": loan.offer,
        "payload_hash": loan.offer_hash,
        "annual_rate": loan.annual_rate,
        "expires_at": loan.offer_expires_at,
        "proposed_by": loan.applied_by,
        "approved_by": loan.approved_by,
    }


def _covenants(session: Session, loan: Loan) -> dict[str, Any] | None:
    if loan.offer is None:
        return None
    levels = watching.contract(loan)
    margin_value = price = None
    if loan.state in LIVE:
        owed = float(loan.balance)
        margin_value = money.yuan(ltv.margin_value(owed, levels["margin"]))
        price = _break_even_price(session, loan, owed, levels)
    return {
        "quantile": levels["quantile"],
        "margin_call_loan_to_value": _rate(levels["margin"]),
        "cure_loan_to_value": _rate(levels["cure"]),
        "loan_to_value": loan.loan_to_value,
        "shortfall": loan.shortfall,
        "margin_value": margin_value,
        "break_even_price": price,
        "reasons": loan.covenant_reasons,
        "tested_at": loan.tested_at,
    }


def _break_even_price(session: Session, loan: Loan, owed: float, levels: dict[str, Any]) -> Decimal | None:
    """Carbon price at which the margin call comes; unknown while a valuation is."""
    covenants = policy(clock.today(), COVENANTS)
    assets = current_collateral(session, loan, pledged=True)
    if not assets or pledge.faults(covenants, assets, clock.today()):
        return None
    worth = pledge.value(covenants, assets, levels["quantile"])
    spot = max(asset.spot_price for asset in assets)
    if worth <= 0 or spot <= 0:
        return None
    return money.yuan(ltv.break_even_carbon_price(owed, levels["margin"], worth, spot, other_value=0.0))


def _risk(loan: Loan, today: date) -> dict[str, Any] | None:
    """Stage and class of a loan that is out, as last found, with the days past due of today."""
    if loan.state not in (*LIVE, *IN_DEFAULT) or loan.stage is None:
        return None
    return {
        "days_past_due": watching.days_past_due(loan, today),
        "bucket": loan.bucket,
        "stage": loan.stage,
        "ecl_horizon": "12 months" if loan.stage == 1 else "lifetime",
        "five_class": loan.five_class,
    }


def _balance(session: Session, loan: Loan, today: date) -> dict[str, Any]:
    interest, charges = loan.interest_due, loan.charges_due
    if loan.state in LIVE:
        interest += schedules.accrued_of(loan, today)
        charges += sum((one.amount for one in late_charges(session, loan, today)), Decimal(0))
    return {
        "disbursed": loan.disbursed,
        "principal": loan.balance,
        "interest": interest,
        "charges": charges,
        "owed": loan.balance + interest + charges,
        "principal_repaid": loan.principal_repaid,
        "interest_paid": loan.interest_paid,
        "charges_paid": loan.charges_paid,
        "guarantee_received": loan.guarantee_received,
        "recovered": loan.recovered,
        "recovered_by_bank": loan.recovered_by_bank,
        "surplus": loan.surplus,
        "bank_surplus": loan.bank_surplus,
        "written_off": loan.written_off,
        "unrecovered": loan.unrecovered,
    }


def _rate(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def _rates(values: dict[str, float | None] | None) -> dict[str, Decimal | None] | None:
    return None if values is None else {name: _rate(value) for name, value in values.items()}


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

"""Money out and money back: disbursement, interest, repayments, claims paid by the insurer, closing when all is repaid.

Simple interest by the contract's day count, rounded to the fen each time the balance changes.
The borrower's money pays charges first, then interest, then principal; the insurer's principal, interest, charges. What
exceeds all is the borrower's.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import findings, reasons, recovery, schedules, watching
from services.credit.actions.charges import NOTHING
from services.credit.actions.decisions import current_collateral
from services.credit.actions.endings import let_timers_go, parties
from services.credit.actions.ledger import accrue, record_payment
from services.credit.actions.policy import COVENANTS, policy
from services.credit.actions.states import LIVE, demand, move
from services.credit.formulas import loan_to_value as ltv
from services.credit.tables import Instalment, Loan, Party, latest_decision, locked_loan, payment_of
from shared import bulk, clock, outbox
from shared.db import found, locked, table_of
from shared.errors import ConflictError, StateError
from shared.events.credit import LoanDisbursed, LoanRepaid
from shared.events.insurance import ClaimPaid
from shared.ids import uuid7

log = structlog.get_logger(__name__)


class ValuationMissingError(ConflictError):
    """The collateral cannot be valued, so no money may flow on it."""

    kind, title = "valuation-missing", "A valuation is missing or stale"


class IdentityError(ConflictError):
    """Nobody can say today who the borrower is, so no money may flow to it."""

    kind, title = "identity", "The borrower's identity is not established"


class CollateralError(ConflictError):
    """The collateral no longer carries the loan."""

    kind, title = "collateral", "The collateral no longer carries the loan"


def disburse(session: Session, loan_id: UUID) -> Loan:
    """Pay the loan out, once, to a known borrower, on collateral that is freshly valued and carries it."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "ready")
    if loan.drawdown_by is None or loan.drawdown_by <= clock.now():
        raise StateError("the time to draw the money has passed; apply anew")
    _demand_identity(session, loan)
    _demand_coverage(session, loan)
    today = clock.today()
    loan.disbursed = loan.balance = loan.amount
    loan.disbursed_on = loan.interest_until = today
    loan.matures_on = schedules.matures_on(today, loan.term_months)
    move(session, loan, "performing", "disbursed")
    let_timers_go(session, loan, "drawdown")
    outbox.put(
        session,
        LoanDisbursed(
            **parties(loan),
            amount=loan.amount,
            disbursed_on=today,
            matures_on=loan.matures_on,
            schedule=schedules.as_told(_keep_plan(session, loan)),
        ),
    )
    _keep_risk(session, loan)
    watching.retest(session, loan, "disbursement")
    return loan


def repay(session: Session, loan_id: UUID, amount: Decimal) -> Loan:
    """Take a repayment from the borrower: charges, interest, principal; more than is owed is refused.

    The order is that of the Civil Code, art. 561, where nothing else was agreed.
    """
    loan = locked(session, Loan, loan_id)
    demand(loan, *LIVE)
    accrue(session, loan, clock.today())
    owed = loan.balance + loan.interest_due + loan.charges_due
    if amount > owed:
        raise ConflictError(
            f"the borrower owes CNY {loan.balance} of principal, {loan.interest_due} of interest and {loan.charges_due}"
            f" of charges today, {owed} in all; take no more than that",
            errors=[{"pointer": "/amount", "detail": f"At most {owed} is owed."}],
        )
    charges = min(amount, loan.charges_due)
    interest = min(amount - charges, loan.interest_due)
    _settle(session, loan, "borrower", uuid7(), amount, amount - charges - interest, interest, charges)
    return loan


def receive_claim(session: Session, event: ClaimPaid) -> None:
    """Take what the insurer paid to the bank: on a live loan it repays principal, after default it is a recovery.

    Whoever was paid, the policy covers so much less until that is insured again.
    """
    loan = locked_loan(session, event.loan_id)
    if loan is None or loan.insurer != event.insurer:
        log.warning("a claim on no loan of ours", loan=str(event.loan_id), claim=str(event.claim_id))
        return
    if payment_of(session, loan.id, event.claim_id) is not None:
        return
    if loan.cover.policy_id == event.policy_id:
        loan.cover.claimed += event.total
    if event.to_bank <= NOTHING:
        return
    if loan.state in LIVE:
        accrue(session, loan, clock.today())
        principal = min(event.to_bank, loan.balance)
        interest = min(event.to_bank - principal, loan.interest_due)
        charges = min(event.to_bank - principal - interest, loan.charges_due)
        _settle(session, loan, "insurance", event.claim_id, event.to_bank, principal, interest, charges)
    elif loan.defaulted_on is not None:
        recovery.take_recovery(session, loan, event.claim_id, "insurance", event.to_bank, NOTHING)
    else:
        # Repaid since the insurer looked, or never paid out: nothing is owed, so all of it is the borrower's.
        record_payment(session, loan, "insurance", "insurance", event.claim_id, event.to_bank, surplus=event.to_bank)


def _keep_plan(session: Session, loan: Loan) -> list[dict[str, Any]]:
    """Write the instalments down as they were agreed, with their days: they fall due as they stand here."""
    agreed = schedules.plan(loan)
    due, rows = NOTHING, []
    for row in agreed:
        due += row["principal"] + row["interest"]
        one = {name: row[name] for name in schedules.KEPT}
        rows.append({"loan_id": loan.id, "institution": loan.institution, **one, "due_in_all": due})
    bulk.insert_mappings(session, table_of(Instalment), rows)
    return agreed


def _keep_risk(session: Session, loan: Loan) -> None:
    """Write down at which risk the money went out: what every later class is compared with."""
    decision = latest_decision(session, loan.id)
    assert decision is not None
    judged, price = decision.result["judgement"], decision.result["price"]
    loan.origin_probability = Decimal(f"{judged['default_probability']:.8f}")
    loan.borrower_probability = Decimal(f"{judged['default_probability_without_fire']:.8f}")
    loan.loss_given_default = Decimal(f"{price['loss_given_default']:.8f}")


def _settle(
    session: Session,
    loan: Loan,
    source: str,
    reference: UUID,
    amount: Decimal,
    principal: Decimal,
    interest: Decimal,
    charges: Decimal,
) -> None:
    """Let money settle principal, interest and charges of a live loan; the rest is the borrower's."""
    loan.balance -= principal
    loan.principal_repaid += principal
    surplus = amount - principal - interest - charges
    record_payment(
        session,
        loan,
        source,
        source,
        reference,
        amount,
        principal=principal,
        interest=interest,
        charges_paid=charges,
        surplus=surplus,
        bank_part=principal,
    )
    outbox.put(
        session,
        LoanRepaid(
            **parties(loan),
            repayment_id=reference,
            source=source,  # type: ignore[arg-type]
            amount=principal + interest,
            principal=principal,
            interest=interest,
            balance=loan.balance,
        ),
    )
    if not recovery.close_if_repaid(session, loan):
        watching.retest(session, loan, "payment")


def _demand_identity(session: Session, loan: Loan) -> None:
    """Refuse to pay out to a registered borrower whose document or check has ended since."""
    if loan.party_id is None:
        return
    faults = list(findings.identity_faults(found(session, Party, loan.party_id)))
    if faults:
        raise IdentityError(
            "; ".join(one.en for one in faults), errors=[{"pointer": "", **one} for one in reasons.as_json(faults)]
        )


def _demand_coverage(session: Session, loan: Loan) -> None:
    """Refuse to pay out unless every valuation is fresh and every limit of the policy holds on it."""
    rules, today = policy(clock.today(), COVENANTS), clock.today()
    assets = current_collateral(session, loan, hold=True)
    faults = pledge.faults(rules, assets, today)
    if faults:
        raise ValuationMissingError(faults[0].en, errors=[{"pointer": "", **one} for one in reasons.as_json(faults)])
    for quantile, limit in rules["maximum_loan_to_value"].items():
        ratio = ltv.loan_to_value(float(loan.amount), pledge.value(rules, assets, quantile))
        if ratio > limit:
            raise CollateralError(
                f"the loan to value at {quantile} is {ratio:.1%} on the newest valuation, above {limit:.0%}"
            )
    if loan.cover.expiry is not None and loan.cover.expiry < today:
        raise CollateralError("the cover has ended; have the forest insured again")

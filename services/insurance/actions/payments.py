"""Who gets the money of a claim: the bank up to its live interest, then the owner; the parts sum to it to the fen."""

from sqlalchemy.orm import Session

from services.insurance.actions.policies import live_interest
from services.insurance.actions.pricing import Steps
from services.insurance.formulas.waterfall import breach_payments, lender_payments, owner_payment, subrogated_claim
from services.insurance.tables import Claim, Policy
from shared import audit, clock, money, outbox
from shared.events.insurance import ClaimPaid


def settle(session: Session, claim: Claim, policy: Policy) -> None:
    """Pay an open claim in full; both rows are locked. Raises StateError while the bank's interest is not known."""
    interest = live_interest(policy)
    total, interests = money.fen(claim.payable), [money.fen(interest)]
    steps = Steps(list(claim.explanation))
    if policy.breached_at is None:
        to_lenders = lender_payments(total, interests)
        to_owner, withheld, subrogated = owner_payment(total, to_lenders), 0, 0
    else:
        clause = policy.terms["lender_clause"]
        to_lenders = breach_payments(total, interests, lender_clause=clause == "lender")
        to_owner, withheld, subrogated = 0, owner_payment(total, to_lenders), subrogated_claim(to_lenders)
        steps.note("(I65)", "breach_payment", money.from_fen(to_lenders[0]), of=claim.bank, payout=claim.payable,
                   interest=interest, clause=clause)  # fmt: skip
        steps.note("(I66)", "subrogated_claim", money.from_fen(subrogated), of="owner", paid=to_lenders[0])
    claim.to_bank, claim.to_owner = money.from_fen(to_lenders[0]), money.from_fen(to_owner)
    claim.withheld, claim.subrogated = money.from_fen(withheld), money.from_fen(subrogated)
    claim.state, claim.paid_at, claim.reserve = "paid", clock.now(), money.from_fen(0)
    policy.unsettled += claim.to_bank
    if policy.breached_at is None:
        steps.note("(I63)", "lender_payment", claim.to_bank, of=claim.bank, payout=claim.payable, interest=interest)
        steps.note("(I64)", "owner_payment", claim.to_owner, of="owner", payout=claim.payable, lender=claim.to_bank)
    claim.explanation = steps.rows
    outbox.put(
        session,
        ClaimPaid(
            loan_id=claim.loan_id,
            bank=claim.bank,
            insurer=claim.institution,
            claim_id=claim.id,
            policy_id=claim.policy_id,
            total=claim.to_bank + claim.to_owner,
            to_bank=claim.to_bank,
            to_owner=claim.to_owner,
        ),
    )
    audit.record(
        session, "pay_claim", claim.id, total=str(claim.payable), to_bank=str(claim.to_bank),
        to_owner=str(claim.to_owner),
    )  # fmt: skip
    session.flush()

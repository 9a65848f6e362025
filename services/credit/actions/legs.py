"""The three legs of a loan: asked, remembered as each institution tells them, and put together when all stand.

Topics have no order among each other, so every handler writes down what it was told in whatever state the loan is, and
only then asks whether that moves the loan. After a loan has ended its legs undo themselves; what they tell is kept.
"""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from services.credit.actions import reasons, recovery, schedules, watching
from services.credit.actions.decisions import Decided, pledged_assets
from services.credit.actions.endings import Blocker, decline, expire, let_timers_go, parties
from services.credit.actions.offers import draft, expected_issuances
from services.credit.actions.policy import TERMS, policy
from services.credit.actions.states import BEFORE_MONEY, IN_DEFAULT, LIVE, move, note
from services.credit.tables import COVERING, Loan, LoanAsset, locked_loan
from shared import clock, outbox, timers
from shared.events.base import encode
from shared.events.credit import LegsRequested
from shared.events.guarantee import (
    GuaranteeEvent,
    GuaranteeIssued,
    GuaranteeRefused,
    GuaranteeReleased,
    GuaranteeReserved,
)
from shared.events.insurance import (
    CoverEvent,
    CoverQuoted,
    CoverRefused,
    PolicyBound,
    PolicyBreached,
    PolicyEndorsed,
    PolicyLapsed,
    PolicyReinstated,
)
from shared.events.parts import Reason
from shared.events.sink import (
    PledgeEnforced,
    PledgeEvent,
    PledgePlaced,
    PledgeReduced,
    PledgeRefused,
    PledgeReleased,
)

log = structlog.get_logger(__name__)


def ask(session: Session, loan: Loan, decided: Decided, reason: str, comment: str = "") -> None:
    """Ask insurance and guarantee for a locked loan that passed credit's own test, until a deadline."""
    assert decided.price is not None
    assert loan.county is not None
    today, terms = clock.today(), policy(clock.today(), TERMS)
    answer_by = clock.now() + timedelta(hours=terms["leg_deadline_hours"])
    rate, day_count = Decimal(str(decided.price.annual_rate)), loan.day_count or terms["interest_day_count"]
    # Only the carbon's own schedule asks what the carbon brings, and when.
    issuances = expected_issuances(session, loan) if loan.repayment == "issuance_matched" else []
    loan.legs_by = answer_by
    loan.cover.state = loan.guarantee.state = "asked"
    move(session, loan, "structuring", reason, comment)
    timers.put(session, "legs", loan.id, answer_by)
    outbox.put(
        session,
        LegsRequested(
            **parties(loan),
            obligor=loan.obligor,
            amount=loan.amount,
            term_months=loan.term_months,
            default_probability=Decimal(repr(decided.judgement.default_probability)),
            loss_given_default=Decimal(repr(decided.price.loss_given_default_before_legs)),
            small_or_farmer=loan.small_or_farmer,
            scheme=loan.scheme,
            county=loan.county,
            pledges=pledged_assets(loan),
            answer_by=answer_by,
            schedule=schedules.as_told(schedules.planned(loan, rate, day_count, issuances, today)),
        ),
    )


# -- insurance --------------------------------------------------------------------------------------------------------


def remember_quote(session: Session, event: CoverQuoted) -> None:
    """Keep a quote; with a reservation beside it the offer is drafted."""
    loan = _insured(session, event)
    if loan is None or loan.cover.state not in ("none", "asked", "quoted"):
        return
    cover = loan.cover
    cover.state, cover.cover_id, cover.expires_at = "quoted", event.cover_id, event.expires_at
    cover.sum_insured, cover.deductible = event.sum_insured, event.deductible
    cover.annual_premium, cover.owner_premium = event.annual_premium, event.owner_premium
    cover.perils = list(event.perils)
    note(session, loan, "cover_quoted", cover=str(event.cover_id))
    _put_together(session, loan)


def remember_cover_refusal(session: Session, event: CoverRefused) -> None:
    """Keep a refusal of cover; before money has flowed it ends the loan."""
    loan = _insured(session, event)
    if loan is None or loan.cover.state in ("bound", "breached", "void", "lapsed"):
        return
    loan.cover.state, loan.cover.reasons = "refused", reasons.as_json(event.reasons)
    note(session, loan, "cover_refused", stage=event.stage)
    _lose(session, loan, "insurance", event.reasons)


def remember_policy(session: Session, event: PolicyBound) -> None:
    """Keep that the policy is in force."""
    loan = _insured(session, event)
    if loan is None:
        return
    cover = loan.cover
    cover.state, cover.policy_id, cover.cover_id = "bound", event.policy_id, event.cover_id
    cover.sum_insured, cover.inception, cover.expiry = event.sum_insured, event.inception, event.expiry
    cover.claimed = Decimal(0)
    note(session, loan, "policy_bound", policy=str(event.policy_id))
    _put_together(session, loan)
    if loan.state in LIVE:
        watching.retest(session, loan, "cover")


def remember_endorsement(session: Session, event: PolicyEndorsed) -> None:
    """Keep that the policy covers another sum or lasts longer: what is insured now, and until when."""
    loan = _insured(session, event)
    if loan is None or loan.cover.policy_id != event.policy_id or loan.cover.state not in COVERING:
        return
    cover = loan.cover
    cover.sum_insured, cover.annual_premium, cover.expiry = event.sum_insured, event.annual_premium, event.expiry
    note(session, loan, "policy_endorsed", policy=str(event.policy_id), kind=event.kind, sum=str(event.sum_insured))
    if loan.state in LIVE:
        watching.retest(session, loan, "cover")


def remember_reinstatement(session: Session, event: PolicyReinstated) -> None:
    """Keep that what claims took of the sum is insured again: a warning of what was missing ends with it."""
    loan = _insured(session, event)
    if loan is None or loan.cover.policy_id != event.policy_id or loan.cover.state not in COVERING:
        return
    loan.cover.claimed = max(loan.cover.claimed - event.reinstated, Decimal(0))
    note(session, loan, "policy_reinstated", policy=str(event.policy_id), sum=str(event.reinstated))
    if loan.state in LIVE:
        watching.retest(session, loan, "cover")


def remember_breach(session: Session, event: PolicyBreached) -> None:
    """Keep that the owner broke the policy. The lender's clause leaves the bank paid: a live loan is warned of.

    Without it the cover is worth nothing to the bank, which breaks the covenant. Before money flows either ends it.
    """
    loan = _insured(session, event)
    if loan is None or loan.cover.policy_id != event.policy_id or loan.cover.state not in COVERING:
        return
    loan.cover.state = "breached" if event.clause == "lender" else "void"
    note(session, loan, "policy_breached", policy=str(event.policy_id), clause=event.clause)
    _lose(session, loan, "insurance", (reasons.policy_broken(event.reason),))
    if loan.state in LIVE:
        watching.retest(session, loan, "cover")


def remember_lapse(session: Session, event: PolicyLapsed) -> None:
    """Keep that the policy ended: it ends a loan not yet paid out, and breaks a covenant of one that is."""
    loan = _insured(session, event)
    if loan is None or loan.cover.policy_id not in (None, event.policy_id):
        return
    loan.cover.state, loan.cover.policy_id, loan.cover.expiry = "lapsed", event.policy_id, event.ends_on
    note(session, loan, "policy_lapsed", policy=str(event.policy_id))
    _lose(session, loan, "insurance", (reasons.cover_lapsed(event.ends_on),))
    if loan.state in LIVE:
        watching.retest(session, loan, "cover")


# -- guarantee --------------------------------------------------------------------------------------------------------


def remember_reservation(session: Session, event: GuaranteeReserved) -> None:
    """Keep a reservation; with a quote beside it the offer is drafted."""
    loan = _guaranteed(session, event)
    if loan is None or loan.guarantee.state not in ("none", "asked", "reserved"):
        return
    guarantee = loan.guarantee
    guarantee.state, guarantee.guarantee_id, guarantee.expires_at = "reserved", event.guarantee_id, event.expires_at
    guarantee.fee, guarantee.shares = event.fee, encode(event)["shares"]
    note(session, loan, "guarantee_reserved", guarantee=str(event.guarantee_id))
    _put_together(session, loan)


def remember_guarantee_refusal(session: Session, event: GuaranteeRefused) -> None:
    """Keep a refusal of the guarantee; before money has flowed it ends the loan."""
    loan = _guaranteed(session, event)
    if loan is None or loan.guarantee.state in ("issued", "called", "paid"):
        return
    loan.guarantee.state, loan.guarantee.reasons = "refused", reasons.as_json(event.reasons)
    note(session, loan, "guarantee_refused", stage=event.stage)
    _lose(session, loan, "guarantee", event.reasons)


def remember_issue(session: Session, event: GuaranteeIssued) -> None:
    """Keep that the guarantee is in force."""
    loan = _guaranteed(session, event)
    if loan is None or loan.guarantee.state in ("called", "paid"):
        return
    guarantee = loan.guarantee
    guarantee.state, guarantee.guarantee_id, guarantee.claim_until = "issued", event.guarantee_id, event.claim_until
    guarantee.shares = encode(event)["shares"]
    note(session, loan, "guarantee_issued", guarantee=str(event.guarantee_id))
    _put_together(session, loan)


def remember_release(session: Session, event: GuaranteeReleased) -> None:
    """Keep that the guarantee let go: it ends a loan not yet paid out, and breaks a covenant of one that is."""
    loan = _guaranteed(session, event)
    if loan is None or loan.guarantee.state == "paid":
        return
    loan.guarantee.state, loan.guarantee.guarantee_id = "released", event.guarantee_id
    note(session, loan, "guarantee_released", guarantee=str(event.guarantee_id))
    recovery.keep_unshared(session, loan)
    _lose(session, loan, "guarantee", (reasons.guarantee_released(event.reason),))
    if loan.state in LIVE:
        watching.retest(session, loan, "guarantee")


# -- sink -------------------------------------------------------------------------------------------------------------


def remember_pledge(session: Session, event: PledgePlaced) -> None:
    """Keep that a lien was entered; the lien book has the last word on the tonnes."""
    loan, asset = _pledged(session, event)
    if loan is None or asset is None:
        return
    # Of a loan that fell into default meanwhile, the register froze it on that event.
    asset.pledge_state = "frozen" if loan.state in IN_DEFAULT else "placed"
    asset.pledge_id, asset.rank, asset.tonnes = event.pledge_id, event.rank, event.tonnes
    note(session, loan, "pledge_placed", pledge=str(event.pledge_id))
    _put_together(session, loan)
    if loan.state in LIVE:
        watching.retest(session, loan, "pledge")


def remember_pledge_refusal(session: Session, event: PledgeRefused) -> None:
    """Keep that liens could not be entered: without its first ones a loan cannot be made."""
    loan, asset = _pledged(session, event)
    if loan is None or asset is None:
        return
    note(session, loan, "pledge_refused", asset=str(event.asset_id))
    _lose(session, loan, "sink", event.reasons)
    if loan.disbursed and asset.pledge_state == "none":
        # A top-up that is not to be had: the loan stands as before, and its officer is told why.
        session.delete(asset)
        session.flush()
        session.expire(loan, ["assets"])
        loan.reasons = reasons.as_json(event.reasons)


def remember_pledge_release(session: Session, event: PledgeReleased) -> None:
    """Keep that a lien was struck out."""
    loan, asset = _pledged(session, event)
    if loan is None or asset is None:
        return
    asset.pledge_state, asset.pledge_id = "released", event.pledge_id
    note(session, loan, "pledge_released", pledge=str(event.pledge_id))
    _lose(session, loan, "sink", (reasons.pledge_released(str(event.asset_id), event.reason),))
    if loan.state in LIVE:
        watching.retest(session, loan, "pledge")


def remember_reduction(session: Session, event: PledgeReduced) -> None:
    """Keep that the bank let go of a part of a lien: only what is left counts as collateral from now on."""
    loan, asset = _pledged(session, event)
    if loan is None or asset is None:
        return
    # Of several reductions under way the bank counts what the last will leave.
    asset.tonnes = min(asset.tonnes, event.left)
    note(session, loan, "pledge_reduced", pledge=str(event.pledge_id), tonnes=str(event.tonnes), left=str(event.left))
    if loan.state in LIVE:
        watching.retest(session, loan, "pledge")


def remember_enforcement(session: Session, event: PledgeEnforced) -> None:
    """Keep that the pledged units were taken over."""
    loan, asset = _pledged(session, event)
    if loan is None or asset is None:
        return
    asset.pledge_state, asset.pledge_id = "enforced", event.pledge_id
    note(session, loan, "pledge_enforced", pledge=str(event.pledge_id))


# -- putting together -------------------------------------------------------------------------------------------------


def _put_together(session: Session, loan: Loan) -> None:
    """Go on when every leg that this state waits for stands."""
    quoted = loan.cover.state == "quoted" and loan.guarantee.state == "reserved"
    stand = loan.cover.state == "bound" and loan.guarantee.state == "issued"
    if loan.state == "structuring" and quoted:
        draft(session, loan)
    elif loan.state == "binding" and stand and all(asset.pledge_state == "placed" for asset in loan.assets):
        loan.drawdown_by = clock.now() + timedelta(days=policy(clock.today(), TERMS)["drawdown_days"])
        move(session, loan, "ready", "legs_stand")
        let_timers_go(session, loan, "binding")
        timers.put(session, "drawdown", loan.id, loan.drawdown_by)


def _lose(session: Session, loan: Loan, leg: Blocker, why: tuple[Reason, ...]) -> None:
    """End a loan whose money has not flowed because a leg is not to be had."""
    if loan.state in BEFORE_MONEY:
        decline(session, loan, leg, why)


def expire_legs(session: Session, loan_id: UUID) -> None:
    """The legs have not both answered in time."""
    _expire(session, loan_id, "structuring", "legs")


def expire_binding(session: Session, loan_id: UUID) -> None:
    """Not all of pledge, policy and guarantee were there in time."""
    _expire(session, loan_id, "binding", "binding")


def expire_drawdown(session: Session, loan_id: UUID) -> None:
    """The money was not drawn in time."""
    _expire(session, loan_id, "ready", "drawdown")


def _expire(session: Session, loan_id: UUID, state: str, deadline: str) -> None:
    loan = locked_loan(session, loan_id)
    if loan is not None and loan.state == state:
        expire(session, loan, deadline)


# -- whose event is it ------------------------------------------------------------------------------------------------


def _insured(session: Session, event: CoverEvent) -> Loan | None:
    """The locked loan of an insurer's event, if that insurer is the loan's."""
    loan = locked_loan(session, event.loan_id)
    return loan if _known(loan, event, loan is not None and loan.insurer == event.insurer) else None


def _guaranteed(session: Session, event: GuaranteeEvent) -> Loan | None:
    """The locked loan of a guarantor's event, if that guarantor is the loan's."""
    loan = locked_loan(session, event.loan_id)
    return loan if _known(loan, event, loan is not None and loan.guarantor == event.guarantor) else None


def _pledged(session: Session, event: PledgeEvent) -> tuple[Loan | None, LoanAsset | None]:
    """The locked loan of a pledge event and the asset it speaks of."""
    loan = locked_loan(session, event.loan_id)
    asset = None if loan is None else next((one for one in loan.assets if one.asset_id == event.asset_id), None)
    return (loan, asset) if _known(loan, event, asset is not None) else (None, None)


def _known(loan: Loan | None, event: CoverEvent | GuaranteeEvent | PledgeEvent, ours: bool) -> bool:
    if loan is None or not ours:
        log.warning("an event of no loan of ours", type=type(event).__name__, loan=str(event.loan_id))
        return False
    return True

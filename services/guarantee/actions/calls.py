"""Calls: the bank's claim after default, its payment, and recoveries shared back, kept in a double-entry journal.

Accounts, as the primary guarantor sees them (debit less credit): `bank`, what the bank owes it (below 0: what it owes
the bank); `cash`; `subrogated`, its own part of the claim on the debtor; `province`, `national`, `pool`, what they are
to reimburse, less what they are to get of recoveries.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS
from services.guarantee.actions.guarantees import (
    ZERO,
    close_guarantee,
    guarantee_of,
    locked_guarantee,
    release,
    shares_of,
)
from services.guarantee.formulas.call import gross_payment, net_recovery, recovery_shares, subrogated_claim
from services.guarantee.formulas.split import PARTIES, split
from services.guarantee.tables import Call, Guarantee, JournalRow, Recovery
from shared import audit, clock, money, outbox, timers
from shared.db import found, locked, tenant
from shared.errors import StateError
from shared.events.credit import LoanClosed, LoanDefaulted, RecoveryReceived
from shared.events.guarantee import GuaranteeCalled, GuaranteePaid, RecoveryShared
from shared.events.parts import Shares
from shared.ids import uuid7

log = structlog.get_logger(__name__)

#: The account in which each party's part of the guarantor's payment stands.
_ACCOUNTS = {"primary": "subrogated", "province": "province", "national": "national", "pool": "pool"}


def open_call(session: Session, event: LoanDefaulted) -> None:
    """Open the bank's claim on the guarantee of a loan in default."""
    guarantee = guarantee_of(session, event.loan_id)
    if guarantee is None or guarantee.state != "issued":
        log.info("nothing to call", loan=str(event.loan_id), state=guarantee.state if guarantee else "none")
        return
    assert guarantee.claim_until is not None
    if event.defaulted_on > guarantee.claim_until:
        release(session, guarantee, "the claim period ended")
        return
    balance = min(event.balance, guarantee.amount)
    if balance == 0:
        log.info("nothing is owed", loan=str(event.loan_id))
        return
    parts = split(money.fen(balance), guarantee.shares_bp)
    call = Call(
        id=uuid7(),
        institution=tenant(session),
        guarantee_id=guarantee.id,
        loan_id=guarantee.loan_id,
        bank=guarantee.bank,
        state="open",
        balance=balance,
        payable=money.from_fen(gross_payment(money.fen(balance), guarantee.shares_bp)),
        paid=None,
        recovered=ZERO,
        recovered_for_guarantors=ZERO,
        subrogated_claim=ZERO,
        defaulted_on=event.defaulted_on,
        opened_at=clock.now(),
        paid_at=None,
        reference="",
        **_columns(shares_of(parts)),
    )
    session.add(call)
    session.flush()
    guarantee.state, guarantee.balance = "called", balance
    timers.cancel(session, guarantee.id, "claim_period")
    head = _book(
        session, call, "call", call.id, ((account, "bank", parts[party]) for party, account in _ACCOUNTS.items())
    )
    outbox.put(
        session,
        GuaranteeCalled(**_names(call), call_id=call.id, balance=call.balance, shares=call.shares),
    )
    audit.record(
        session,
        "open_call",
        call.id,
        loan=str(call.loan_id),
        balance=str(balance),
        payable=str(call.payable),
        journal=head,
    )


def pay_call(session: Session, call_id: UUID, reference: str) -> Call:
    """Pay the bank everything but its own share, once."""
    # The guarantee is locked before its call everywhere, so the call is first read without a lock.
    guarantee = locked_guarantee(session, found(session, Call, call_id).guarantee_id)
    assert guarantee is not None
    call = locked(session, Call, call_id)
    if call.state != "open":
        raise StateError(f"the call is {call.state}; only an open one can be paid")
    call.state, call.paid, call.paid_at, call.reference = "paid", call.payable, clock.now(), reference
    call.subrogated_claim = _subrogated(call)
    guarantee.state = "paid"
    head = _book(session, call, "payment", call.id, [("bank", "cash", money.fen(call.payable))])
    outbox.put(session, GuaranteePaid(**_names(call), call_id=call.id, paid=call.payable, shares=call.shares))
    audit.record(session, "pay_call", call.id, paid=str(call.paid), reference=reference, journal=head)
    if guarantee.loan_closed:
        release(session, guarantee, "the loan was closed before")
    return call


def share_recovery(session: Session, event: RecoveryReceived) -> None:
    """Share a recovery, less its costs, by the shares of the call; before or after the call is paid."""
    guarantee = guarantee_of(session, event.loan_id)
    call = _call_of(session, guarantee)
    if guarantee is None or call is None or call.state == "cancelled":
        log.info("no call to share by", loan=str(event.loan_id), recovery=str(event.recovery_id))
        return
    if session.get(Recovery, event.recovery_id) is not None:
        log.info("shared before", loan=str(event.loan_id), recovery=str(event.recovery_id))
        return
    terms = PARAMETERS.at(clock.today())["recovery_sharing"]
    costs = event.costs if terms["costs_first"] else ZERO
    net = net_recovery(money.fen(event.amount), money.fen(costs))
    parts = recovery_shares(net, guarantee.shares_bp, terms["parties"])
    recovery = Recovery(
        id=event.recovery_id,
        institution=tenant(session),
        call_id=call.id,
        source=event.source,
        amount=event.amount,
        costs=costs,
        net=money.from_fen(net),
        shared_at=clock.now(),
        **_columns(shares_of(parts)),
    )
    session.add(recovery)
    call.recovered += recovery.net
    call.recovered_for_guarantors += recovery.net - recovery.share_bank
    call.subrogated_claim = _subrogated(call)
    head = _book(
        session,
        call,
        "recovery",
        recovery.id,
        (("bank", account, parts[party]) for party, account in _ACCOUNTS.items()),
    )
    outbox.put(
        session,
        RecoveryShared(**_names(call), recovery_id=recovery.id, net=recovery.net, shares=recovery.shares),
    )
    audit.record(session, "share_recovery", recovery.id, call=str(call.id), net=str(recovery.net), journal=head)


def close_loan(session: Session, event: LoanClosed) -> None:
    """Let go of a closed loan; a call that was never paid falls away if the borrower paid the loan after all."""
    guarantee = guarantee_of(session, event.loan_id)
    if guarantee is None or guarantee.loan_closed:
        log.info("nothing to close", loan=str(event.loan_id))
        return
    call = _call_of(session, guarantee)
    if call is not None and call.state == "open" and event.outcome == "repaid":
        _cancel(session, guarantee, call)
    close_guarantee(session, guarantee, event)


def balances(rows: Iterable[JournalRow]) -> dict[str, Decimal]:
    """Debit less credit of each account. [CNY]"""
    sums: dict[str, Decimal] = {}
    for row in rows:
        sums[row.debit] = sums.get(row.debit, ZERO) + row.amount
        sums[row.credit] = sums.get(row.credit, ZERO) - row.amount
    return sums


def journal(session: Session, call_id: UUID) -> list[JournalRow]:
    """The journal of a call, oldest first."""
    found(session, Call, call_id)
    return list(session.scalars(select(JournalRow).where(JournalRow.call_id == call_id).order_by(JournalRow.id)))


def intact(rows: Iterable[JournalRow]) -> bool:
    """Whether every row of a whole journal is what it was when it was written, and none before the last is missing.

    That the last ones are there is for the audit's own chain to say: it keeps the last hash of each booking.
    """
    head = ""
    for row in rows:
        if row.hash != (row.hash_after(head) if row.hash or head else ""):
            return False
        head = row.hash
    return True


def _cancel(session: Session, guarantee: Guarantee, call: Call) -> None:
    call.state = "cancelled"
    parts = split(money.fen(call.balance), guarantee.shares_bp)
    rows = (("bank", account, parts[party]) for party, account in _ACCOUNTS.items())
    head = _book(session, call, "cancellation", call.id, rows)
    audit.record(session, "cancel_call", call.id, journal=head)
    guarantee.state = "issued"


def _call_of(session: Session, guarantee: Guarantee | None) -> Call | None:
    """The call on a guarantee, locked."""
    if guarantee is None:
        return None
    return session.scalars(
        select(Call)
        .where(Call.guarantee_id == guarantee.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def _book(session: Session, call: Call, kind: str, source: UUID, rows: Iterable[tuple[str, str, int]]) -> str:
    """Enter amounts of (debit, credit, fen) at the end of the journal; its last hash, for the audit to keep.

    Nothing is written for nothing. The call is locked, so nobody else adds to its journal meanwhile.
    """
    last = select(JournalRow.hash).where(JournalRow.call_id == call.id).order_by(JournalRow.id.desc()).limit(1)
    head = session.scalar(last) or ""
    for debit, credit, amount in rows:
        if not amount:
            continue
        row = JournalRow(
            id=uuid7(),
            institution=tenant(session),
            call_id=call.id,
            kind=kind,
            source=source,
            debit=debit,
            credit=credit,
            amount=money.from_fen(amount),
            booked_at=clock.now(),
        )
        head = row.hash = row.hash_after(head)
        session.add(row)
    return head


def _subrogated(call: Call) -> Decimal:
    paid, back = money.fen(call.paid or ZERO), money.fen(call.recovered_for_guarantors)
    return money.from_fen(subrogated_claim(paid, back))


def _columns(shares: Shares) -> dict[str, Decimal]:
    return {f"share_{party}": getattr(shares, party) for party in PARTIES}


def _names(call: Call) -> dict[str, Any]:
    return {
        "loan_id": call.loan_id,
        "bank": call.bank,
        "guarantor": call.institution,
        "guarantee_id": call.guarantee_id,
    }

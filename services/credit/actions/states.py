"""The states of a loan and the one table of what may follow what; every change passes here and is written down."""

from types import MappingProxyType

from sqlalchemy.orm import Session

from services.credit.tables import Loan, LoanHistory
from shared import audit, clock
from shared.errors import StateError

_BEFORE_MONEY_ENDS = frozenset({"declined", "withdrawn", "expired"})

#: From each state, the states that may follow. Anything else is refused.
TRANSITIONS = MappingProxyType(
    {
        "": frozenset({"applied"}),
        "applied": frozenset({"scored"}),
        "scored": frozenset({"declined", "referred", "structuring"}),
        "referred": _BEFORE_MONEY_ENDS | {"structuring", "proposed"},
        "structuring": _BEFORE_MONEY_ENDS | {"referred", "proposed"},
        "proposed": _BEFORE_MONEY_ENDS | {"offered"},
        "offered": _BEFORE_MONEY_ENDS | {"binding"},
        "binding": _BEFORE_MONEY_ENDS | {"ready"},
        "ready": _BEFORE_MONEY_ENDS | {"performing"},
        "performing": frozenset({"margin_called", "defaulted", "closed"}),
        "margin_called": frozenset({"performing", "defaulted", "closed"}),
        "defaulted": frozenset({"enforcing", "closed"}),
        "enforcing": frozenset({"closed"}),
        "declined": frozenset(),
        "withdrawn": frozenset(),
        "expired": frozenset(),
        "closed": frozenset(),
    }
)
#: No money has flowed: a leg that was asked and refuses or lets go ends the loan.
BEFORE_MONEY = ("referred", "structuring", "proposed", "offered", "binding", "ready")
#: Money is out and the debtor pays.
LIVE = ("performing", "margin_called")
IN_DEFAULT = ("defaulted", "enforcing")
#: Nothing follows; no leg may stay held.
ENDED = ("declined", "withdrawn", "expired", "closed")


def may_follow(state: str, following: str) -> bool:
    """Whether one state may follow another."""
    return following in TRANSITIONS[state]


def demand(loan: Loan, *states: str) -> None:
    """Refuse a step unless the loan is in one of these states."""
    if loan.state not in states:
        raise StateError(f"the loan is {loan.state}; this step needs one that is {' or '.join(states)}")


def move(session: Session, loan: Loan, following: str, reason: str, comment: str = "") -> None:
    """Bring a locked loan into another state and write down who did it and why; refuse what the table does not have."""
    before = loan.state
    if not may_follow(before, following):
        raise StateError(f"a loan that is {before or 'new'} cannot become {following}")
    _write(session, loan, before, following, reason, comment)


def begin(session: Session, loan: Loan, reason: str) -> None:
    """Enter a new loan in its first state."""
    _write(session, loan, None, "applied", reason, "")


def _write(session: Session, loan: Loan, before: str | None, following: str, reason: str, comment: str) -> None:
    loan.state = following
    loan.steps += 1
    touch(loan)
    session.add(
        LoanHistory(
            loan=loan,
            number=loan.steps,
            institution=loan.institution,
            from_state=before,
            to_state=following,
            at=loan.updated_at,
            actor=session.info.get("actor", "system"),
            reason=reason[:64],
            comment=comment[:1000],
        )
    )
    audit.record(session, f"loan_{following}", loan.id, before=before or "", reason=reason[:64])


def note(session: Session, loan: Loan, deed: str, **detail: str) -> None:
    """Write down a change that leaves the state as it is, and let the loan's version rise."""
    touch(loan)
    audit.record(session, deed, loan.id, **detail)


def touch(loan: Loan) -> None:
    """Let the loan's version rise because something that belongs to it changed."""
    loan.updated_at = clock.now()

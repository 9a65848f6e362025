"""Erasure of personal data, once no duty keeps them; and the keys of those that are kept."""

from datetime import date
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from services.credit.actions.dates import months_after
from services.credit.actions.policy import PARTIES, policy
from services.credit.actions.states import ENDED
from services.credit.tables import Loan, LoanDocument, Party
from shared import audit, clock
from shared.db import locked, table_of
from shared.errors import StateError
from shared.sealing import Place, Sealed, keys


def erase(session: Session, party_id: UUID, ground: str) -> Party:
    """Erase what is personal about a party: seal, marks and names of documents. What it borrowed stays, of nobody.

    Refused while a loan lives, and while records must be kept: five years from the end of the last loan that was paid
    out. Where no loan ever was, there is no relation whose end would have to be waited for.
    """
    party = locked(session, Party, party_id)
    if party.sealed is None:
        raise StateError("this party's data were erased already")
    own = Loan.party_id == party.id
    living = session.scalar(select(Loan.id).where(own, Loan.state.not_in(ENDED)).limit(1))
    if living is not None:
        raise StateError(f"loan {living} lives; its borrower's data are needed")
    kept_until = _kept_until(session, party)
    if kept_until is not None and clock.today() < kept_until:
        raise StateError(f"the records of this borrower must be kept until {kept_until}")
    party.updated_at = party.erased_at = clock.now()
    party.sealed = party.key_id = None
    party.debts, party.yearly_income, party.yearly_costs = [], None, None
    party.marks = []
    loans = select(Loan.id).where(own)
    names = update(LoanDocument).where(LoanDocument.loan_id.in_(loans)).values(sealed=None, key_id=None)
    session.execute(names.execution_options(synchronize_session=False))
    audit.record(session, "erase_party", party.id, ground=ground)
    return party


def rekey(session: Session, limit: int) -> int:
    """Wrap at most so many records of this institution by the current key; says how many there were."""
    ring, done = keys(session), 0
    for entity in (Party, LoanDocument):
        table = table_of(entity)
        columns = select(table.c.id, table.c.institution, table.c.sealed, table.c.key_id)
        waiting = columns.where(table.c.key_id != ring.current)
        rows = session.execute(waiting.order_by(table.c.id).limit(limit - done).with_for_update()).all()
        for row in rows:
            new = ring.rewrap(Sealed(row.key_id, row.sealed), Place(table.name, row.id, row.institution))
            # Nobody sees another record for it, so its version stays.
            session.execute(update(table).where(table.c.id == row.id).values(sealed=new.data, key_id=new.key_id))
        done += len(rows)
    if done:
        audit.record(session, "rekey_records", ring.current, records=done)
    return done


def _kept_until(session: Session, party: Party) -> date | None:
    """The day until which the records of the last loan must be kept; None if there was no loan."""
    paid_out = select(func.max(Loan.updated_at)).where(Loan.party_id == party.id, Loan.disbursed > 0)
    ended = session.scalar(paid_out)
    years: int = policy(clock.today(), PARTIES)["personal_data_retention_years"]
    return None if ended is None else months_after(ended.astimezone(clock.BUSINESS).date(), 12 * years)

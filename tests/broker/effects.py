"""A consumer whose every effect can be counted: one row for each time an event is applied."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer

BANK = "bank-yanmen"
TABLE = """
CREATE TABLE effects (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL, what text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT ON effects TO credit_worker, credit_app;
"""


def note(session: Session, key: str, what: str) -> None:
    """Write down one effect."""
    session.execute(text("INSERT INTO effects (key, what) VALUES (:k, :w)"), {"k": key, "w": what})


def listening() -> Consumer:
    """Note the reason of each withdrawal under its loan."""
    return Consumer(
        "credit",
        {LoanWithdrawn: lambda session, event: note(session, str(event.loan_id), event.reason)},
        lambda event: BANK,
    )

"""Calls, recoveries and their journal."""

import hashlib
from datetime import UTC, date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.guarantee.tables.base import FIVE_PARTS, Base, FiveParts
from shared.db import Id, Institution, Moment, MoneyColumn, Versioned
from shared.strict_json import canonical


class Call(Versioned, FiveParts, Base):
    """The bank's claim on a guarantee after default."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("guarantee_id"),
        CheckConstraint("state IN ('open', 'paid', 'cancelled')", name="state"),
        CheckConstraint(f"{FIVE_PARTS} = balance", name="shares_sum_to_the_balance"),
        CheckConstraint("payable = balance - share_bank", name="payable_is_all_but_the_bank_share"),
        CheckConstraint("(state = 'paid') = (paid IS NOT NULL) AND paid = payable", name="paid_in_full_or_not"),
        CheckConstraint(
            "recovered >= 0 AND recovered_for_guarantors BETWEEN 0 AND recovered AND subrogated_claim >= 0",
            name="recovered_not_negative",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    guarantee_id: Mapped[UUID] = mapped_column(ForeignKey("guarantees.id"))
    loan_id: Mapped[UUID] = mapped_column(index=True)
    bank: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), index=True)
    balance: Mapped[MoneyColumn]
    payable: Mapped[MoneyColumn]
    paid: Mapped[MoneyColumn | None]
    #: Net recoveries so far, of all parties.
    recovered: Mapped[MoneyColumn]
    #: Net recoveries so far of the parties behind the guarantor's payment: everyone but the bank.
    recovered_for_guarantors: Mapped[MoneyColumn]
    #: Claim on the debtor that passed to the guarantor with its payment, less what came back (Civil Code art. 700).
    subrogated_claim: Mapped[MoneyColumn]
    defaulted_on: Mapped[date]
    opened_at: Mapped[Moment]
    paid_at: Mapped[Moment | None]
    reference: Mapped[str] = mapped_column(String(64))


class Recovery(FiveParts, Base):
    """Money recovered after default, shared back by the shares of the call. Its id is the bank's recovery's."""

    __tablename__ = "recoveries"
    __table_args__ = (
        CheckConstraint(f"{FIVE_PARTS} = net", name="shares_sum_to_the_net"),
        CheckConstraint("net = greatest(amount - costs, 0)", name="net_of_costs"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id"), index=True)
    source: Mapped[str] = mapped_column(String(16))
    amount: Mapped[MoneyColumn]
    costs: Mapped[MoneyColumn]
    net: Mapped[MoneyColumn]
    shared_at: Mapped[Moment]


class JournalRow(Base):
    """One amount that moves from the credit of one account to the debit of another: so the journal sums to zero.

    Append-only: nobody has the right to change or delete a row, and balances are sums. Each row is chained to the one
    before it in its call's journal, so that a row which was changed all the same shows.
    """

    __tablename__ = "journal_rows"
    __table_args__ = (
        UniqueConstraint("kind", "source", "debit", "credit"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        CheckConstraint("kind IN ('call', 'payment', 'recovery', 'cancellation')", name="kind"),
        CheckConstraint(
            "debit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')"
            " AND credit IN ('bank', 'cash', 'subrogated', 'province', 'national', 'pool')",
            name="accounts",
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    #: What caused it: the call, or the recovery.
    source: Mapped[UUID]
    debit: Mapped[str] = mapped_column(String(16))
    credit: Mapped[str] = mapped_column(String(16))
    amount: Mapped[MoneyColumn]
    booked_at: Mapped[Moment]
    #: Of the hash before it and of what the row says; empty in rows from before there was a chain.
    hash: Mapped[str] = mapped_column(String(64))

    def hash_after(self, previous: str) -> str:
        """SHA-256 of the hash before it and of everything the row says."""
        said = {
            "id": str(self.id), "institution": self.institution, "call_id": str(self.call_id), "kind": self.kind,
            "source": str(self.source), "debit": self.debit, "credit": self.credit, "amount": f"{self.amount:.2f}",
            "booked_at": self.booked_at.astimezone(UTC).isoformat(),
        }  # fmt: skip
        return hashlib.sha256(previous.encode() + canonical(said)).hexdigest()

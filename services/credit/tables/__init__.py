"""Tables of the credit database, by noun, and the queries that several actions share."""

from services.credit.tables.base import Base
from services.credit.tables.decisions import Decision, DecisionMaterial, keep_materials, latest_decision, materials_of
from services.credit.tables.loans import (
    CONCENTRATIONS,
    IN_BOOK,
    STATES,
    Loan,
    LoanAsset,
    LoanCover,
    LoanGuarantee,
    LoanHistory,
    LoanPayment,
    book,
    live_loans_on,
    locked_loan,
    payment_of,
    payments_of,
)
from services.credit.tables.parties import Party, PartyMark, party_of_identity
from services.credit.tables.valuations import Valuation, valuations_of

__all__ = [
    "CONCENTRATIONS",
    "IN_BOOK",
    "STATES",
    "Base",
    "Decision",
    "DecisionMaterial",
    "Loan",
    "LoanAsset",
    "LoanCover",
    "LoanGuarantee",
    "LoanHistory",
    "LoanPayment",
    "Party",
    "PartyMark",
    "Valuation",
    "book",
    "keep_materials",
    "latest_decision",
    "live_loans_on",
    "locked_loan",
    "materials_of",
    "party_of_identity",
    "payment_of",
    "payments_of",
    "valuations_of",
]

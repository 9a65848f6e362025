"""Screen that keeps columns which know the outcome out of training.

Two doors: columns refused by name, each with its measured proof, and a measurement of every candidate column whatever
its name, because a leak that was renamed is still a leak.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from services.credit.formulas.discrimination import bit_evidence, single_column_area

# Proofs were counted on the 6,023 labelled loans of data/loans/sba_agri_forestry_loans.csv.
LEAK_COLUMNS: dict[str, str] = {
    "Term": "where it is not a multiple of 12 months, 1,322 loans, 30.79 % were charged off; elsewhere 0.81 % of "
    "4,701; this one bit alone has AUC 0.875",
    "ChgOffDate": "it dates the outcome: where present, 455 loans, 97.80 % were charged off; where absent none of "
    "5,568",
    "ChgOffPrinGr": "it measures the outcome: above 0, 453 loans, 97.79 % were charged off; elsewhere 0.04 % of 5,570",
    "MIS_Status": "it is the outcome",
    "DisbursementDate": "it is known only after the decision",
    "DisbursementGross": "it is known only after the decision; where it differs from the approved amount, 445 loans, "
    "8.54 % were charged off, elsewhere 7.30 %",
    "BalanceGross": "it is known only after the decision",
    "ApprovalDate": "it tells the era of the sample, not the borrower; it serves to split, never as a feature",
    "ApprovalFY": "it tells the era of the sample, not the borrower: 12.95 % charged off from 1997 on, 2.74 % before",
    "UrbanRural": "it tells the era of the sample: unknown in nearly all years before 1999; 16.29 % charged off where "
    "known, 3.76 % where unknown",
}
_MODULI = (1, 12, 360, 365)
_BIT_AREA = 0.75
_COLUMN_AREA = 0.85


class LeakError(ValueError):
    """A column proposed for training knows the outcome; the message names the proof."""


def refuse_leaks(rows: Sequence[Mapping[str, str]], outcomes: Sequence[int], columns: Iterable[str]) -> None:
    """Refuse columns that leak by name, by being a copy of one that does, or by measurement."""
    for column in columns:
        proof = LEAK_COLUMNS.get(column) or leak_proof(rows, outcomes, column)
        if proof is not None:
            raise LeakError(f"{column} may not be used for training: {proof}")


def leak_proof(rows: Sequence[Mapping[str, str]], outcomes: Sequence[int], column: str) -> str | None:
    """Measured reason to think that a column knows the outcome, or nothing."""
    values = [row[column] for row in rows]
    for known in LEAK_COLUMNS:
        if known in rows[0] and len(set(values)) > 1 and values == [row[known] for row in rows]:
            return f"it is a copy of {known}: {LEAK_COLUMNS[known]}"
    present = np.array([value.strip() != "" for value in values])
    questions = {"it is present": present}
    numbers = _numbers(values)
    if numbers is not None:
        questions["it is above 0"] = numbers > 0
        questions |= {f"it is no multiple of {modulus}": present & (numbers % modulus != 0) for modulus in _MODULI}
    for question, answers in questions.items():
        evidence = bit_evidence(outcomes, answers)
        if evidence is not None and evidence.area >= _BIT_AREA:
            return (
                f"where {question}, {evidence.rows_yes:,} loans, {evidence.rate_yes:.2%} were charged off; elsewhere "
                f"{evidence.rate_no:.2%} of {evidence.rows_no:,}; this one bit alone has AUC {evidence.area:.3f}"
            )
    area = single_column_area(outcomes, values, folds=5, prior_rows=20)
    if area >= _COLUMN_AREA:
        return f"its values alone, scored out of fold, have AUC {area:.3f}; no single honest column comes near"
    return None


def _numbers(values: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    try:
        return np.array([float(value) if value.strip() else 0.0 for value in values], dtype=np.float64)
    except ValueError:
        return None

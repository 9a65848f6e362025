"""Screen that keeps columns which know the outcome out of training.

Two doors: columns refused by name, each with its measured proof, and a measurement of every candidate column whatever
its name, because a leak that was renamed is still a leak.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from services.credit.formulas.discrimination import bit_evidence, single_column_area

_MODULI = (1, 12, 360, 365)
_BIT_AREA = 0.75
_COLUMN_AREA = 0.85


class LeakError(ValueError):
    """Columns proposed for training know the outcome; `proofs` says how that is known, by column."""

    def __init__(self, proofs: Mapping[str, str]) -> None:
        self.proofs = proofs
        super().__init__(
            "; ".join(f"{column} may not be used for training: {proof}" for column, proof in proofs.items())
        )


def refuse_leaks(
    rows: Sequence[Mapping[str, str]], outcomes: Sequence[int], columns: Iterable[str], refused: Mapping[str, str]
) -> None:
    """Refuse columns that leak by name, by being a copy of one that does, or by measurement: all of them at once."""
    found = {}
    for column in columns:
        proof = refused.get(column) or leak_proof(rows, outcomes, column, refused)
        if proof is not None:
            found[column] = proof
    if found:
        raise LeakError(found)


def leak_proof(
    rows: Sequence[Mapping[str, str]], outcomes: Sequence[int], column: str, refused: Mapping[str, str]
) -> str | None:
    """Measured reason to think that a column knows the outcome, or nothing."""
    values = [row[column] for row in rows]
    for known in refused:
        if known in rows[0] and len(set(values)) > 1 and values == [row[known] for row in rows]:
            return f"it is a copy of {known}: {refused[known]}"
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

"""The demo's borrowers: what real forestry loans looked like at the decision, under made-up organisation codes.

The features are those of US forestry loans (data/loans/README.md), drawn from fiscal years that no scorecard here was
trained on. They are not Chinese borrowers. What was known only afterwards never becomes a feature: the term column
holds the outcome in that file, so the term is drawn from the demo's own products, and the outcome is told by
`outcomes` alone, for reports that look back.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

from deploy.demo.landscape import COUNTIES
from services.credit.formulas.identity import uscc_check_character

LOANS = Path(__file__).parents[2] / "data" / "loans" / "sba_forestry_loans.csv"
FIRST_YEAR_NOT_TRAINED_ON = 2004
# A scale for the demo, NOT an exchange rate and no claim that the sums are worth the same: nominal dollars of 2004-2013
# times this are the demo's yuan. It is the scorecard's own factor, so the card sees the recorded amount again.
CNY_PER_RECORDED_USD = Decimal("7.1")
TERM_MONTHS = (12, 24, 36, 48, 60)
REVOLVING_TERM_MONTHS = (12, 24, 36)
LEGAL_FORMS = {"cooperative": "93", "firm": "91", "collective": "N2"}
_REGION = "990000"  # no province has 99: a code that cannot be anybody's
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, kw_only=True)
class Borrower:
    """A borrower at the decision. None means that the record does not say. Industry is NAICS, 4 digits."""

    borrower_reference: str
    legal_form: str
    county: str
    employees: int
    new_business: bool | None
    low_doc: bool | None
    revolving: bool | None
    industry: str
    amount: Decimal
    guaranteed_share: Decimal
    term_months: int


def borrowers(n: int, seed: int = 2026, loans: Path = LOANS) -> list[Borrower]:
    """Draw n different borrowers from the recorded loans; the first n of a longer draw are the same.

    Raises ValueError when more are asked for than there are records.
    """
    rows = _drawn(n, seed, loans)
    rng = Random(seed)  # noqa: S311 - a demo that anybody can repeat, nothing secret
    return [_borrower(serial, row, rng) for serial, row in enumerate(rows, start=1)]


def outcomes(n: int, seed: int = 2026, loans: Path = LOANS) -> dict[str, bool]:
    """Whether each recorded loan was charged off, by borrower_reference. For reports only: a decision never sees it."""
    references = [each.borrower_reference for each in borrowers(n, seed, loans)]
    charged_off = [row["MIS_Status"] == "CHGOFF" for row in _drawn(n, seed, loans)]
    return dict(zip(references, charged_off, strict=True))


def organisation_code(legal_form: str, serial: int) -> str:
    """Make a unified social credit code with valid check characters in a region that does not exist.

    >>> organisation_code("cooperative", 1)
    '93990000DEM000014Y'
    """
    if not 0 < serial < 10_000:
        raise ValueError("a serial number has one to four digits")
    body = f"DEM0{serial:04d}"
    first17 = LEGAL_FORMS[legal_form] + _REGION + body + body_check_character(body)
    return first17 + uscc_check_character(first17)


def body_check_character(body: str) -> str:
    """Check character of the eight characters of an organisation (GB 11714, from memory; agrees with GB 32100 cases).

    >>> body_check_character("M000100Y")
    '4'
    """
    values = [int(character, 36) for character in body]
    check = (11 - sum(weight * value for weight, value in zip(_BODY_WEIGHTS, values, strict=True)) % 11) % 11
    return "X" if check == 10 else str(check)


def _drawn(n: int, seed: int, loans: Path) -> list[dict[str, str]]:
    with loans.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["ApprovalFY"]) >= FIRST_YEAR_NOT_TRAINED_ON]
    if not 0 <= n <= len(rows):
        raise ValueError(f"there are {len(rows)} recorded loans, not {n}")
    Random(seed).shuffle(rows)  # noqa: S311 - a demo that anybody can repeat, nothing secret
    return rows[:n]


def _borrower(serial: int, row: Mapping[str, str], rng: Random) -> Borrower:
    [legal_form] = rng.choices(list(LEGAL_FORMS), (50, 35, 15))
    [county] = rng.choices(list(COUNTIES), (15, 25, 12, 12, 27, 9))
    approved = Decimal(row["GrAppv"])
    revolving = _flag(row["RevLineCr"])
    return Borrower(
        borrower_reference=organisation_code(legal_form, serial),
        legal_form=legal_form,
        county=county,
        employees=int(row["NoEmp"]),
        new_business={"1": False, "1.0": False, "2": True, "2.0": True}.get(row["NewExist"]),
        low_doc=_flag(row["LowDoc"]),
        revolving=revolving,
        industry=row["NAICS"][:4],
        amount=(approved * CNY_PER_RECORDED_USD).quantize(Decimal("0.01"), ROUND_HALF_UP),
        guaranteed_share=(Decimal(row["SBA_Appv"]) / approved).quantize(Decimal("0.0001"), ROUND_HALF_UP),
        term_months=rng.choice(REVOLVING_TERM_MONTHS if revolving else TERM_MONTHS),
    )


def _flag(letter: str) -> bool | None:
    # Other letters, 0 and blanks are in the file; nobody knows what they meant.
    return {"Y": True, "N": False}.get(letter)

"""Dated coefficients: the value in force, and never a silent default."""

from datetime import date
from pathlib import Path

import pytest

from shared.parameters import ParameterError, Parameters

TEXT = """
service: credit
parameters:
  rate:
    - {value: 0.04, unit: 1/a, from: 2025-01-01, source: notice 1, verified: read}
    - {value: 0.05, unit: 1/a, from: 2026-03-01, source: notice 2, verified: no, note: draft}
  cap:
    - {value: [1, 2], unit: CNY, from: 2025-06-01, source: notice 3, verified: secondary}
"""


def parameters(folder: Path, text: str = TEXT) -> Parameters:
    path = folder / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    return Parameters(path)


def test_a_value_is_in_force_from_its_date_until_the_next(tmp_path: Path) -> None:
    read = parameters(tmp_path)
    days = [date(2025, 1, 1), date(2025, 12, 31), date(2026, 2, 28), date(2026, 3, 1), date(2099, 1, 1)]
    assert [read.at(day)["rate"] for day in days] == [0.04, 0.04, 0.04, 0.05, 0.05]
    assert read.at(date(2025, 6, 1))["cap"] == [1, 2]


def test_what_is_not_in_force_is_an_error_that_names_it(tmp_path: Path) -> None:
    read = parameters(tmp_path)
    for day, name in [(date(2024, 12, 31), "rate"), (date(2025, 5, 31), "cap"), (date(2026, 1, 1), "rat")]:
        with pytest.raises(ParameterError, match=f"no parameter {name} is in force on {day}"):
            read.at(day)[name]


def test_only_what_a_decision_used_is_named_as_unverified(tmp_path: Path) -> None:
    read = parameters(tmp_path)
    one, other = read.at(date(2026, 4, 1)), read.at(date(2026, 4, 1))
    assert (one["cap"], one.unverified) == ([1, 2], ())
    assert (one["rate"], one.unverified) == (0.05, ("rate",))
    assert other.unverified == (), "what one decision used does not show in another"


def test_the_digest_changes_with_the_values_in_force_only(tmp_path: Path) -> None:
    day = date(2026, 1, 1)
    read = parameters(tmp_path)
    assert read.at(date(2025, 7, 1)).digest == read.at(day).digest != read.at(date(2026, 4, 1)).digest
    assert read.at(day).digest == parameters(tmp_path, TEXT.replace("notice 1", "x")).at(day).digest
    assert read.at(day).digest != parameters(tmp_path, TEXT.replace("0.04", "0.041")).at(day).digest


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("unit: CNY, ", "", "needs value"),
        ("verified: read", "verified: perhaps", "verified"),
        ("from: 2025-01-01", "from: soon", "needs value"),
        ("from: 2025-01-01", "from: 2025-01-01 08:00:00", "needs value"),
        ("from: 2026-03-01", "from: 2025-01-01", "two entries from the same date"),
        ("  cap:", "  rate:", "rate stands twice"),
        ("unit: CNY", "unit: CNY, unit: fen", "unit stands twice"),
    ],
)
def test_a_file_that_is_not_well_formed_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        parameters(tmp_path, TEXT.replace(old, new))


@pytest.mark.parametrize("service", ["sink", "credit", "insurance", "guarantee"])
def test_the_files_of_the_services_are_well_formed(service: str) -> None:
    read = Parameters(Path("services") / service / "parameters.yaml")
    assert read.service == service
    assert read.at(date(2026, 7, 1)).entries

"""Any CSV of loans can be trained on, or is refused with the reason; what comes out is a card that serves."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from deploy.cli import heartwood
from services.credit.formulas.scorecard import Card, score
from services.credit.training.command import _missed_later
from services.credit.training.fit import FitError, calibrated, fitted
from services.credit.training.loan_file import Feature, LoanFileError, Loans, inferred, read_rows
from services.credit.training.periods import dated_column, periods
from services.credit.training.train import champion, measure


def loans(count: int = 1000) -> list[dict[str, Any]]:
    """Made-up loans whose default depends on income, on region and on whether the income is told at all."""
    numbers = np.random.default_rng(7)
    income = numbers.lognormal(10, 0.5, count).round(2)
    region = numbers.choice(["north", "south", "east"], count, p=[0.5, 0.3, 0.2])
    told = numbers.random(count) > 0.1
    odds = -1.2 - 1.8 * (np.log(income) - 10) + np.select([region == "south", region == "east"], [0.5, -0.6], 0) - told
    bad = numbers.random(count) < 1 / (1 + np.exp(-odds))
    return [
        {
            "id": f"L-{n:05}",
            "income": income[n] if told[n] else "",
            "region": region[n],
            "currency": "CNY",
            "year": 2015 + n * 8 // count,
            "outcome": "bad" if bad[n] else "good",
        }
        for n in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def train(*arguments: object) -> Result:
    return CliRunner().invoke(heartwood, ["credit", "train", "--repeats", "1", *map(str, arguments)])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("loans") / "loans.csv", loans())


def test_a_file_of_anybody_becomes_a_card_with_its_report(file: Path, tmp_path: Path) -> None:
    report_path = tmp_path / "there" / "report.json"
    ran = train("--data", file, "--target", "outcome", "--time", "year", "--out", tmp_path, "--json", report_path)
    assert ran.exit_code == 0, ran.output
    report = json.loads(report_path.read_text())
    assert report["target"] == {"column": "outcome", "bad": ["bad"], "good": ["good"]}
    assert report["features"] == ["income", "region"]
    assert set(report["left_out"]) == {"id", "currency"}
    for method in ("champion", "challenger"):
        found = report["measured"]["cross_validated"][method]
        low, high = found["auc"]["bootstrap_90"]
        assert 0.6 < low < found["auc"]["mean"] + 0.02 < high + 0.02
        assert found["brier"]["mean"] < report["measured"]["cross_validated"]["brier_of_base_rate"]
    assert report["measured"]["low_data"]
    late = report["measured"]["out_of_time"]
    assert late["psi_band"] in ("stable", "watch", "alarm")
    assert 0.6 < late["champion"]["auc"] < 1
    low, high = late["champion"]["auc_bootstrap_90"]
    assert low < late["champion"]["auc"] < high
    assert sum(one["rows"] for one in late["by_period"]) == late["champion"]["rows"]
    assert sum(one["bads"] for one in late["by_period"]) == late["champion"]["bads"]
    assert (late["by"], late["undated"], report["time"]) == ("year", 0, "year")
    document = json.loads((tmp_path / "card.json").read_text())
    card = Card.from_document(document)
    for row in document["parity"]:
        assert score(card, row["features"]).log_odds == pytest.approx(row["log_odds"], abs=1e-12)
    page = (tmp_path / "model_card.html").read_text()
    assert page.count("<svg") == 3
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "only" in (tmp_path / "model_card.md").read_text()


def test_what_tells_when_a_loan_was_made_is_found_or_its_absence_is_told(file: Path, tmp_path: Path) -> None:
    rows = [
        {"paid_out": f"2015-0{n % 9 + 1}-20", "approved": f"2015-0{n % 9 + 1}-02", "size": "2015", "year_built": str(n)}
        for n in range(1, 40)
    ]
    assert dated_column(rows) == "approved"
    assert dated_column(rows, ["approved"]) == "paid_out"
    assert dated_column([{"size": str(2000 + n)} for n in range(9)]) is None
    assert dated_column([{"fiscal_year": str(2000 + n)} for n in range(9)]) == "fiscal_year"
    assert periods(["2003-05-01", "", "2001-01-31", "2002/7/9"]) == ([2, -1, 0, 1], ["2001", "2002", "2003"])
    assert periods(["2003-05", "2003-01", "2003-02"]) == ([2, 0, 1], ["2003-01", "2003-02", "2003-05"])
    assert periods(["10", "9", "8"]) == ([2, 1, 0], ["8", "9", "10"])
    assert periods(["31/12/2001", "01/01/2002"]) is None


def test_without_an_order_in_time_the_report_says_that_nothing_was_tested(file: Path) -> None:
    rows = read_rows(file)
    nowhere, _ = inferred(rows, "loans", "outcome", leave_out=["id", "year"])
    strange = [row | {"year": f"{n % 28 + 1:02d}/01/2001"} for n, row in enumerate(rows)]
    unclear, _ = inferred(strange, "loans", "outcome", leave_out=["id"], time="year")
    for loans_, mapping, why in ((rows, nowhere, "--time COLUMN"), (strange, unclear, "place in time is not known")):
        late = measure(loans_, mapping, repeats=1, methods={"champion": champion})["out_of_time"]
        assert why in late["not_tested"]
        assert [each.split(",")[0] for each in _missed_later(late)] == ["out_of_time: not tested"]


def test_gaps_can_be_an_attribute_of_their_own(file: Path) -> None:
    rows = read_rows(file)
    mapping, _ = inferred(rows, "loans", "outcome", leave_out=["id"])
    from services.credit.training.train import train as make

    card = Card.from_document(make(rows, mapping, ""))
    silent = score(card, {"income": None, "region": "north", "year": 2020.0}, most_reasons=9)
    worst = min(score(card, {"income": x, "region": "north", "year": 2020.0}).points for x in (1.0, 1e4, 1e6))
    assert silent.flags == ("income: missing",)
    assert silent.points != worst
    assert score(card, {"income": 2e4, "region": "west", "year": 2020.0}).flags == ("region: unseen",)


def test_a_planted_leak_is_refused_with_its_proof_and_the_way_out(tmp_path: Path) -> None:
    rows = loans(400)
    for row in rows:
        row["collected"] = 3 if row["outcome"] == "bad" else 0
    data = write(tmp_path / "loans.csv", rows)
    ran = train("--data", data, "--target", "outcome", "--out", tmp_path / "out")
    assert ran.exit_code == 1
    assert "collected" in ran.output
    assert "AUC" in ran.output
    assert "--leave-out collected" in ran.output
    assert not (tmp_path / "out").exists()
    assert train("--data", data, "--target", "outcome", "--leave-out", "collected", "--out", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", ["--target", "y"], "no rows"),
        ("x,y\n", ["--target", "y"], "no rows"),
        ("x,x,y\n1,2,0\n", ["--target", "y"], "x twice"),
        ("x,y\n1\n", ["--target", "y"], "row 2"),
        ("x,y\n1,0,9\n", ["--target", "y"], "row 2"),
        ("x,y\n1,0\n2,1\n", ["--target", "z"], "no column z"),
        ("x,y\n1,0\n2,1\n", [], "--target COLUMN"),
        ("x,y\n1,0\n2,0\n", ["--target", "y"], "1 values"),
        ("x,y\n1,0\n2,1\n3,2\n", ["--target", "y"], "3 values"),
        ("x,y\n1,0\n2,1\n", ["--target", "y", "--bad", "7"], "never '7'"),
        ("x,y\n" + "5,0\n5,1\n" * 20, ["--target", "y"], "no feature"),
        ("x,y\n" + "1,0\n2,1\n", ["--target", "y"], "no feature"),
    ],
)
def test_a_file_that_makes_no_card_is_refused_with_the_reason(
    tmp_path: Path, content: str, arguments: list[str], message: str
) -> None:
    path = tmp_path / "loans.csv"
    path.write_text(content)
    ran = train("--data", path, "--out", tmp_path / "out", *arguments)
    assert ran.exit_code == 1, ran.output
    assert message in " ".join(ran.output.split())
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes("地区,y\n北,0\n".encode("gb18030"))
    with pytest.raises(LoanFileError, match="UTF-8"):
        read_rows(path)


@pytest.mark.parametrize("direction", [1, -1])
def test_points_follow_the_declared_direction_however_the_loans_wiggle(direction: int) -> None:
    numbers = np.random.default_rng(11)
    values = numbers.uniform(0, 10, 3000)
    odds = direction * (values - 5) / 3 + np.sin(3 * values)
    outcomes = (numbers.random(3000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    made = calibrated(Loans([Feature("x", "number", ("x",), direction=direction)], {"x": values}, outcomes))
    steps = np.diff([each.log_odds for each in made.features[0].attributes])
    assert len(steps) > 2
    assert (steps * direction > 0).all()


def test_a_flag_against_its_direction_is_left_out_and_said() -> None:
    numbers = np.random.default_rng(13)
    flag = np.array([True, False] * 500, dtype=object)
    number = numbers.uniform(0, 1, 1000)
    outcomes = (numbers.random(1000) < np.where(flag == True, 0.1, 0.4)).astype(np.int64)  # noqa: E712
    features = [Feature("f", "flag", ("f",), direction=1), Feature("x", "number", ("x",))]
    made = fitted(Loans(features, {"f": flag, "x": number}, outcomes))
    assert "direction" in made.excluded["f"]


def test_one_outcome_is_refused() -> None:
    with pytest.raises(FitError, match="same outcome"):
        fitted(Loans([Feature("x", "number", ("x",))], {"x": np.arange(20.0)}, np.zeros(20, dtype=np.int64)))

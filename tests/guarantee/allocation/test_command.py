"""Queues in files: what is refused, with row and field, and the two commands."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import heartwood
from services.guarantee.allocation import queue_file
from services.guarantee.allocation.queue_file import read_queue
from services.guarantee.allocation.refusal import QueueError

EXAMPLE = Path("docs/examples/guarantee-queue.json")


def read(given):
    return read_queue(json.dumps(given).encode())


def test_the_example_in_the_docs_is_placed_and_verified(tmp_path):
    out = tmp_path / "certificate.json"
    run = CliRunner().invoke(heartwood, ["guarantee", "allocate", "--queue", str(EXAMPLE), "--json", str(out)])
    assert run.exit_code == 0, run.output
    assert "bound" in run.stderr
    checked = ["guarantee", "verify", "--queue", str(EXAMPLE), "--certificate", str(out)]
    run = CliRunner().invoke(heartwood, checked)
    assert run.exit_code == 0, run.output
    told = json.loads(out.read_text())
    assert told["loans"] == len(told["placing"]) + len(told["refusals"])
    out.write_text(out.read_text().replace(f'"value": {told["value"]}', f'"value": {told["value"] + 7}', 1))
    run = CliRunner().invoke(heartwood, checked)
    assert run.exit_code == 1
    assert "does not hold" in run.output


@pytest.mark.parametrize(
    ("where", "field", "value", "said"),
    [
        ("schemes", "primary", 4001, "schemes, row 1 .*primary: the five shares sum to 10001"),
        ("loans", "amount", -1, "loans, row 1 .*amount: -1 fen is not between"),
        ("loans", "amount", 100.5, "loans, row 1 .*amount: 100.5 is not a whole number of fen"),
        ("loans", "amount", float("nan"), "loans, row 1 .*amount: nan is not a whole number of fen"),
        ("loans", "carbon", float("inf"), "loans, row 1 .*carbon: inf is not a finite number"),
        ("loans", "pd_bp", 10_001, "loans, row 1 .*pd_bp: 10001 basis points is not between"),
        ("loans", "bank", None, "loans, row 1 .*bank: is missing"),
        ("loans", "class", "first", "loans, row 1 .*class: 'first' is not a whole number of rank"),
        ("loans", "amount", True, "loans, row 1 .*amount: True is not a whole number"),
        ("buckets", "cap", -5, "buckets, row 1 .*cap: -5 fen is not between"),
        ("buckets", "kind", "moon", "buckets, row 1 .*kind: 'moon' is none of"),
        ("buckets", "keys", ["G1", "youyu"], "buckets, row 1 .*keys: a limit of kind headroom has the keys"),
        ("contracts", "scheme", "5-5", "contracts, row 1.*scheme: no scheme '5-5'"),
        ("guarantors", "counties", "youyu", "guarantors, row 1 .*counties: is neither a list"),
    ],
)
def test_a_bad_cell_is_refused_with_row_and_field(where, field, value, said):
    given = json.loads(EXAMPLE.read_text())
    given[where][0][field] = value
    with pytest.raises(QueueError, match=said):
        read(given)


def test_an_obligor_in_two_groups_is_refused():
    given = json.loads(EXAMPLE.read_text())
    for number, group in enumerate(("R1", "R2")):
        given["loans"][number] |= {"obligor": "somebody", "group": group}
    with pytest.raises(
        QueueError, match=r"row 2 .*group: obligor 'somebody' is in group 'R2' here and in 'R1' in row 1"
    ):
        read(given)


def test_a_million_duplicates_are_refused_at_once(monkeypatch):
    given = json.loads(EXAMPLE.read_text())
    loan = given["loans"][0]
    given["loans"] = [loan] * 1_000_000
    with pytest.raises(QueueError, match=f"1,000,000 rows, at most 200,000.*{loan['id']}.* alone stands 1,000,000"):
        queue_file.make_queue(given, "")
    given["loans"] = [deepcopy(loan), loan, loan]
    with pytest.raises(QueueError, match=r"row 2 .*stands in an earlier row too: first in row 1, 3 times in all"):
        queue_file.make_queue(given, "")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not an object"),
        (b"\xff", "is not UTF-8"),
        (b'{"format": 1, "format": 2}', "stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": "guarantee-queue/1"}', "objective: is missing"),
    ],
)
def test_what_is_no_queue_is_refused(raw, said):
    with pytest.raises(QueueError, match=said):
        read_queue(raw)


def test_a_refusal_ends_the_command_and_writes_nothing(tmp_path):
    given = json.loads(EXAMPLE.read_text())
    given["loans"][2]["weight_bp"] = None
    file, out = tmp_path / "queue.json", tmp_path / "certificate.json"
    file.write_text(json.dumps(given))
    run = CliRunner().invoke(heartwood, ["guarantee", "allocate", "--queue", str(file), "--json", str(out)])
    assert run.exit_code == 1
    assert "loans, row 3" in run.output
    assert not out.exists()

"""The README is true: its calls work against the stack it describes, its files exist, its commands are there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.cli import welcome_tokens
from deploy.stack import Stack, running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def calls() -> str:
    """The three calls, as a person would paste them."""
    found = re.search(r"<!-- calls -->\n```sh\n(.*?)```", README, re.S)
    assert found, "the README has no block of calls"
    return found.group(1)


@pytest.mark.stack
def test_the_three_calls_work_as_they_are_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    state = ROOT / "var" / "test-readme"
    shutil.rmtree(state, ignore_errors=True)  # the forest of an earlier run is registered there
    stack = Stack(state, base_port=18301, say=lambda line: None, durable=False)
    with running(stack):
        welcome_tokens(stack)
        script = calls().replace("var/stack", str(state)).replace(":810", ":1830")
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    decoder, answers, text = json.JSONDecoder(), [], done.stdout.strip()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].lstrip()
    valuation, score = answers
    assert valuation["version"] == 1
    assert float(valuation["present_value"]["p10"]["amount"]) > 0
    assert score["outcome"] in ("approve", "refer", "decline")


def test_every_make_target_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"make ([a-z]+)\b", README)) - {"forest"}
    assert {"demo", "up", "test", "check", "doctor", "help"} <= named
    assert {name for name in named if name in ("demo", "up", "test", "check", "doctor", "help", "bench")} <= targets


def test_every_link_of_the_readme_and_the_guides_leads_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"

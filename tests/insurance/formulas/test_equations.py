import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVICE = Path(__file__).parents[1].name
ROW = re.compile(r"^\| \(([A-Z]\d+)\) \|.*\| (read|secondary|measured|no) \| `([\w.]+)` \|$", re.M)
ALLOWED = {"math", "numpy", "scipy", "dataclasses", "typing", "collections", "services"}


def formulas() -> dict[str, str]:
    """First docstring line of every public function, by dotted name."""
    found = {}
    for file in sorted((ROOT / "services" / SERVICE / "formulas").glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[f"services.{SERVICE}.formulas.{file.stem}.{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_every_formula_is_one_row_of_the_document_and_every_row_one_formula():
    document = (ROOT / "docs" / "equations" / f"{SERVICE}.md").read_text(encoding="utf-8")
    rows = {function: number for number, _, function in ROW.findall(document)}
    cited = {name: re.findall(r"Eq\. \((\w+)\)", doc) for name, doc in formulas().items()}
    assert cited == {name: [number] for name, number in rows.items()}
    assert len(set(rows.values())) == len(rows)


@pytest.mark.parametrize("name", formulas())
def test_a_formula_names_its_source(name):
    assert re.search(r"^Source: .+\. Verified: (read|secondary|measured|no)\.$", formulas()[name], re.M)


@pytest.mark.parametrize("file", sorted((ROOT / "services" / SERVICE / "formulas").glob("*.py")), ids=lambda f: f.stem)
def test_a_formula_file_imports_numbers_only(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= ALLOWED - {"services"}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in ALLOWED
            assert (node.module or "").startswith(f"services.{SERVICE}.formulas") or "services" not in str(node.module)

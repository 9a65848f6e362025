"""The table of equations and the formulas say the same, and the formulas import numbers only."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FORMULAS = ROOT / "services" / "sink" / "formulas"
FILES = sorted(path for path in FORMULAS.glob("*.py") if path.name != "__init__.py")
MODULES = [importlib.import_module(f"services.sink.formulas.{path.stem}") for path in FILES]
ALLOWED = {"functools", "itertools", "math", "numpy", "scipy", "dataclasses", "typing", "collections", "services"}
ROW = re.compile(r"^\| \((S\d+)\) \| (.+?) \| (.+?) \| (read|secondary|no|-) \| `(.+?)` \|$", re.MULTILINE)


def functions(module: ModuleType) -> dict[str, str]:
    """Public functions of a module with their docstrings."""
    return {
        f"{module.__name__}.{name}": inspect.getdoc(function) or ""
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def test_each_formula_is_one_equation_of_the_table() -> None:
    rows = ROW.findall((ROOT / "docs" / "equations" / "sink.md").read_text(encoding="utf-8"))
    documented = {function: (number, equation) for number, equation, _, _, function in rows}
    coded = {}
    for module in MODULES:
        for name, doc in functions(module).items():
            first = doc.splitlines()[0]
            found = re.fullmatch(r"Eq\. \((S\d+)\): (.+ \[.+\])", first)
            assert found, f"{name}: the first line must read number, meaning, formula, unit"
            coded[name] = (found[1], found[2])
    assert coded == documented
    assert len({number for number, _ in coded.values()}) == len(coded) == len(rows)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_formula_names_its_source(module: ModuleType) -> None:
    assert [name for name, doc in functions(module).items() if "Source: " not in doc] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_formulas_import_numbers_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert module.split(".")[0] in ALLOWED
            assert not module.startswith("services") or module.startswith("services.sink.formulas.")

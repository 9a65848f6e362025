"""The table of equations and the formulas say the same, and the formulas import numbers only."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted(path for path in (ROOT / "services" / "credit" / "formulas").glob("*.py") if path.name != "__init__.py")
MODULES = [importlib.import_module(f"services.credit.formulas.{path.stem}") for path in FILES]
ALLOWED = {"functools", "math", "bisect", "numpy", "scipy", "sklearn", "dataclasses", "typing", "collections"}
ROW = re.compile(r"^\| (\(C\d+\)) \| (.+?) \| (.+?) \| (read|secondary|no) \| `(.+?)` \|$", re.MULTILINE)
TABLE = ROW.findall((ROOT / "docs" / "equations" / "credit.md").read_text(encoding="utf-8"))


def documented(module: ModuleType) -> dict[str, str]:
    return {
        f"{module.__name__}.{name}": " ".join((inspect.getdoc(function) or "").split())
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def test_each_formula_is_one_equation_of_the_table() -> None:
    functions = {name: doc for module in MODULES for name, doc in documented(module).items()}
    assert set(functions) == {row[4] for row in TABLE}
    assert [row[0] for row in TABLE] == [f"(C{number})" for number in range(1, len(TABLE) + 1)]
    for number, equation, source, verified, name in TABLE:
        assert functions[name].startswith(f"Eq. {number}: {equation}")
        assert f"Source: {source}; {verified}." in functions[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_formulas_import_numbers_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= ALLOWED

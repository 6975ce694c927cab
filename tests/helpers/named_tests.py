"""The names of tests, for tables that say which test makes which check."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def named_tests() -> set[str]:
    """The name of every test, without its `test_`."""
    return {
        node.name.removeprefix("test_")
        for path in TESTS.rglob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }

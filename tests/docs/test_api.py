"""The public names: each says what it promises, and none changes unnoticed."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from helpers.documentation import ROOT

sys.path.insert(0, str(ROOT))  # `tools` is no package of the tests
from tools.reference.members import Member, members, modules, pinned

PINNED = Path(__file__).parent / "public_names.txt"
UNIT = re.compile(
    r"\((s|ms|Hz|dB|dBFS|samples)\)|\bseconds?\b|\bms\b|\bdBFS?\b|s16|how (many|often)"
)
IN_THE_NAME = re.compile(r"_(ms|s|hz|db|dbfs|ppm|bytes)$")
NUMBERS = re.compile(r"(\w+): (?:float|int)\b")
NOT_OWED = {"NotImplementedError", "AttributeError"}
EVERY = [each for module in modules() for each in members(module)]


def called(each: Member) -> str:
    return f"{each.module}.{each.name}"


def is_ours(each: Member) -> bool:
    """Return whether a method is not merely another library's, written again."""
    owner, _, name = each.name.partition(".")
    (made_of,) = {e.made_of for e in EVERY if (e.module, e.name) == (each.module, owner)}
    if not name or not inspect.isclass(made_of):
        return True
    foreign = [base for base in made_of.__mro__ if not base.__module__.startswith("rtpipe")]
    return not any(hasattr(base, name) for base in foreign)


def test_a_public_name_says_what_it_is() -> None:
    assert not [called(each) for each in EVERY if not each.told.strip()]


def test_a_number_has_its_unit_in_its_name_or_is_explained() -> None:
    unexplained = []
    for each in filter(is_ours, EVERY):
        told = each.told
        if each.sort == "class":  # its attributes say it
            told += " ".join(e.name for e in EVERY if e.name.startswith(f"{each.name}.") and e.told)
        unexplained += [
            f"{called(each)}: {name}"
            for name in NUMBERS.findall(each.signature)
            if not IN_THE_NAME.search(name) and not re.search(rf"\b{name}\b", told)
        ]
    assert not unexplained


def test_a_number_that_is_returned_has_a_unit() -> None:
    returning = [each for each in EVERY if re.search(r"-> (float|int)\b", each.signature)]
    assert len(returning) > 10
    without = [e for e in returning if not IN_THE_NAME.search(e.name) and not UNIT.search(e.told)]
    assert not [called(each) for each in without]


def raised(function: Any) -> set[str]:
    """Return the errors that a function raises itself."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        caught = node.body if isinstance(node, ast.Try) and node.handlers else []
        for child in ast.iter_child_nodes(node):
            if child in caught:
                continue
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            if isinstance(child, ast.Raise) and child.exc is not None:
                error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
                if isinstance(error, ast.Name) and error.id[0].isupper():
                    found.add(error.id)
            visit(child)

    visit(ast.parse(textwrap.dedent(inspect.getsource(function))).body[0])
    return found - NOT_OWED


def test_an_error_is_told() -> None:
    functions = [e for e in EVERY if inspect.isfunction(e.made_of) and is_ours(e)]
    assert any(raised(each.made_of) for each in functions)
    untold = [
        f"{called(each)}: {error}"
        for each in functions
        for error in raised(each.made_of)
        if error not in each.told
    ]
    assert not untold


def test_every_label_is_of_something() -> None:
    for module in modules():
        names = {each.name for each in members(module)}
        assert set(module.__provisional__) <= names, module.__name__


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
    for each in EVERY:
        owner, _, name = each.name.partition(".")
        section = page.partition(f"\n### {owner}\n")[2].partition("\n### ")[0]
        assert section, owner
        if name:
            label = "" if each.label == "stable" else " *provisional*"
            assert f"\n- `{name}{each.signature}`{label}: " in section
        elif owner not in {"ANY", "CANONICAL", "AudioFormat", "AudioFrame", "run_pipeline"}:
            assert f", {each.label}*" in section


def test_no_public_name_changes_unnoticed() -> None:
    """Changed on purpose? `python -m tools.reference --pin`, and a line in CHANGELOG.md."""
    now, pinned_then = pinned().splitlines(), PINNED.read_text("utf-8").splitlines()
    gone = [line for line in pinned_then if line not in now]
    new = [line for line in now if line not in pinned_then]
    assert not gone, test_no_public_name_changes_unnoticed.__doc__
    assert not new, test_no_public_name_changes_unnoticed.__doc__
    assert len(now) > 400


def test_the_labels_are_these_two() -> None:
    assert {each.label for each in EVERY} == {"stable", "provisional"}

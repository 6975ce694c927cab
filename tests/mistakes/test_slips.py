"""A slip of the pen in any word of the pipelines that ship, and of those in the documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from helpers.documentation import ROOT, Block, blocks, write_files
from rtpipe.errors import ConfigError
from rtpipe.language.loading import from_text
from rtpipe.wording.diagnostics import Severity
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe.wording.diagnostics import Diagnostic

FAST = {"hello"}
PIPELINES = [
    pytest.param(path, id=path.stem, marks=[] if path.stem in FAST else [pytest.mark.slow])
    for path in sorted((ROOT / "pipelines").glob("*.yaml"))
]
WHOLE = [block for block in blocks("yaml") if re.search(r"^version: 1$", block.text, re.MULTILINE)]
ENVIRONMENT = {"OPENAI_API_KEY": "k", "CREDENTIALS_DIRECTORY": "/nowhere"}
_WORD = re.compile(r"[a-z_][a-z_.]{3,}")
_ELSEWHERE = re.compile(r"\s*(vars:|id:|[a-z]+: &)")
"""What is misspelt where it is defined is missed where it is used."""


def look(text: str, path: Path) -> list[Diagnostic]:
    try:
        return list(from_text(text, path=path, env=ENVIRONMENT, examine="file").warnings)
    except ConfigError as error:
        return list(error.diagnostics)


def slips(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text with two letters of one word swapped, and the number of that line."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        content = re.split(r"(^|\s)#", line)[0]
        for word in _WORD.finditer(content):
            first, second, third, *rest = word.group()
            if second != third:
                swapped = "".join([first, third, second, *rest])
                spoilt = line[: word.start()] + swapped + line[word.end() :]
                yield number, "\n".join([*lines[: number - 1], spoilt, *lines[number:]])


def check_slips(text: str, path: Path) -> None:
    usual = {found.message for found in look(text, path)}
    for number, spoilt in slips(text):
        found = [each for each in look(spoilt, path) if each.message not in usual]
        shown = f"{spoilt.splitlines()[number - 1]}\n{render(found)}"
        elsewhere = _ELSEWHERE.match(spoilt.splitlines()[number - 1])
        said = {each.help if elsewhere else each.message for each in found}  # each user says it
        assert len(found) <= 1 or len(said) == 1, shown
        for each in found:
            if not elsewhere:
                assert each.span is not None, shown
                assert each.span.line == number, shown
            if each.fix is not None:
                left = look(each.fix.applied(spoilt), path)
                errors = [other for other in left if other.severity is Severity.ERROR]
                others = {each.message} if elsewhere else set()  # used in several places
                wrong = [e for e in errors if e.message not in usual | others]
                assert not wrong, shown + render(left)


@pytest.mark.parametrize("path", PIPELINES)
def test_a_slip_in_a_pipeline_is_one_mistake_at_its_place_with_a_help_that_mends_it(
    path: Path,
) -> None:
    check_slips(path.read_text("utf-8"), path)


@pytest.mark.slow
@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_a_slip_in_a_block_of_the_documentation_is_one_mistake_at_its_place(
    block: Block, tmp_path: Path
) -> None:
    write_files(block.page, tmp_path)
    check_slips(block.text, tmp_path / (block.note("file") or "pipeline.yaml"))

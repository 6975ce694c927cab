"""Helps that put a line above, below or beside an item of a list, where lines make the list."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.wording.diagnostics import Remedy

if TYPE_CHECKING:
    from rtpipe.wording.diagnostics import Findings, Span

_ITEM = re.compile(r"(\s*)- ")
_WHOLE = re.compile(r"\s*- [\w-]+:\s+(?![#|>&])[^\s{\[].*|\s*- [\w-]+: [{\[].*[}\]]\s*(#.*)?")
"""An item with a colon whose value ends in its line."""


def above(item: Span, kind: str, words: str, findings: Findings) -> str:
    """Return the help to put another item above one.

    Args:
        item: The place of its kind.
        kind: Of the other.
        words: The help; `{}` is the line.
        findings: Has the text.
    """
    indent = _indent(item, findings)
    if indent is None:
        return words.replace("{}", f"- {kind}")
    place = replace(item, column=indent + 1, length=0)
    return Remedy(words, f"- {kind}\n{' ' * indent}", place)


def below(item: Span, kind: str, words: str, findings: Findings) -> str:
    """Return the help to put another item below one; see `above`."""
    indent = _indent(item, findings)
    beneath = findings.line(replace(item, line=item.line + 1))
    deeper = bool(beneath.strip()) and len(beneath) - len(beneath.lstrip()) > (indent or 0)
    if indent is None or deeper:
        return words.replace("{}", f"- {kind}")
    return Remedy(words, f"\n{' ' * indent}- {kind}", _end(item, findings))


def beside(item: Span, key: str, words: str, findings: Findings) -> str:
    """Return the help to put a reserved key beside the kind of an item.

    Args:
        item: The place of its kind.
        key: With its value: `from: mic`.
        words: The help; `{}` is the line.
        findings: Has the text.
    """
    indent = _indent(item, findings)
    if indent is None or not _WHOLE.fullmatch(findings.line(item)):
        return words.replace("{}", key)
    return Remedy(words, f"\n{' ' * indent}  {key}", _end(item, findings))


def _indent(item: Span, findings: Findings) -> int | None:
    """Return where the dash of an item stands; None if it has none."""
    found = _ITEM.fullmatch(findings.line(item)[: item.column - 1])
    return None if found is None else len(found.group(1))


def _end(item: Span, findings: Findings) -> Span:
    return replace(item, column=len(findings.line(item)) + 1, length=0)

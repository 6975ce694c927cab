"""A help to take an option out: what goes from the file's text, comma and all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.language.nodes import MapNode, ScalarNode, at
from rtpipe.wording.diagnostics import Remedy, Span

if TYPE_CHECKING:
    from rtpipe.language.nodes import Entry
    from rtpipe.wording.diagnostics import Findings


def without(
    words: str, root: MapNode, path: tuple[str | int, ...], findings: Findings
) -> Remedy | str:
    """Return a help to take the option at `path` out; the words alone where that is not one line.

    Args:
        words: The help.
        root: The options.
        path: Where the option stands below them.
        findings: Has the text.
    """
    _, entry, rest = at(root, path)
    above, _, _ = at(root, path[:-1])
    if rest or entry is None or not isinstance(above, MapNode):
        return words
    span = _whole(entry, findings.line(entry.key_span), alone=len(above.entries) == 1)
    return words if span is None else Remedy(words, "", span)


def _whole(entry: Entry, line: str, *, alone: bool) -> Span | None:
    """Return all that the entry takes up of its line, or None if it goes on below."""
    key, value = entry.key_span, entry.value.span
    if not line or (value.path, value.line) != (key.path, key.line):
        return None
    start, end = key.column - 1, value.column - 1 + value.length
    text = line[start:end]
    if not isinstance(entry.value, ScalarNode) and text[-1:] not in {"}", "]"}:
        return None
    if isinstance(entry.value, ScalarNode) and entry.value.raw[:1] in {"|", ">"}:
        return None
    before, after = line[:start], line[end:]
    if not before.strip(" -"):  # a line of its own; the last one would leave the kind a bare colon
        return replace(key, length=end - start)
    if before.rstrip().endswith(","):
        start = len(before.rstrip()) - 1
    elif after.lstrip().startswith(","):
        end += len(after) - len(after.lstrip()[1:].lstrip())
    elif not alone:
        return None
    return replace(key, column=start + 1, length=end - start)

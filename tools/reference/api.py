"""The page of everything that plugins and programs may import, with what each promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rtpipe.stage import summary
from tools.reference.markdown import fenced
from tools.reference.members import Member, members, modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Yields):$")
_ENTRY = re.compile(r"^    (\*{0,2}[\w.]+): (.*)$")
_NOT_SAID = {"Attributes"}
"""Sections whose entries stand as members of their own."""
_TITLES = {"rtpipe.testing.pytest_plugin": "pytest"}


def api_page() -> Iterator[str]:
    """Yield the paragraphs of the page."""
    yield "# For plugins: every name"
    yield (
        "Everything that plugins and programs may import: from `rtpipe`, `rtpipe.audio`, "
        "`rtpipe.documents`, `rtpipe.examination`, `rtpipe.hookspecs` and `rtpipe.testing`, and "
        "the fixtures that pytest finds. What is not here is the inside, and changes without "
        "notice. [Write a stage](../how-to/write-a-stage.md) shows most of it at work, "
        "[hooks](hooks.md) what the hooks may do."
    )
    yield (
        "**stable**: before 1.0 it changes in a minor version only (0.1 → 0.2), the changes say "
        "so, and where it can be done the old way works for one more minor version, with a "
        "`DeprecationWarning`. **provisional**: it may change in any version; the changes say so. "
        "Of a class that is provisional every member is "
        "([decision 47](../adr/0047-labels-say-what-may-change.md))."
    )
    for module in modules():
        yield f"## {_TITLES.get(module.__name__, module.__name__)}"
        yield summary(module)
        yield from _module(module)


def _module(module: ModuleType) -> Iterator[str]:
    inside: list[str] = []
    for member in members(module):
        if "." in member.name:
            inside.append(_item(member))
            continue
        if inside:
            yield from _members(inside)
            inside = []
        yield f"### {member.name}"
        yield f"*{member.sort}, {member.label}*"
        if member.signature:
            yield fenced(f"{member.name}{member.signature}", "text")
        yield _told(member.told)
    if inside:
        yield from _members(inside)


def _members(items: list[str]) -> Iterator[str]:
    yield "Members:"
    yield "\n".join(items)


def _item(member: Member) -> str:
    """Return a member of a class as an item of a list."""
    name = member.name.partition(".")[2]
    label = "" if member.label == "stable" else f" *{member.label}*"
    said = _told(member.told).replace("\n\n", "\n").replace("\n", "\n  ")
    return f"- `{name}{member.signature}`{label}: {said}".rstrip()


def _told(docstring: str) -> str:
    """Return a docstring as Markdown; its sections become lists."""
    parts: list[str] = []
    for paragraph in re.split(r"\n(?:[ ]*\n)+", docstring):
        title, _, rest = paragraph.partition("\n")
        found = _SECTION.match(title)
        if found is None:
            parts.append(paragraph)
        elif found[1] not in _NOT_SAID:
            parts.append(f"{title}\n\n{_entries(rest)}")
    return "\n\n".join(parts)


def _entries(section: str) -> str:
    """Return the entries of a section as a list, and what is none as it stands."""
    lines: list[str] = []
    for line in section.splitlines():
        entry = _ENTRY.match(line)
        if entry is not None:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif lines:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.strip())
    return "\n".join(lines)

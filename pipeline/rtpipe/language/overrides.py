"""What the command line says about a pipeline: `--set key=value`, and `-x` expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe.language.bounds import MAX_DEPTH, MAX_EXPRESSION, MAX_SET, MAX_SETS
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode
from rtpipe.language.reader import read_value
from rtpipe.language.syntax import quoted
from rtpipe.vocabulary import BesideStage, keys
from rtpipe.wording.diagnostics import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.wording.diagnostics import Findings

SET = Path("--set")
EXPRESSION = Path("-x")
_KEY = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z0-9_][\w-]*)*")
_WORD = re.compile(r"""(?:[^\s"'{\[]|"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^\]]*\])+""")
_MARK = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|(?<!\S)!(?!\S)""")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`: where it goes and what it says."""

    path: tuple[str, ...]
    value: Node
    key_span: Span

    def nested(self, start: int = 0) -> Entry:
        """Return the value inside a mapping for each part of the path from `start` on."""
        parts = self.path[start:]
        entry = Entry(parts[-1], self.key_span, self.value)
        for key in reversed(parts[:-1]):
            entry = Entry(key, self.key_span, MapNode({entry.key: entry}, self.key_span))
        return entry


def read_sets(sets: Sequence[str], findings: Findings) -> list[Override]:
    """Return the overrides of `--set key=value ...`; values are YAML."""
    if len(sets) > MAX_SETS or sum(map(len, sets)) > MAX_SET:
        findings.error(
            "E115",
            f"`--set` more than {MAX_SETS} times, or with more than {MAX_SET} characters in all",
            help="write them into a file, and name it behind the pipeline's",
        )
        return []
    findings.add_source(SET, "\n".join(text.replace("\n", " ") for text in sets))
    found = [_read_set(text, line, findings) for line, text in enumerate(sets, 1)]
    return [override for override in found if override is not None]


def _read_set(text: str, line: int, findings: Findings) -> Override | None:
    key, equals, value = text.replace("\n", " ").partition("=")
    span = Span(SET, line, 1, max(len(key), 1))
    if key.count(".") > MAX_DEPTH or not equals or not _KEY.fullmatch(key.strip()):
        findings.error(
            "E115",
            f"`{text}` is not key=value",
            span,
            help="for example `mic.device=USB`, `vars.voice=cedar` or `mic={tone: 440}`",
        )
        return None
    node: Node | None = ScalarNode("", span)
    if value.strip():
        node = read_value(value, Span(SET, line, len(key) + 2), findings)
    if node is None:
        return None
    return Override(tuple(key.strip().split(".")), node, span)


def read_expression(text: str, findings: Findings) -> MapNode | None:
    """Return the document that `tone ! gain -6 ! blackhole` stands for.

    Each stage is a kind, then a value for its main option or `option=value`s; `id=` and the other
    reserved keys stand among them.
    """
    text = text.replace("\n", " ")
    whole = Span(EXPRESSION, 1, 1, max(len(text), 1))
    if len(text) > MAX_EXPRESSION:
        findings.error(
            "E116",
            f"`-x` has more than {MAX_EXPRESSION} characters",
            whole,
            help="write a file: `stages: [tone, speaker]`",
        )
        return None
    findings.add_source(EXPRESSION, text)
    items: list[Node] = []
    complete = True
    for start, part in _stages(text):
        item = _stage(part, start, findings)
        complete = complete and item is not None
        if item is not None:
            items.append(item)
    if not complete:
        return None
    version = Entry("version", whole, ScalarNode(1, whole))
    name = Entry("name", whole, ScalarNode("expression", whole))
    stages = Entry("stages", whole, ListNode(tuple(items), whole))
    return MapNode({"version": version, "name": name, "stages": stages}, whole)


def _stages(text: str) -> list[tuple[int, str]]:
    """Return the parts between the exclamation marks that stand alone, with their offsets."""
    parts: list[tuple[int, str]] = []
    start = 0
    for mark in _MARK.finditer(text):
        if mark.group() == "!":
            parts.append((start, text[start : mark.start()]))
            start = mark.end()
    return [*parts, (start, text[start:])]


def _stage(text: str, start: int, findings: Findings) -> Node | None:
    words = list(_WORD.finditer(text))
    if not words:
        findings.error(
            "E116",
            "a stage is missing here",
            Span(EXPRESSION, 1, start + 1, max(len(text), 1)),
            help="for example `tone ! gain -6 ! blackhole`",
        )
        return None
    first = words[0]
    kind_span = Span(EXPRESSION, 1, start + first.start() + 1, len(first.group()))
    options: dict[str, Entry] = {}
    reserved: dict[str, Entry] = {}
    main: Node | None = None
    for word in words[1:]:
        assignment = _ASSIGNMENT.fullmatch(word.group())
        column = start + word.start() + 1
        span = Span(EXPRESSION, 1, column, len(word.group()))
        shift = assignment.start(2) if assignment else 0
        value = word.group()[shift:]
        node: Node | None = ScalarNode("", span)
        if value:
            node = read_value(value, Span(EXPRESSION, 1, column + shift), findings)
        if node is None:
            return None
        if assignment:
            key = assignment.group(1)
            target = reserved if key in keys(BesideStage) else options
            target[key] = Entry(key, Span(EXPRESSION, 1, column, len(key)), node)
        elif main is None and not options:
            main = node
        else:
            findings.error(
                "E116",
                f"`{word.group()}` has no name",
                span,
                help=f"write `option={quoted(word.group())}`",
            )
            return None
    if main is not None and options:
        findings.error(
            "E116",
            "a value without a name cannot stand together with named options",
            main.span,
            help=f"name it too: `{first.group()} option=value`",
        )
        return None
    kind_value: Node = main or (
        MapNode(options, kind_span) if options else ScalarNode(None, kind_span)
    )
    kind = Entry(first.group(), kind_span, kind_value)
    return MapNode({kind.key: kind, **reserved}, kind_span)

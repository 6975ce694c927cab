"""YAML text to values with file, line and column.

YAML 1.2 and safe: no tags, no objects, a bounded size, depth and number of nodes (aliases counted
as often as they are used). The tree is built from ruamel.yaml's events, so that a bound is hit
while reading and not after.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rtpipe.language.bounds import MAX_BYTES, MAX_DEPTH, MAX_NODES
from rtpipe.language.files import decode, read_bytes
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, ScalarValue
from rtpipe.language.recovery import MOST_ERRORS, without
from rtpipe.language.syntax import name_alias, name_comma, name_mistake
from rtpipe.vocabulary import PipelineFile, keys
from rtpipe.wording.diagnostics import Related, Span, split_lines
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe.wording.diagnostics import Findings

_SMALLEST = "the smallest pipeline is `{version: 1, stages: [tone, speaker]}`"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HALF = re.compile("[\ud800-\udfff]")


def read_file(
    path: Path,
    findings: Findings,
    *,
    when_empty: str = _SMALLEST,
    piped: bool = False,
    recover: bool = False,
) -> Node | None:
    """Return what the file holds, or None with the reason in `findings`; see `read_text`.

    Args:
        path: The file.
        findings: Takes every mistake found.
        when_empty: What to do about a document with nothing in it.
        piped: Whether it may be a pipe of this process's, `<(command)` in a shell.
        recover: Whether to return what can be read beside a syntax error.
    """
    data = read_bytes(path, findings, "E001", piped=piped)
    if data is None:
        return None
    text = decode(data, path, findings)
    if text is None:
        return None
    return read_text(text, path, findings, when_empty=when_empty, recover=recover)


def read_text(
    text: str,
    path: Path,
    findings: Findings,
    *,
    when_empty: str = _SMALLEST,
    recover: bool = False,
) -> Node | None:
    """Return what a YAML document holds, or None with the reason in `findings`.

    Args:
        text: One YAML document.
        path: Where it comes from; relative paths in it start from there.
        findings: Takes every mistake found.
        when_empty: What to do about a document with nothing in it.
        recover: Whether to return what can be read beside a syntax error; see `Findings.lost`.
    """
    findings.add_source(path, text)
    first, before = Span(path, 1, 1), len(findings)
    root = _read(text, first, findings)
    if root is None and recover and len(findings) > before:
        root = _rest(text, first, findings)
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        if len(findings) == before:
            findings.error(
                "E005",
                f"{path.name} is empty",
                first,
                help=when_empty,
            )
        return None
    return root


def _rest(text: str, first: Span, findings: Findings) -> Node | None:
    """Return what can be read beside the mistake found last, and beside others like it."""
    for _ in range(MOST_ERRORS):
        rest = without(text, findings.last())
        if rest is None:
            return None
        findings.lost.add(rest.key if rest.key in keys(PipelineFile) else "")
        text = rest.text
        root = _read(text, first, findings)
        if root is not None:
            return root if isinstance(root, MapNode) else None
    return None


def read_value(text: str, first: Span, findings: Findings) -> Node | None:
    """Return the value that a part of another text holds, or None with the reason in `findings`.

    Args:
        text: The part; without anything in it, it is null.
        first: Where its first character stands.
        findings: Takes every mistake found, and knows the whole text already.
    """
    before = len(findings)
    node = _read(text, first, findings)
    return ScalarNode(None, first) if node is None and len(findings) == before else node


def _read(text: str, first: Span, findings: Findings) -> Node | None:
    """Return the one value of a text; None if it has none, or with the reason in `findings`."""
    builder = _Builder(text, first, findings)
    if control := _CONTROL.search(text):
        findings.error(
            "E004",
            f"the file holds the control character U+{ord(control.group()):04X}",
            builder.span_at(control.start()),
            help="remove it; in a text write it as an escape between double quotes",
        )
        return None
    try:
        return builder.document()
    except _RefusedError:
        return None
    except MarkedYAMLError as error:
        findings.add(name_mistake(error, builder.lines, builder.span, builder.opened))
    except (YAMLError, ValueError, RecursionError) as error:
        findings.error("E006", f"this is not YAML: {''.join(str(error).splitlines()[:1])}", first)
    return None


class _Parser(YAML):
    """ruamel's, without a look into its folder for plug-ins at each new one."""

    def official_plug_ins(self) -> list[str]:
        return []


class _RefusedError(Exception):
    """Reading stops: the reason is in the findings."""


class _Anchored(NamedTuple):
    """A value that aliases stand for, and how much each of them adds."""

    node: Node
    nodes: int
    characters: int
    height: int


class _Builder:
    """Builds the tree from parser events, and refuses what a pipeline file may not hold."""

    def __init__(self, text: str, first: Span, findings: Findings) -> None:
        self.text = text
        self.lines = split_lines(text)
        self._first = first
        self._findings = findings
        self._nodes = 0
        self._characters = 0
        self._deepest = 0
        self._anchors: dict[str, _Anchored | None] = {}
        self._open: list[Span] = []

    @property
    def opened(self) -> Span | None:
        """The innermost bracket or brace that is open."""
        return self._open[-1] if self._open else None

    def span(self, line: int, column: int, length: int = 1) -> Span:
        """Return the span of a place given as ruamel does, from 0, within this text."""
        shift = self._first.column - 1 if line == 0 else 0
        return Span(self._first.path, self._first.line + line, column + 1 + shift, max(length, 1))

    def span_at(self, index: int) -> Span:
        before = split_lines(self.text[:index])
        return self.span(len(before) - 1, len(before[-1]))

    def document(self) -> Node | None:
        events: Iterator[Any] = iter(_Parser(typ="safe", pure=True).parse(self.text))
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    self._refuse("E017", "a second document begins here; a file holds one", event)
                root = self._node(next(events), events, 1)
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        self._count(1, len(getattr(event, "value", "")), event)
        self._deepen(depth, event)
        if event.tag is not None:
            self._refuse(
                "E014",
                f"the tag `{_short(event.tag)}`: a pipeline file holds plain values only",
                event,
                help="remove the tag",
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        nodes, characters, deepest = self._nodes, self._characters, self._deepest
        self._deepest = depth
        node: Node
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._list(event, events, depth)
        else:
            node = self._map(event, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(
                node,
                self._nodes - nodes + 1,
                self._characters - characters + len(getattr(event, "value", "")),
                self._deepest - depth,
            )
        self._deepest = max(deepest, self._deepest)
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        name = str(event.anchor)
        if name not in self._anchors:
            mark = event.start_mark
            self._findings.add(name_alias(name, self.lines, mark.line, mark.column, self.span))
            raise _RefusedError
        anchored = self._anchors[name]
        if anchored is None:
            self._refuse("E015", f"`*{name}` stands inside the value it stands for", event)
        self._count(anchored.nodes, anchored.characters, event)
        self._deepen(depth + anchored.height, event)
        return anchored.node

    def _count(self, nodes: int, characters: int, event: Any) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            self._refuse(
                "E013",
                f"the file unfolds to more than {MAX_NODES} values",
                event,
                help="make two pipelines of it",
            )
        if self._characters > MAX_BYTES:
            self._refuse(
                "E013",
                f"the aliases unfold to more than {MAX_BYTES // 1024} KiB",
                event,
                help="put the text into a file of its own: `${file:PATH}`",
            )

    def _deepen(self, depth: int, event: Any) -> None:
        self._deepest = max(self._deepest, depth)
        if depth > MAX_DEPTH:
            help = "no value of a pipeline is that deep: are brackets missing?"
            self._refuse("E013", f"nested more than {MAX_DEPTH} deep", event, help=help)

    def _text(self, event: Any) -> str:
        """Return a scalar's text; two escaped halves make one character, as in JSON."""
        text = str(event.value)
        if _HALF.search(text) is None:
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(
                "E023",
                "this text holds half a character",
                event,
                help="a `\\ud800` to `\\udfff` stands in a pair; write `\\U0001F600` instead",
            )

    def _scalar(self, event: Any) -> ScalarNode:
        text = self._text(event)
        plain = event.implicit[0]
        value: ScalarValue = typed(text) if plain else text
        return ScalarNode(value, self._of(event), text)

    def _list(self, start: Any, events: Iterator[Any], depth: int) -> ListNode:
        items: list[Node] = []
        self._enter(start)
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, depth + 1))
        self._leave(start)
        return ListNode(tuple(items), self._of(start, event))

    def _map(self, start: Any, events: Iterator[Any], depth: int) -> MapNode:
        assert isinstance(start, MappingStartEvent)
        entries: dict[str, Entry] = {}
        last: Entry | None = None
        cut: list[tuple[str, Span]] = []  # keys without a colon: a value that commas cut up
        self._enter(start)
        while not isinstance(event := next(events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self._refuse("E016", "a key is a single word here, not a list or a mapping", event)
            key_node = self._node(event, events, depth + 1)
            key, span = self._text(event), key_node.span
            if key == "<<":
                self._refuse(
                    "E016",
                    "`<<` is not part of YAML 1.2",
                    event,
                    help="write the keys out, or share them through `include`",
                )
            value_event = next(events)
            value = self._node(value_event, events, depth + 1)
            if start.flow_style and self._lacks_value(event, value_event):
                cut.append((key, span))
                continue
            self._tell_commas(cut, last)
            last = Entry(key, span, value)
            if key in entries:
                first = Related(entries[key].key_span, "first here")
                self._findings.error(
                    "E008",
                    f"the key `{key}` stands twice in one mapping",
                    span,
                    label="again here",
                    help=f"keep one `{key}`, or put each into an item of its own",
                    related=[first],
                )
                continue
            entries[key] = last
        self._tell_commas(cut, last)
        self._leave(start)
        return MapNode(entries, self._of(start, event))

    def _enter(self, start: Any) -> None:
        if start.flow_style:
            self._open.append(self.span(start.start_mark.line, start.start_mark.column))

    def _leave(self, start: Any) -> None:
        if start.flow_style:
            self._open.pop()

    def _tell_commas(self, cut: list[tuple[str, Span]], before: Entry | None) -> None:
        if before is not None and cut:
            self._findings.add(name_comma(cut, before))
        elif before is None:
            for each in cut:
                self._findings.add(name_comma([each], None))
        cut.clear()

    def _lacks_value(self, key: Any, value: Any) -> bool:
        """Whether a comma in `{}` left a key without its colon."""
        if not isinstance(value, ScalarEvent) or value.value or not value.implicit[0]:
            return False
        between = self.text[key.end_mark.index : value.end_mark.index]
        return ":" not in between

    def _of(self, event: Any, end: Any = None) -> Span:
        first, last = event.start_mark, (end or event).end_mark
        if last.line == first.line:
            return self.span(first.line, first.column, last.column - first.column)
        if getattr(event, "style", None) in {"|", ">"}:
            return self.span(first.line, first.column)
        rest = self.lines[first.line][first.column :] if first.line < len(self.lines) else ""
        return self.span(first.line, first.column, len(rest.split(" #")[0].rstrip()))

    def _refuse(self, code: str, message: str, event: Any, help: str | None = None) -> NoReturn:
        self._findings.error(code, message, self._of(event), help=help)
        raise _RefusedError


def _short(tag: object) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")

"""What a YAML text becomes: values that know where they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rtpipe.wording.diagnostics import Span

ScalarValue: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value.

    Attributes:
        value: Typed by YAML 1.2's core schema.
        span: Where it stands.
        raw: Its text as written, without quotes.
        pieces: The half-open ranges of `value` that a `${...}` in mid-text filled.
        secret: Whether it holds what must not be shown.
        unresolved: Whether a reference in it has no value; that was reported, and is enough.
    """

    value: ScalarValue
    span: Span
    raw: str = ""
    pieces: tuple[tuple[int, int], ...] = ()
    secret: bool = False
    unresolved: bool = False


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value in a mapping."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; keys are kept as they were written."""

    entries: dict[str, Entry]
    span: Span

    def get(self, key: str) -> Node | None:
        """Return the value under `key`, or None."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Node: TypeAlias = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Any:
    """Return `node` as plain dicts, lists and values."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def as_node(value: Any, span: Span) -> Node:
    """Return the node that `plain` makes `value` of, all of it at `span`."""
    if isinstance(value, dict):
        entries = {key: Entry(key, span, as_node(inner, span)) for key, inner in value.items()}
        return MapNode(entries, span)
    if isinstance(value, list):
        return ListNode(tuple(as_node(item, span) for item in value), span)
    return ScalarNode(value, span)


def merge(base: Node, patch: Node) -> Node:
    """Return `base` changed by `patch`: maps merge, everything else is replaced."""
    if not (isinstance(base, MapNode) and isinstance(patch, MapNode)):
        return patch
    entries = dict(base.entries)
    for key, entry in patch.entries.items():
        old = entries.get(key)
        entries[key] = entry if old is None else replace(entry, value=merge(old.value, entry.value))
    return MapNode(entries, patch.span)


def at(root: Node, path: Iterable[str | int]) -> tuple[Node, Entry | None, tuple[str | int, ...]]:
    """Follow `path` from `root` as far as it leads.

    Returns:
        The node reached, the mapping entry it was reached by (None for the root and list items),
        and the part of the path that leads nowhere.
    """
    node, entry = root, None
    rest = tuple(path)
    while rest:
        step = rest[0]
        if isinstance(node, MapNode) and str(step) in node.entries:
            entry = node.entries[str(step)]
            node = entry.value
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node, entry = node.items[step], None
        else:
            break
        rest = rest[1:]
    return node, entry, rest


def what(node: Node) -> str:
    """Return what kind of value `node` is, for a sentence."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "true or false"
    return "a number" if isinstance(node.value, int | float) else "text"


def unresolved(node: Node | None) -> bool:
    """Return whether `node` is a value whose reference has none."""
    return isinstance(node, ScalarNode) and node.unresolved


def holds_unresolved(node: Node) -> bool:
    """Return whether a value in `node` is not known: nothing can be said of the whole."""
    if isinstance(node, MapNode):
        return any(holds_unresolved(entry.value) for entry in node.entries.values())
    if isinstance(node, ListNode):
        return any(holds_unresolved(item) for item in node.items)
    return node.unresolved


def folder(node: Node) -> Path:
    """Return the folder that relative paths in `node` start from."""
    return node.span.path.parent

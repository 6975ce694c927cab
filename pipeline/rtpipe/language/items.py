"""One item of `stages:`, as the files have it: its kind, its options, and what stands beside."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.plugins import RESERVED_KEYS
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, merge, plain, what
from rtpipe.wording.diagnostics import did_you_mean, listed, suggest
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Stage
    from rtpipe.wording.diagnostics import Findings, Span

ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
KIND_FORMS = "an item is `mic`, `gain: 3` or `mic: {device: USB}`"
_KEPT_BY_ANOTHER_KIND = ("from", "enabled")
"""What belongs to the stage's place in the pipeline and not to its kind."""


@dataclass(frozen=True, slots=True)
class StageItem:
    """A stage as written, merged, not yet checked.

    Attributes:
        kind: As written; `stage_type` is None when no plugin has it.
        options: What stands under the kind; a scalar already under the kind's main option.
        reserved: What stands beside the kind.
        id: Given by `id:`, or the kind, numbered.
        was: Kinds that stood here before another file, a profile or `--set` replaced them.
    """

    kind: str
    stage_type: type[Stage[Any]] | None
    options: MapNode
    reserved: dict[str, Entry]
    span: Span
    id: str = ""
    was: tuple[str, ...] = ()

    def get(self, key: str) -> Node | None:
        """Return the value of a reserved key, or None."""
        entry = self.reserved.get(key)
        return None if entry is None else entry.value


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to a stage that exists: reserved keys, options of its kind, or another kind."""

    kind: Entry | None
    reserved: dict[str, Entry]
    span: Span
    options: MapNode | None = None
    """Options whose kind is not said: those of `--set mic.device=USB`."""


class ItemReader:
    """Takes items apart and reports what is wrong with their shape."""

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self._registry = registry
        self._findings = findings

    def item(self, node: Node, reserved: Iterable[str] = RESERVED_KEYS) -> StageItem | None:
        """Return the item that `node` is; None, with the reason in the findings, if it is none."""
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            entry = Entry(node.value, node.span, ScalarNode(None, node.span))
            return self._of_kind(entry, {})
        if not isinstance(node, MapNode):
            self._findings.error("E106", f"{what(node)} is no stage", node.span, help=KIND_FORMS)
            return None
        kind, beside = self.split(node, reserved)
        if kind is None:
            self._findings.error(
                "E106", "this item names no kind of stage", node.span, help=KIND_FORMS
            )
            return None
        return self._of_kind(kind, beside)

    def patch(self, node: Node) -> Patch | None:
        """Return the change that an overlay or a profile has for a stage; None if it is none."""
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return Patch(Entry(node.value, node.span, ScalarNode(None, node.span)), {}, node.span)
        if not isinstance(node, MapNode):
            self._findings.error(
                "E106",
                f"a change to a stage is a mapping, not {what(node)}",
                node.span,
                help="write `mic: {mic: {device: USB}}` or `mic: {enabled: false}`",
            )
            return None
        kind, beside = self.split(node, RESERVED_KEYS)
        return Patch(kind, beside, node.span)

    def split(
        self, node: MapNode, reserved: Iterable[str]
    ) -> tuple[Entry | None, dict[str, Entry]]:
        """Return the entry that names the kind, and the reserved ones; others are reported."""
        beside = {key: entry for key, entry in node.entries.items() if key in reserved}
        others = [entry for key, entry in node.entries.items() if key not in beside]
        if not others:
            return None, beside
        known = [entry for entry in others if entry.key in self._registry.kinds]
        kind = known[0] if known else others[0]
        for entry in others:
            if entry is not kind:
                self._beside(entry, kind, tuple(reserved), two_kinds=entry in known)
        return kind, beside

    def apply(self, item: StageItem, patch: Patch) -> StageItem:
        """Return `item` changed: the same kind merges its options, another replaces the stage."""
        if patch.kind is None:
            options = item.options
            if patch.options is not None:
                merged = merge(options, patch.options)
                assert isinstance(merged, MapNode)
                options = merged
            return replace(item, options=options, reserved=_merged(item.reserved, patch.reserved))
        fresh = self._of_kind(patch.kind, patch.reserved)
        if patch.kind.key == item.kind:
            merged = merge(item.options, fresh.options)
            assert isinstance(merged, MapNode)
            return replace(item, options=merged, reserved=_merged(item.reserved, patch.reserved))
        kept = {key: item.reserved[key] for key in _KEPT_BY_ANOTHER_KIND if key in item.reserved}
        return replace(
            fresh, id=item.id, reserved={**kept, **patch.reserved}, was=(*item.was, item.kind)
        )

    def _of_kind(self, kind: Entry, reserved: dict[str, Entry]) -> StageItem:
        stage_type = self._registry.kinds.get(kind.key)
        options = self._options(kind, stage_type)
        return StageItem(kind.key, stage_type, options, reserved, kind.key_span)

    def _options(self, kind: Entry, stage_type: type[Stage[Any]] | None) -> MapNode:
        value = kind.value
        if isinstance(value, MapNode):
            return value
        empty = MapNode({}, kind.key_span)
        if stage_type is None or (isinstance(value, ScalarNode) and value.value is None):
            return empty
        main = stage_type.options_type.main
        if isinstance(value, ScalarNode) and main is not None:
            return MapNode({main: Entry(main, value.span, value)}, value.span)
        example = next(iter(stage_type.options_type.model_fields), None)
        if main is not None:
            example = main
        self._findings.error(
            "E112",
            f"`{kind.key}` takes its options by name, not {what(value)}",
            value.span,
            label="which option?",
            help=f"write `{kind.key}: {{{example}: {snippet(plain(value))}}}`"
            if example
            else f"`{kind.key}` has no options: write `- {kind.key}`",
            notes=[f"`rtpipe stages {kind.key}` lists its options"],
        )
        return empty

    def _beside(
        self, entry: Entry, kind: Entry, reserved: tuple[str, ...], *, two_kinds: bool
    ) -> None:
        """Report a key that stands beside the kind and is not a reserved one."""
        key = entry.key
        shown = "" if isinstance(entry.value, ListNode) else snippet(plain(entry.value))
        if two_kinds:
            self._findings.error(
                "E106",
                f"one item names two kinds, `{kind.key}` and `{key}`",
                entry.key_span,
                label="a second kind",
                help=f"give it an item of its own: `- {key}: {shown}`",
            )
            return
        stage_type = self._registry.kinds.get(kind.key)
        if stage_type is None:
            return  # an unknown kind is enough said
        fields = tuple(stage_type.options_type.model_fields)
        meant = suggest(key, [*reserved, *fields])
        if key in fields or (meant in fields and meant not in reserved):
            name = key if key in fields else meant
            options = plain(kind.value)
            before = options if isinstance(options, dict) else {}
            together = snippet({kind.key: {**before, str(name): plain(entry.value)}}, outer=False)
            self._findings.error(
                "E105",
                f"the option `{key}` stands beside `{kind.key}`, not under it",
                entry.key_span,
                label="one level too far out",
                help=f"write `- {together}`",
            )
            return
        self._findings.error(
            "E106",
            f"`{key}` cannot stand beside `{kind.key}`",
            entry.key_span,
            label="neither a reserved key nor an option",
            help=did_you_mean(key, [*reserved, *fields])
            or f"beside a kind there may be {listed(reserved)}",
        )


def _merged(base: dict[str, Entry], patch: dict[str, Entry]) -> dict[str, Entry]:
    entries = dict(base)
    for key, entry in patch.items():
        old = entries.get(key)
        mergeable = old is not None and key == "queue"
        value = merge(old.value, entry.value) if old is not None and mergeable else entry.value
        entries[key] = replace(entry, value=value)
    return entries


def with_ids(
    items: Iterable[StageItem], findings: Findings, others: Iterable[str] = ()
) -> list[StageItem]:
    """Return the items with their ids: `id:` if given, else the kind, numbered from the second.

    Args:
        items: In file order.
        findings: Takes ids that are none, or are there twice.
        others: Ids that are taken.
    """
    listed = list(items)
    given: dict[int, str] = {}
    taken = set(others)
    for index, item in enumerate(listed):
        entry = item.reserved.get("id")
        if entry is None:
            continue
        name = entry.value.value if isinstance(entry.value, ScalarNode) else None
        if not isinstance(name, str) or not ID.fullmatch(name):
            findings.error(
                "E108",
                "an id is a word of letters, digits, `_` and `-`",
                entry.value.span,
                help="for example `id: desk_mic`",
            )
        elif name in taken:
            findings.error(
                "E108",
                f"two stages have the id `{name}`",
                entry.value.span,
                label="again here",
                help=f"choose another: `id: {name}2`",
            )
        else:
            taken.add(name)
            given[index] = name
    named: list[StageItem] = []
    for index, item in enumerate(listed):
        name = given.get(index) or _free(item.kind, taken)
        taken.add(name)
        named.append(replace(item, id=name))
    return named


def _free(kind: str, taken: set[str]) -> str:
    if kind not in taken:
        return kind
    number = 2
    while f"{kind}{number}" in taken:
        number += 1
    return f"{kind}{number}"

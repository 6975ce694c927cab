"""One item of `stages:`, as the files have it: its kind, its options, and what stands beside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtpipe.language.item_mistakes import ItemMistakes
from rtpipe.language.nodes import Entry, MapNode, Node, ScalarNode, merge, what
from rtpipe.stage import Subscriber, family, shape
from rtpipe.vocabulary import BesideFallback, BesideStage, BesideSubscriber, keys

if TYPE_CHECKING:
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Stage
    from rtpipe.vocabulary import Reserved
    from rtpipe.wording.diagnostics import Findings, Span

KIND_FORMS = "an item is `mic`, `gain: 3` or `mic: {device: USB}`"
_KEPT_BY_ANOTHER_KIND = ("from", "enabled")
"""What belongs to the stage's place in the pipeline and not to its kind."""


@dataclass(frozen=True, slots=True)
class StageItem:
    """A stage as written, merged, not yet checked.

    Attributes:
        kind: As written; `stage_type` is None when no plugin has it or it cannot be imported.
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
    """Takes items apart and reports what is wrong with their shape.

    Args:
        registry: The kinds there are.
        findings: Takes what is wrong.
        beside: What may stand beside their kind.
    """

    def __init__(
        self, registry: Registry, findings: Findings, beside: type[Reserved] = BesideStage
    ) -> None:
        self._registry = registry
        self._findings = findings
        self._reserved = tuple(keys(beside))
        self._of_events = beside is BesideSubscriber
        self._mistakes = ItemMistakes(registry, findings)

    def item(self, node: Node, *, stand_in: bool = False) -> StageItem | None:
        """Return the item that `node` is; None, with the reason in the findings, if it is none.

        Args:
            node: As written.
            stand_in: Whether it is a fallback.
        """
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            entry = Entry(node.value, node.span, ScalarNode(None, node.span))
            return self.of_kind(entry, {})
        if not isinstance(node, MapNode):
            self._findings.error("E106", f"{what(node)} is no stage", node.span, help=KIND_FORMS)
            return None
        kind, beside = self._split(node, stand_in=stand_in)
        if kind is None:
            self._findings.error(
                "E106", "this item names no kind of stage", node.span, help=KIND_FORMS
            )
            return None
        return self.of_kind(kind, beside)

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
        kind, beside = self._split(node)
        return Patch(kind, beside, node.span)

    def _split(
        self, node: MapNode, *, stand_in: bool = False
    ) -> tuple[Entry | None, dict[str, Entry]]:
        """Return the entry that names the kind, and the reserved ones; others are reported."""
        may = tuple(keys(BesideFallback)) if stand_in else self._reserved
        beside = {
            key: entry for key, entry in node.entries.items() if key in {*self._reserved, *may}
        }
        others = [entry for key, entry in node.entries.items() if key not in beside]
        if not others:
            return None, beside
        known = [entry for entry in others if entry.key in self._registry.kinds]
        kind = known[0] if known else others[0]
        for entry in others:
            if entry is not kind:
                meant = self._mistakes.beside(entry, kind, may, two_kinds=entry in known)
                if meant is not None:
                    beside.setdefault(meant, replace(entry, key=meant))
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
        fresh = self.of_kind(patch.kind, patch.reserved)
        if patch.kind.key == item.kind:
            merged = merge(item.options, fresh.options)
            assert isinstance(merged, MapNode)
            return replace(item, options=merged, reserved=_merged(item.reserved, patch.reserved))
        kept = {key: item.reserved[key] for key in _KEPT_BY_ANOTHER_KIND if key in item.reserved}
        return replace(
            fresh, id=item.id, reserved={**kept, **patch.reserved}, was=(*item.was, item.kind)
        )

    def fallback(self, item: StageItem) -> StageItem | None:
        """Return the item that may take the place of `item`; None if it names none that can."""
        node = item.get("fallback")
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return None
        other = self.item(node, stand_in=True)
        if other is None:
            return None
        for key, entry in other.reserved.items():
            if key not in keys(BesideFallback):
                self._mistakes.shared(entry, item.kind)
        if item.stage_type is None or other.stage_type is None:
            return other
        if shape(item.stage_type) == shape(other.stage_type):
            return other
        if issubclass(other.stage_type, Subscriber) is self._of_events:  # else it was reported
            self._mistakes.stand_in(item.kind, other.kind, other.span)
        return None

    def of_kind(self, kind: Entry, reserved: dict[str, Entry]) -> StageItem:
        """Return the item of a kind and what stands beside it."""
        stage_type = self._registry.kinds.find(kind.key)
        if stage_type is None:
            self._mistakes.unknown_kind(kind, of_events=self._of_events)
        elif issubclass(stage_type, Subscriber) is not self._of_events:
            self._mistakes.section(kind, family(stage_type))
        options = self._options(kind, stage_type)
        if options is None:  # reported: as with an unknown kind, nothing follows from it
            return StageItem(kind.key, None, MapNode({}, kind.key_span), reserved, kind.key_span)
        return StageItem(kind.key, stage_type, options, reserved, kind.key_span)

    def _options(self, kind: Entry, stage_type: type[Stage[Any]] | None) -> MapNode | None:
        value = kind.value
        if isinstance(value, MapNode):
            return value
        empty = MapNode({}, kind.key_span)
        if stage_type is None or (isinstance(value, ScalarNode) and value.value is None):
            return empty
        main = stage_type.options_type.main
        if isinstance(value, ScalarNode) and main is not None:
            return MapNode({main: Entry(main, value.span, value)}, value.span)
        self._mistakes.unnamed_option(kind)
        return None


def _merged(base: dict[str, Entry], patch: dict[str, Entry]) -> dict[str, Entry]:
    entries = dict(base)
    for key, entry in patch.items():
        old = entries.get(key)
        mergeable = old is not None and key == "queue"
        value = merge(old.value, entry.value) if old is not None and mergeable else entry.value
        entries[key] = replace(entry, value=value)
    return entries

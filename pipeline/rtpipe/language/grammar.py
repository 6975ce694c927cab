"""A file against the vocabulary: also what takes no effect, as profiles that are not chosen.

Told apart from what follows: nothing here needs a variable, the environment or another file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.language.calls import CallReader
from rtpipe.language.items import ItemReader, StageItem
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode
from rtpipe.language.reserved import ReservedReader
from rtpipe.vocabulary import (
    VERBATIM,
    BesideDo,
    BesideFallback,
    BesideStage,
    BesideSubscriber,
    keys,
    with_sections,
)
from rtpipe.wording.diagnostics import suggest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.wording.diagnostics import Findings

_FORMS = "write `- log`, `- jsonl: out/events.jsonl` or `{match: vad.*, do: speaker.flush}`"


class Grammar:
    """Reports what no pipeline file may hold.

    Args:
        registry: The kinds there are.
        findings: Takes what is wrong.

    Attributes:
        file: The model of the top level.
    """

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self.file = with_sections(registry.sections)
        self._findings = findings
        self._calls = CallReader(findings)
        self._reader = ReservedReader(findings, registry)
        self._items = ItemReader(registry, findings)
        self._subscribers = ItemReader(registry, findings, BesideSubscriber)

    def check(self, file: MapNode) -> None:
        """Check a file, an overlay, or a part of one."""
        self._keys(self.file, file)
        profiles = file.get("profiles")
        chosen = profiles.entries.values() if isinstance(profiles, MapNode) else ()
        for part in (file, *(entry.value for entry in chosen)):
            if isinstance(part, MapNode):
                self._stages(part.get("stages"))
                self._events(part.get("events"))

    def _stages(self, node: Node | None) -> None:
        if isinstance(node, ListNode):
            for each in node.items:
                item = self._items.item(each)
                if item is not None:
                    self._stage(item)
        elif isinstance(node, MapNode):
            for id, entry in node.entries.items():
                patch = self._items.patch(entry.value)
                if patch is not None and patch.kind is not None:
                    self._stage(self._items.of_kind(patch.kind, patch.reserved))
                elif patch is not None:
                    empty = MapNode({}, patch.span)
                    self._stage(StageItem(id, None, empty, patch.reserved, patch.span))

    def _stage(
        self,
        item: StageItem,
        beside: type[BaseModel] = BesideStage,
        reader: ItemReader | None = None,
    ) -> None:
        known = {key: entry for key, entry in item.reserved.items() if key in keys(beside)}
        self._keys(beside, MapNode(known, item.span))
        fallback = (reader or self._items).fallback(item)
        if fallback is not None:
            self._stage(fallback, BesideFallback, reader)

    def _events(self, node: Node | None) -> None:
        for each in node.items if isinstance(node, ListNode) else ():
            if isinstance(each, MapNode) and "do" in each.entries:
                self._actions(each)
            elif isinstance(each, MapNode) and not set(each.entries) - set(keys(BesideSubscriber)):
                self._nowhere(each)
            else:
                item = self._subscribers.item(each)
                if item is not None:
                    self._stage(item, BesideSubscriber, self._subscribers)

    def _actions(self, route: MapNode) -> None:
        self._keys(BesideDo, route)
        unknown = [key for key in route.entries if key not in keys(BesideDo)]
        if "match" not in route.entries and not any(suggest(key, ["match"]) for key in unknown):
            self._findings.error(
                "E706",
                "this route does not say which events set it off",
                route.span,
                label="no `match`",
                help="write `match: vad.speech_started` beside `do`",
            )
        do = route.entries["do"].value
        for each in do.items if isinstance(do, ListNode) else (do,):
            if isinstance(each, ScalarNode) and isinstance(each.value, str):
                self._calls.read(each)

    def _nowhere(self, route: MapNode) -> None:
        self._findings.error(
            "E706",
            "this route leads nowhere",
            route.span,
            label="no subscriber, no `do`",
            help=_FORMS,
        )

    def _keys(self, model: type[BaseModel], node: MapNode) -> None:
        """Check keys whose values may be references: what those stand for is not known yet."""
        known = keys(model)
        entries: dict[str, Entry] = {}
        for key, entry in node.entries.items():
            verbatim = key in known and known[key].json_schema_extra == VERBATIM
            entries[key] = entry if verbatim else replace(entry, value=_open(entry.value))
        self._reader.check(model, MapNode(entries, node.span))


def _open(node: Node) -> Node:
    """Return `node` with its references marked as not filled."""
    if isinstance(node, ListNode):
        return replace(node, items=tuple(_open(item) for item in node.items))
    if isinstance(node, MapNode):
        entries = {k: replace(entry, value=_open(entry.value)) for k, entry in node.entries.items()}
        return replace(node, entries=entries)
    return replace(node, unresolved=isinstance(node.value, str) and "${" in node.value)

"""Several files and `--set`s become one document: includes, overlays, profiles, patches by id."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rtpipe.catalogue.fields import annotation, takes_single_value
from rtpipe.language.grammar import Grammar
from rtpipe.language.ids import with_ids
from rtpipe.language.items import ItemReader, Patch, StageItem
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, at, merge
from rtpipe.language.sections import WELL_KNOWN, as_mapping, report_absent
from rtpipe.vocabulary import BesideStage, keys
from rtpipe.wording.diagnostics import did_you_mean, listed, suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.overrides import Override
    from rtpipe.wording.diagnostics import Findings, Span

_VARIED = frozenset({"vars", "stages", "events"})
"""What a variant changes; its other keys are its owner's."""


@dataclass(slots=True)
class Document:
    """The merged file: top-level values, and the stages with their ids."""

    values: dict[str, Entry] = field(default_factory=dict)
    items: list[StageItem] = field(default_factory=list)
    stages_span: Span | None = None

    def get(self, key: str) -> Node | None:
        """Return a top-level value, or None."""
        entry = self.values.get(key)
        return None if entry is None else entry.value

    def mapping(self, key: str) -> MapNode | None:
        """Return a top-level mapping, or None where there is none."""
        node = self.get(key)
        return node if isinstance(node, MapNode) else None

    def patched_by_profiles(self) -> set[str]:
        """Return the ids of the stages that some profile changes, whether it is chosen or not."""
        profiles = self.mapping("profiles")
        found: set[str] = set()
        for entry in () if profiles is None else profiles.entries.values():
            stages = entry.value.get("stages") if isinstance(entry.value, MapNode) else None
            found.update(stages.entries if isinstance(stages, MapNode) else ())
        return found


class Merger:
    """Puts documents on top of one another.

    Args:
        registry: The kinds there are.
        findings: Takes what is wrong.
    """

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self._registry = registry
        self._findings = findings
        self._grammar = Grammar(registry, findings)
        self._keys = keys(self._grammar.file)
        self._items = ItemReader(registry, findings)
        self._places: dict[str, int] = {}
        self.document = Document()

    def add(self, file: MapNode) -> None:
        """Put a file on top: maps merge, lists replace, stages given as a mapping are patched."""
        self._grammar.check(file)
        for key, entry in file.entries.items():
            if key not in {"include", "plugins"}:
                self._put(entry)
        self._check_profiles(file)

    def add_profile(self, name: str) -> None:
        """Put the profile `name` on top."""
        profiles = self.document.mapping("profiles")
        known = profiles.entries if profiles is not None else {}
        if name not in known:
            self._findings.error(
                "E306",
                f"no profile `{name}`",
                help=did_you_mean(name, known) or f"there is {listed(known)}"
                if known
                else f"define it: `profiles: {{{name}: {{}}}}`",
            )
            return
        profile = known[name].value
        for entry in profile.entries.values() if isinstance(profile, MapNode) else ():
            self._put(entry)

    def add_variant(self, path: Sequence[str | int]) -> None:
        """Put a mapping that stands in the document on top, as a profile is.

        Args:
            path: The keys and indices that lead to it; its `profile` is put on top before.
        """
        entry = self.document.values.get(str(path[0])) if path else None
        node = None if entry is None else at(entry.value, path[1:])[0]
        if not isinstance(node, MapNode):
            return
        profile = node.get("profile")
        if isinstance(profile, ScalarNode) and isinstance(profile.value, str):
            self.add_profile(profile.value)
        for key in _VARIED & node.entries.keys():
            self._put(node.entries[key])

    def add_override(self, override: Override) -> None:
        """Put one `--set` on top."""
        head, rest = override.path[0], override.path[1:]
        if head == "stages" and rest:
            head, rest = rest[0], rest[1:]
        elif head in self._keys:
            self._set_value(override)
            return
        elif head in WELL_KNOWN and head not in self._places:
            report_absent(Entry(head, override.key_span, override.value), self._findings)
            return
        index = self._index(head, override.key_span, over="--set")
        if index is None:
            return
        patch = self._patch_of(override, rest, self.document.items[index])
        if patch is not None:
            self.document.items[index] = self._items.apply(self.document.items[index], patch)

    def _check_profiles(self, file: MapNode) -> None:
        """Check that the stages which a profile changes are there, whether it is chosen or not."""
        profiles = file.get("profiles")
        for name, entry in profiles.entries.items() if isinstance(profiles, MapNode) else ():
            stages = entry.value.get("stages") if isinstance(entry.value, MapNode) else None
            for id, patch in stages.entries.items() if isinstance(stages, MapNode) else ():
                self._index(id, patch.key_span, over=f"the profile `{name}`")

    def _set_value(self, override: Override) -> None:
        head = override.path[0]
        if head == "vars" and len(override.path) == 2:
            name = override.path[1]
            known = self.document.mapping("vars")
            names = known.entries if known is not None else {}
            if name not in names:
                self._findings.error(
                    "E301",
                    f"no variable `{name}` to set",
                    override.key_span,
                    label="unknown variable",
                    help=did_you_mean(name, names) or f"define it: `vars: {{{name}: value}}`",
                )
                return
        entry = override.nested()
        self._grammar.check(MapNode({head: entry}, override.key_span))
        self._put(entry)

    def _patch_of(self, override: Override, rest: tuple[str, ...], item: StageItem) -> Patch | None:
        """Return what `--set ID.rest=value` changes in the stage `ID`."""
        span = override.key_span
        if not rest:
            return self._whole(override, item)
        nested = override.nested(len(override.path) - len(rest))
        if rest[0] in keys(BesideStage) and rest[0] != "id":
            return Patch(None, {rest[0]: nested}, span)
        return Patch(None, {}, span, MapNode({nested.key: nested}, span))

    def _whole(self, override: Override, item: StageItem) -> Patch | None:
        value = override.value
        if isinstance(value, ScalarNode) and value.value not in self._registry.kinds:
            return Patch(Entry(item.kind, override.key_span, value), {}, value.span)
        if isinstance(value, MapNode) and item.stage_type is not None:
            kinds = [key for key in value.entries if key in self._registry.kinds]
            fields = item.stage_type.options_type.model_fields
            if not kinds and value.entries and all(key in fields for key in value.entries):
                return Patch(None, {}, value.span, value)
        return self._items.patch(value)

    def _stages(self, entry: Entry) -> None:
        node = entry.value
        if isinstance(node, ListNode):
            found = [self._items.item(item) for item in node.items]
            self.document.items = with_ids([i for i in found if i is not None], self._findings)
            self._places = {item.id: place for place, item in enumerate(self.document.items)}
            self.document.stages_span = entry.key_span
        elif isinstance(node, MapNode):
            for id, change in node.entries.items():
                self._patch(id, change)

    def _patch(self, id: str, change: Entry) -> None:
        index = self._index(id, change.key_span)
        patch = self._items.patch(change.value)
        if index is not None and patch is not None:
            self.document.items[index] = self._items.apply(self.document.items[index], patch)

    def _index(self, id: str, span: Span, over: str = "this file") -> int | None:
        if id in self._places:
            return self._places[id]
        if suggest(id, (item.id for item in self.document.items if item.stage_type is None)):
            return None  # a kind that is misspelt, or this: that was reported
        ids = list(self._places)
        variables = self.document.mapping("vars")
        help: str | None = did_you_mean(id, ids)
        if help is None and variables is not None and id in variables.entries and over == "--set":
            help = f"did you mean `vars.{id}`?"
        if help is None:
            help = (
                f"the stages are {listed(ids)}"
                if ids
                else "a base file comes first and has them as a list: `stages: [tone, speaker]`"
            )
        self._findings.error(
            "E110",
            f"{over} changes a stage `{id}`, which there is not",
            span,
            label="unknown id",
            help=help,
        )
        return None

    def _put(self, entry: Entry) -> None:
        if entry.key == "stages":
            self._stages(entry)
            return
        key = entry.key
        field = self._keys.get(key)
        if field is None:
            return  # the grammar says so
        if key in self._registry.sections:
            entry = as_mapping(entry, self._registry.sections[key])
        node = entry.value
        if isinstance(node, ScalarNode) and not takes_single_value(annotation(field)):
            return  # nothing below the key, or the grammar says that it is no mapping
        old = self.document.values.get(key)
        merged = node if old is None else merge(old.value, node)
        self.document.values[key] = replace(entry, value=merged)

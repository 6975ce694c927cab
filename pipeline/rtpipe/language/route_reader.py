"""Items of `events:`: which events, and the actions or the subscriber they set off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtpipe.events import event_type
from rtpipe.language.calls import (
    CallReader,
    WrittenCall,
    bound,
    unknown_action_help,
    unknown_stage_help,
)
from rtpipe.language.ids import with_ids
from rtpipe.language.items import ItemReader, StageItem
from rtpipe.language.known_events import types_here
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, plain, unresolved
from rtpipe.language.reserved import ReservedReader
from rtpipe.language.spec import ActionCall, RouteSpec
from rtpipe.stage import Subscriber, offered_actions
from rtpipe.vocabulary import BesideRoute, BesideSubscriber, keys
from rtpipe.wording.diagnostics import Remedy, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rtpipe.actions import ActionSpec
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.interpolate import Interpolator
    from rtpipe.language.known_events import KnownEvents
    from rtpipe.language.stage_maker import StageMaker
    from rtpipe.stage import Stage
    from rtpipe.wording.diagnostics import Findings, Span


class RouteReader:
    """Reads the routes of one document.

    Args:
        registry: The kinds there are.
        values: Fills references.
        maker: Makes subscribers.
        findings: Takes what is wrong.
        items: The stages of the document, disabled ones too.
        enabled: The ids of those that take part.
        events: What happens in the pipeline; is told of the subscribers.
    """

    def __init__(
        self,
        registry: Registry,
        values: Interpolator,
        maker: StageMaker,
        findings: Findings,
        items: Sequence[StageItem],
        enabled: set[str],
        events: KnownEvents,
    ) -> None:
        self._registry = registry
        self._values = values
        self._maker = maker
        self._findings = findings
        self._calls = CallReader(findings)
        self._stages = {item.id: item for item in items}
        self._enabled = enabled
        self._items = ItemReader(registry, findings, BesideSubscriber)
        self._reserved = ReservedReader(findings)
        self._events = events
        self._publishers: set[str] = set()
        self._unclear = {item.id for item in items if item.stage_type is None}

    def read(self, nodes: Sequence[Node]) -> list[RouteSpec]:
        """Return the routes that are enabled and right."""
        subscribers: list[StageItem] = []
        slots: list[tuple[Node, StageItem | None]] = []
        for node in nodes:
            if isinstance(node, MapNode) and "do" in node.entries:
                slots.append((node, None))
                continue
            item = self._subscriber(node)
            if item is not None:
                subscribers.append(item)
                slots.append((node, item))
        named = iter(with_ids(subscribers, self._findings, set(self._stages)))
        pairs = [(node, None if item is None else next(named)) for node, item in slots]
        made = [item for _, item in pairs if item is not None]
        self._publishers = {item.id for item in made}
        self._events.add(types_here(made, self._publishers, self._registry))
        routes = [self._route(node, item) for node, item in pairs]
        return [route for route in routes if route is not None]

    def _subscriber(self, node: Node) -> StageItem | None:
        """Return the item that names a route's subscriber; the grammar says what is none."""
        if isinstance(node, MapNode) and not set(node.entries) - set(keys(BesideSubscriber)):
            return None
        item = self._items.item(node)
        if item is None:
            return None
        if item.stage_type is None:  # reported
            given = item.get("id")
            self._unclear.add(f"{given.value}" if isinstance(given, ScalarNode) else item.kind)
            return None
        return item if issubclass(item.stage_type, Subscriber) else None

    def _route(self, node: Node, item: StageItem | None) -> RouteSpec | None:
        entries = node.entries if isinstance(node, MapNode) else {}
        got = {
            key: replace(entry, value=self._values.resolve(entry.value))
            for key, entry in entries.items()
            if key in keys(BesideRoute)
        }
        said = self._reserved.read(BesideRoute, MapNode(got, node.span))
        if not said.enabled:
            return None
        match = self._match(said.match, got.get("match"))
        where = said.where or {}
        asked = got.get("where")
        if asked is not None and isinstance(asked.value, MapNode):
            self._events.check_fields(match, asked.value.entries.values())
        source = self._source(said.from_, got.get("from"))
        if item is None:
            assert isinstance(node, MapNode)
            actions = self._actions(node)
            return RouteSpec(match, where, source, actions, None, node.span) if actions else None
        self._check_hearing(item, got)
        subscriber = self._maker.make(item)
        if subscriber is None:
            return None
        return RouteSpec(match, where, source, (), subscriber, node.span)

    def _match(self, said: str | tuple[str, ...] | None, entry: Entry | None) -> tuple[str, ...]:
        if said is None or entry is None:
            return ("*",)
        globs = (said,) if isinstance(said, str) else said
        node, known = entry.value, set(globs)
        for item in node.items if isinstance(node, ListNode) else (node,):
            if isinstance(item, ScalarNode) and item.value in known:
                self._events.check(str(item.value), item.span)
        return globs

    def _source(self, said: str | None, entry: Entry | None) -> str | None:
        if said is None or entry is None or said in self._stages or said in self._publishers:
            return said
        known = [*self._stages, *sorted(self._publishers)]
        self._unknown_stage(said, entry.value.span, known)
        return None

    def _check_hearing(self, item: StageItem, got: Mapping[str, Entry]) -> None:
        """Report which events a subscriber shall hear that hears none."""
        stage_type = item.stage_type
        assert stage_type is not None
        asked = [got[key] for key in ("match", "where", "from") if key in got]
        if asked and issubclass(stage_type, Subscriber) and not stage_type.hears:
            self._findings.error(
                "E706",
                f"`{item.kind}` hears no events, so `{asked[0].key}` says nothing",
                asked[0].key_span,
                label="it only publishes",
                help=f"a route of its own hears it: `{{match: {_first(stage_type)}, do: …}}`",
            )

    def _actions(self, route: MapNode) -> tuple[ActionCall, ...]:
        node = route.entries["do"].value
        calls: list[ActionCall] = []
        for item in node.items if isinstance(node, ListNode) else (node,):
            if not isinstance(item, ScalarNode) or not isinstance(item.value, str):
                continue  # the grammar says so
            call = self._calls.read(item)
            checked = None if call is None else self._call(call)
            if checked is not None:
                calls.append(checked)
        return tuple(calls)

    def _call(self, call: WrittenCall) -> ActionCall | None:
        stage = self._stages.get(call.stage)
        if stage is None:
            self._unknown_stage(call.stage, call.span, self._stages)
            return None
        if stage.stage_type is None:
            return None
        action = offered_actions(stage.stage_type).get(call.name)
        if action is None and self._had(stage, call.name):
            self._skipped(call, f"`{stage.id}` is a `{stage.kind}` now, which has no `{call.name}`")
            return None
        if action is None:
            self._unknown_action(call, stage.kind, offered_actions(stage.stage_type))
            return None
        args = [self._values.resolve(value) for value in call.args]
        kwargs = {name: self._values.resolve(value) for name, value in call.kwargs.items()}
        if any(unresolved(value) for value in (*args, *kwargs.values())):
            return None
        fitting = bound(
            f"{call.stage}.{call.name}",
            action,
            tuple(plain(value) for value in args),
            {name: plain(value) for name, value in kwargs.items()},
            self._findings,
            call.span,
        )
        if fitting is None:
            return None
        if call.stage not in self._enabled:
            self._skipped(call, f"`{call.stage}` is disabled")
            return None
        return ActionCall(call.stage, call.name, *fitting, call.span)

    def _had(self, stage: StageItem, action: str) -> bool:
        """Whether a kind that was replaced by `--set`, a profile or another file had the action."""
        kinds = map(self._registry.kinds.find, stage.was)
        return any(kind is not None and action in offered_actions(kind) for kind in kinds)

    def _skipped(self, call: WrittenCall, why: str) -> None:
        self._findings.warning(
            "E707",
            f"`{call.stage}.{call.name}` does nothing: {why}",
            call.span,
            label="left out",
        )

    def _unknown_action(
        self, call: WrittenCall, kind: str, actions: Mapping[str, ActionSpec]
    ) -> None:
        self._findings.error(
            "E704",
            f"`{kind}` has no action `{call.name}`",
            call.span,
            label="unknown action",
            help=self._within(
                unknown_action_help(call.stage, call.name, actions),
                f"{call.stage}.{call.name}",
                call.span,
            ),
            notes=[f"`rtpipe stages {kind}` lists its actions"],
        )

    def _unknown_stage(self, id: str, span: Span, known: Iterable[str]) -> None:
        if not self._stages or id in self._unclear or suggest(id, self._unclear):
            return  # there are none, a kind is misspelt, or this is: that was reported
        self._findings.error(
            "E703",
            f"no stage `{id}`",
            span,
            label="unknown id",
            help=self._within(unknown_stage_help(id, known), id, span),
        )

    def _within(self, help: str, written: str, span: Span) -> str:
        """Return a help to write something else for a part of what stands at `span`."""
        start = self._findings.line(span).find(written, span.column - 1)
        if not isinstance(help, Remedy) or start < 0:
            return str(help)
        return Remedy(
            help, help.text, replace(span, column=start + 1, length=len(written)), fill=False
        )


def _first(stage_type: type[Stage[Any]]) -> str:
    """Return the name of the first event that a kind publishes."""
    return next(map(event_type, stage_type.publishes), "…")

"""The plan of a reload: what of a running pipeline another file changes, and what is heard of it.

Pure. Shown before anything is done, and carried out as it says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rtpipe.running.plan import runs_inline
from rtpipe.running.reload.wording import (
    beside_words,
    option_words,
    reads_words,
    route_words,
)
from rtpipe.stage import Peer, Sink, Source, Transform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rtpipe.language.graph import Graph, Node
    from rtpipe.language.spec import RouteSpec, StageSpec
    from rtpipe.stage import Stage

Part: TypeAlias = Literal["stage", "subscriber", "route", "section", "pipeline"]

NOTHING = "nothing"


class How(StrEnum):
    """How a difference between two files is carried out."""

    SAME = "same"
    IN_PLACE = "in place"
    """It goes by other options from the next frame on."""
    SESSION_UPDATE = "session.update"
    """As in place, for a call."""
    EXCHANGED = "exchanged"
    """An inline transform gives way to another between two frames."""
    REOPENED = "re-opened"
    """Another instance is opened, and takes its place."""
    NEW_CALL = "new call"
    """As re-opened, for a call."""
    ADDED = "added"
    REMOVED = "removed"
    NEXT_START = "next start"
    """It holds from the next start on."""


ANOTHER_INSTANCE = frozenset({How.EXCHANGED, How.REOPENED, How.NEW_CALL})


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a pipeline, and what becomes of it.

    Attributes:
        part: What sort of part it is.
        id: Which one.
        how: What is done.
        what: What differs, in words; "" where nothing does.
        heard: What is heard of it; "nothing" where nothing is.
    """

    part: Part
    id: str
    how: How
    what: str = ""
    heard: str = NOTHING

    def line(self) -> str:
        """Return it as a sentence: `gain: gain_db 3 → 6, in place: a fade of 20 ms is heard`."""
        what = f"{self.what}, {self.how.value}" if self.what else self.how.value
        heard = "" if self.how is How.NEXT_START else f": {_said(self.heard)}"
        return f"{self.id}: {what}{heard}"


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What another file changes about a running pipeline.

    Attributes:
        changes: Of every part of both, in the order of the new file; what is gone comes last.
    """

    changes: tuple[Change, ...]

    @property
    def differences(self) -> tuple[Change, ...]:
        """Those that are not `same`."""
        return tuple(change for change in self.changes if change.how is not How.SAME)

    @property
    def keeps_call(self) -> bool:
        """Whether no call ends."""
        return not any(change.heard in _CALL_ENDS for change in self.changes)

    def of(self, part: Part, id: str) -> Change:
        """Return what becomes of one part.

        Raises:
            KeyError: There is none.
        """
        for change in self.changes:
            if (change.part, change.id) == (part, id):
                return change
        raise KeyError(id)

    def stages(self, *how: How) -> list[str]:
        """Return the ids of the stages with which that is done."""
        return [each.id for each in self.changes if each.part == "stage" and each.how in how]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        changes = [
            {**asdict(each), "how": each.how.value, "line": each.line()}
            for each in self.differences
        ]
        return {"changes": changes, "keeps_call": self.keeps_call}


_FRAME_EDGE = "the change, from one frame to the next"
_PLACED_AGAIN = "the call is placed again"
_CALL_ENDS = frozenset({_PLACED_AGAIN, "the call ends"})


def make_change_plan(old: Graph, new: Graph, used: Mapping[str, StageSpec]) -> ChangePlan:
    """Plan what makes a pipeline that runs `old` run `new`.

    Args:
        old: What the pipeline was made from, or became by the last reload.
        new: What it is to become.
        used: The stage in each place of `old`: the file's, or a fallback that took over.
    """
    changes = [*_pipeline(old, new)]
    for id, node in new.nodes.items():
        before = old.nodes.get(id)
        if before is None:
            heard = _coming(node.spec.stage_type, node.spec)
            changes.append(Change("stage", id, How.ADDED, node.spec.kind, heard))
        else:
            fused = (old.pipeline.fuse, new.pipeline.fuse)
            changes.append(_stage(id, before, node, used[id], fused))
    changes += _subscribers(old.pipeline.routes, new.pipeline.routes)
    for id, node in old.nodes.items():
        if id not in new.nodes:
            heard = _going(node.spec.stage_type, used[id])
            changes.append(Change("stage", id, How.REMOVED, node.spec.kind, heard))
    changes += _routes(old.pipeline.routes, new.pipeline.routes)
    changes += _sections(old.pipeline.sections, new.pipeline.sections)
    masked = (replace(each, what=_masked(each.what, old, new)) for each in changes)
    return ChangePlan(tuple(masked))


def kept(old: Graph, new: Graph) -> Graph:
    """Return `new` with what holds from the next start only as it is in `old`.

    The secrets of both stay hidden.
    """
    was, spec = old.pipeline, new.pipeline
    secrets = was.secrets | spec.secrets
    spec = replace(spec, name=was.name, sections=was.sections, secrets=secrets)
    return replace(new, pipeline=spec)


def _masked(text: str, old: Graph, new: Graph) -> str:
    return new.pipeline.masked(old.pipeline.masked(text))


def _said(heard: str) -> str:
    return "nothing is heard" if heard == NOTHING else heard


# -- stages ----------------------------------------------------------------------------------------


def same_type(one: type[Stage[Any]], other: type[Stage[Any]]) -> bool:
    """Return whether two classes are one kind: a file that is read again imports nothing again."""
    return one is other or (one.kind, one.__module__, one.__qualname__) == (
        other.kind,
        other.__module__,
        other.__qualname__,
    )


def _stage(id: str, before: Node, after: Node, used: StageSpec, fused: tuple[bool, bool]) -> Change:
    old, new = before.spec, after.spec
    inline = (runs_inline(old, fuse=fused[0]), runs_inline(new, fuse=fused[1]))
    what = [*_differences(before, after)]
    counterpart = _counterpart(old, new, used)
    if counterpart is None or inline[0] is not inline[1] or _reads_otherwise(before, after):
        return _replaced(id, used, new, inline, what)
    if counterpart.options == used.options and not what:
        return Change("stage", id, How.SAME)
    heard: str | None = NOTHING
    if _differ(used, counterpart):
        heard = _changed_in_place(used, counterpart)
    if heard is None:
        return _replaced(id, used, new, inline, what)
    called = issubclass(new.stage_type, Peer) and _differ(used, counterpart)
    how = How.SESSION_UPDATE if called else How.IN_PLACE
    return Change("stage", id, how, ", ".join(what), heard)


def _counterpart(old: StageSpec, new: StageSpec, used: StageSpec) -> StageSpec | None:
    """Return what stands in the new file where `used` stands in the old one; None: it is to go.

    A stand-in goes when what it stands in for is another now: that may be there.
    """
    chain = list(zip(old.chain, new.chain, strict=False))
    for one, other in chain:
        if not same_type(one.stage_type, other.stage_type):
            return None
        if one is used:
            return other
        if _differ(one, other):
            return None
    return None


def _differ(one: StageSpec, other: StageSpec) -> bool:
    return bool([*option_words(one.options, other.options)])


def _changed_in_place(used: StageSpec, to: StageSpec) -> str | None:
    """Return what is heard when the stage that runs goes by the other options; None: it cannot."""
    stage_type = used.stage_type
    if stage_type.accepts_for(used.options) != stage_type.accepts_for(to.options):
        return None
    if stage_type.has_clock(used.options) != stage_type.has_clock(to.options):
        return None
    return stage_type.change_heard(used.options, to.options)


def _reads_otherwise(before: Node, after: Node) -> bool:
    """Return whether it reads others than before and knows them apart, as a recorder its tracks."""
    several = len(before.inputs) > 1 or len(after.inputs) > 1
    return several and before.inputs != after.inputs


def _differences(before: Node, after: Node) -> Iterator[str]:
    old, new = before.spec, after.spec
    if not same_type(old.stage_type, new.stage_type):
        yield f"{old.kind} → {new.kind}"
    else:
        yield from option_words(old.options, new.options)
    if before.inputs != after.inputs:
        yield reads_words(before.inputs, after.inputs)
    yield from beside_words(old, new)


def _replaced(
    id: str, used: StageSpec, new: StageSpec, inline: tuple[bool, bool], what: list[str]
) -> Change:
    how, heard = How.REOPENED, NOTHING
    types = (used.stage_type, new.stage_type)
    overlap = bool(used.claims & new.claims)
    clocked = new.stage_type.has_clock(new.options)
    if any(issubclass(each, Peer) for each in types):
        how, heard = How.NEW_CALL, _PLACED_AGAIN
    elif all(issubclass(each, Transform) for each in types):
        how = How.EXCHANGED if all(inline) else How.REOPENED
        heard = _FRAME_EDGE
    elif overlap and clocked:
        heard = f"a gap on {id} while it is closed and opened again"
    elif clocked:
        heard = f"a gap of about 60 ms on {id}"
    elif issubclass(new.stage_type, Source):
        heard = "it begins anew"
    return Change("stage", id, how, ", ".join(what) or used.kind, heard)


def _coming(stage_type: type[Stage[Any]], spec: StageSpec) -> str:
    if issubclass(stage_type, Peer):
        return "a call is placed"
    if issubclass(stage_type, Sink) and not stage_type.has_clock(spec.options):
        return NOTHING
    return _FRAME_EDGE if issubclass(stage_type, Transform) else "it is heard from now on"


def _going(stage_type: type[Stage[Any]], spec: StageSpec) -> str:
    if issubclass(stage_type, Peer):
        return "the call ends"
    if issubclass(stage_type, Sink) and not stage_type.has_clock(spec.options):
        return NOTHING
    return _FRAME_EDGE if issubclass(stage_type, Transform) else "it is heard no more"


# -- events, sections, the pipeline itself ---------------------------------------------------------


def route_key(route: RouteSpec) -> tuple[object, ...]:
    """Return what a route is told by, wherever it stands; of one with a subscriber, its id."""
    if route.subscriber is not None:
        return ("subscriber", route.subscriber.id)
    actions = tuple(
        (call.stage, call.name, repr(call.args), repr(call.kwargs)) for call in route.actions
    )
    return ("route", *condition_of(route), actions)


def condition_of(route: RouteSpec) -> tuple[object, ...]:
    """Return which events a route hears."""
    return (route.match, repr(dict(route.where)), route.source)


def _subscribers(old: Iterable[RouteSpec], new: Iterable[RouteSpec]) -> Iterator[Change]:
    before = {each.subscriber.id: each for each in old if each.subscriber is not None}
    after = {each.subscriber.id: each for each in new if each.subscriber is not None}
    for id, route in after.items():
        spec = route.subscriber
        assert spec is not None
        if id not in before:
            yield Change("subscriber", id, How.ADDED, spec.kind)
            continue
        was = before[id].subscriber
        assert was is not None
        if not same_type(was.stage_type, spec.stage_type):
            yield Change("subscriber", id, How.REOPENED, f"{was.kind} → {spec.kind}")
            continue
        what = [*option_words(was.options, spec.options)]
        how = How.REOPENED if what else How.SAME
        heard = [*beside_words(was, spec)]
        if condition_of(before[id]) != condition_of(route):
            heard.append(f"hears {route_words(route)}")
        if heard and how is How.SAME:
            how = How.IN_PLACE
        yield Change("subscriber", id, how, ", ".join([*what, *heard]))
    for id, route in before.items():
        if id not in after:
            assert route.subscriber is not None
            yield Change("subscriber", id, How.REMOVED, route.subscriber.kind)


def _routes(old: Iterable[RouteSpec], new: Iterable[RouteSpec]) -> Iterator[Change]:
    before = [route_key(each) for each in old]
    after = [route_key(each) for each in new]
    for routes, others, how in ((new, before, How.ADDED), (old, after, How.REMOVED)):
        left = list(others)
        for route in routes:
            if route.subscriber is not None:
                continue
            key = route_key(route)
            if key not in left:
                yield Change("route", route_words(route), how)
                continue
            left.remove(key)
            if how is How.ADDED:
                yield Change("route", route_words(route), How.SAME)


def _sections(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if before is None or after is None:
            what = "no longer there" if after is None else "new"
        else:
            what = ", ".join(option_words(before, after))
        yield Change("section", key, How.NEXT_START, what)


def _pipeline(old: Graph, new: Graph) -> Iterator[Change]:
    was, spec = old.pipeline, new.pipeline
    if was.name != spec.name:
        yield Change("pipeline", "name", How.NEXT_START, f"{was.name} → {spec.name}")
    if was.fuse != spec.fuse:
        yield Change("pipeline", "fuse", How.IN_PLACE, f"{was.fuse} → {spec.fuse}".lower())

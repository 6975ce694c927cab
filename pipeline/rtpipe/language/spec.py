"""The models of a pipeline file that was read: checked, resolved, each part with its place."""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rtpipe.stage import Subscriber
from rtpipe.vocabulary import Restart
from rtpipe.wording.masking import mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe.language.nodes import MapNode
    from rtpipe.stage import Options, Stage
    from rtpipe.vocabulary import QueueSpec
    from rtpipe.wording.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Ref:
    """`from: id` or `from: id.port`."""

    id: str
    port: str
    span: Span


@dataclass(frozen=True, slots=True)
class Fail:
    """`on_error: fail`: the pipeline ends."""


@dataclass(frozen=True, slots=True)
class Drop:
    """`on_error: drop`: the frame that failed is lost, the stage goes on."""


ErrorPolicy: TypeAlias = Fail | Drop | Restart


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One item of `stages:` (or a route's subscriber), its options already validated.

    Attributes:
        id: What it is called in the file.
        kind: Its kind.
        stage_type: The class behind that.
        options: Its options.
        span: Where it stands.
        inputs: What it reads, as `from:` or its place says.
        queue: Its `queue:`.
        on_error: Its `on_error:`.
        fallback: What takes its place.
        return_after_s: Of a fallback: after how long (s) what it stands in for is tried again.
        label: Its `label:`.
        written: What the options were made from, with the place of each; until it is examined.
    """

    id: str
    kind: str
    stage_type: type[Stage[Any]]
    options: Options
    span: Span
    inputs: tuple[Ref, ...] = ()
    queue: QueueSpec | None = None
    on_error: ErrorPolicy = field(default_factory=Fail)
    fallback: StageSpec | None = None
    return_after_s: float | None = None
    label: str | None = None
    written: MapNode | None = None

    @property
    def chain(self) -> tuple[StageSpec, ...]:
        """The stage and its fallbacks, in the order in which they take over."""
        return (self, *(() if self.fallback is None else self.fallback.chain))

    @property
    def claims(self) -> frozenset[str]:
        """What no other stage may hold while this one does."""
        claimed = self.stage_type.claims(self.options)
        return frozenset((claimed,) if isinstance(claimed, str) else claimed or ())

    def without_text(self) -> StageSpec:
        """Return the stage without what was written: a running pipeline has no use for it."""
        fallback = None if self.fallback is None else self.fallback.without_text()
        return replace(self, written=None, fallback=fallback)


@dataclass(frozen=True, slots=True)
class ActionCall:
    """`do: stage.name(args)`."""

    stage: str
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    span: Span


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One item of `events:`: which events, and what they set off."""

    match: tuple[str, ...]
    where: Mapping[str, Any]
    source: str | None
    actions: tuple[ActionCall, ...]
    subscriber: StageSpec | None
    span: Span

    @property
    def hears(self) -> bool:
        """Whether anything is to be done with events; some subscribers only publish."""
        chain = () if self.subscriber is None else self.subscriber.chain
        types = [member.stage_type for member in chain]
        return not types or any(issubclass(each, Subscriber) and each.hears for each in types)

    def without_text(self) -> RouteSpec:
        """See `StageSpec.without_text`."""
        if self.subscriber is None:
            return self
        return replace(self, subscriber=self.subscriber.without_text())


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole file, ready to become a graph. Disabled stages are already gone.

    Attributes:
        name: What it calls itself, or the file's.
        path: The file.
        stages: Its stages, without those that are off.
        routes: What stands under `events:`.
        description: What it says of itself.
        fuse: Whether transforms may run inline.
        drain_s: How long what is queued may drain after a stop (s).
    """

    name: str
    path: Path
    stages: tuple[StageSpec, ...]
    routes: tuple[RouteSpec, ...] = ()
    description: str = ""
    fuse: bool = True
    drain_s: float = 2.0
    sections: Mapping[str, Options | None] = field(default_factory=dict)
    """What plugins added to the file's grammar, by key; None for what this file lacks."""
    secrets: frozenset[str] = frozenset()
    """Values that must never be shown."""
    env_names: frozenset[str] = frozenset()
    """Names of the environment variables that its files read, used or not."""

    def without_text(self) -> PipelineSpec:
        """See `StageSpec.without_text`."""
        stages = tuple(stage.without_text() for stage in self.stages)
        routes = tuple(route.without_text() for route in self.routes)
        return replace(self, stages=stages, routes=routes)

    def masked(self, text: str) -> str:
        """Return `text` without any secret of this pipeline and without a URL's password."""
        return mask(text, self.secrets)

    def __repr__(self) -> str:
        return f"PipelineSpec({self.name!r}, {len(self.stages)} stages, {self.path})"


def describe(spec: StageSpec) -> str:
    """Return a stage as a user would write it, shortened: its kind and the options it was given."""
    given = spec.options.model_dump(exclude_unset=True)
    if not given:
        return spec.kind
    if list(given) == [spec.options.main]:
        return f"{spec.kind}: {_short(next(iter(given.values())))}"
    inner = ", ".join(f"{key}: {_short(value)}" for key, value in given.items())
    return f"{spec.kind}: {{{inner}}}"


def _short(value: object) -> str:
    if isinstance(value, Path):
        value = os.path.relpath(value) if value.is_relative_to(Path.cwd()) else value
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"

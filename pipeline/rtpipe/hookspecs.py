"""The hooks a plugin may implement. None is called per frame or per event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    import click

    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.running.runtime import Pipeline
    from rtpipe.stage import Options, Stage

__all__ = [
    "rtpipe_commands",
    "rtpipe_events",
    "rtpipe_graph",
    "rtpipe_run_options",
    "rtpipe_running",
    "rtpipe_sections",
    "rtpipe_stages",
]
"""The hooks; what they are written with is in `rtpipe`."""
__provisional__ = frozenset({"rtpipe_graph", "rtpipe_run_options"})
"""What may still change at any time."""

PROJECT = "rtpipe"

Family: TypeAlias = Literal["source", "transform", "peer", "sink", "subscriber"]
"""Which of the five kinds of stage one is."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as one of the hooks: `@hookimpl def rtpipe_stages(): ...`."""


@dataclass(frozen=True, slots=True)
class LazyKind:
    """A kind whose module is imported when a pipeline file first names it.

    Attributes:
        kind: Its name in the file; the class says the same.
        family: Which of the five kinds of stage it is.
        summary: The first paragraph of its class's docstring, for lists.
        target: Where its class is, `module:Class`.
    """

    kind: str
    family: Family
    summary: str
    target: str


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command whose module is imported when it is called.

    One with the name of a command of ours takes the calls with an argument that ours does not
    take: `rtpipe events` lists the types of events, `rtpipe events kiosk` is a plugin's.

    Attributes:
        name: What is typed after `rtpipe`.
        summary: The first sentence of its help, for `rtpipe --help`.
        target: Where the click command is, `module:name`.
    """

    name: str
    summary: str
    target: str


@hookspec
def rtpipe_stages() -> Iterable[type[Stage[Any]] | LazyKind]:  # type: ignore[empty-body]
    """Return the stages this plugin adds: classes, or a `LazyKind` for what is slow to import."""


@hookspec
def rtpipe_commands(cli: click.Group) -> Iterable[LazyCommand] | None:
    """Return commands of the plugin's own, or add them to `cli`, the `rtpipe` command.

    One with the name of a command of ours takes the calls with an argument that ours does not take.
    """


@hookspec
def rtpipe_graph(graph: Graph) -> None:
    """Look at the graph before it is planned; raise `PluginError` to refuse it."""


@hookspec
def rtpipe_sections() -> Mapping[str, type[Options] | str]:  # type: ignore[empty-body]
    """Return the sections of a pipeline file that this plugin adds, each with its model.

    `"module:Class"` in the place of a model is imported when a file is read.

    A section is a key at the top of the file. It is checked as a stage's options are: unknown keys,
    wrong values and missing ones are reported at their place. `${...}` is filled, overlays merge,
    profiles and `--set` may change it. With `main` in the model, a bare value fills that option.

    A key that another plugin has, or the file itself, is a fault of the plugin: it is not used.
    """


@hookspec
def rtpipe_run_options() -> Iterable[click.Option]:  # type: ignore[empty-body]
    """Return options for `rtpipe run`.

    Plugins that are installed, in a folder, or named in the file can add them. None may be
    required. One that is taken is a fault of the plugin: none of its options is added.
    """


@hookspec
def rtpipe_events() -> Iterable[type[Event] | str]:  # type: ignore[empty-body]
    """Return the events that this plugin publishes beside its stages: their classes, or names.

    What hangs on a running pipeline (`rtpipe_running`) publishes as it likes; what is returned here
    may stand in a file's `match:`, in `--until` and in an option that names events, and is listed
    by `rtpipe events`. It is asked for when a file is read that names events: import nothing heavy.
    """


@hookspec
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Return what is entered before the stages open and left after they are closed, or None.

    The pipeline offers what stands below under `Pipeline`. Its stages are not open yet: watch the
    bus for `pipeline.started`.

    Several are entered in the order in which their plugins were registered, those with
    `@hookimpl(tryfirst=True)` before the others, and left in reverse; each lives in a task of its
    own. Whatever goes wrong is published as `plugin.failed`, logged, and harms nobody: what the
    hook or the manager raises, at any time, or when it takes more than 5 s to enter or to leave.
    """

"""The hooks a plugin may implement. None is called per frame or per event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    import click

    from rtpipe.language.graph import Graph
    from rtpipe.running.runtime import Pipeline
    from rtpipe.stage import Options, Stage

PROJECT = "rtpipe"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rtpipe_stages() -> Iterable[type[Stage[Any]]]:  # type: ignore[empty-body]
    """Return the stage classes this plugin adds."""


@hookspec
def rtpipe_commands(cli: click.Group) -> None:
    """Add commands of the plugin's own to the `rtpipe` command."""


@hookspec
def rtpipe_graph(graph: Graph) -> None:
    """Look at the graph before it is planned; raise `PluginError` to refuse it."""


@hookspec
def rtpipe_sections() -> Mapping[str, type[Options]]:  # type: ignore[empty-body]
    """Return the sections of a pipeline file that this plugin adds, each with its model.

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
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Return what is entered before the stages open and left after they are closed, or None.

    The pipeline offers what stands below under `Pipeline`. Its stages are not open yet: watch the
    bus for `pipeline.started`.

    Several are entered in the order in which their plugins were registered, those with
    `@hookimpl(tryfirst=True)` before the others, and left in reverse; each lives in a task of its
    own. Whatever goes wrong is published as `plugin.failed`, logged, and harms nobody: what the
    hook or the manager raises, at any time, or when it takes more than 5 s to enter or to leave.
    """

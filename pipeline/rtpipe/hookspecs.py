"""The hooks a plugin may implement. None is called per frame or per event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from rtpipe.language.graph import Graph
    from rtpipe.stage import Stage

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

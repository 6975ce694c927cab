"""One surface on a running pipeline: a private socket, HTTP, a page, and the commands that use it.

`surface.opened` is the way in; here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import LazyCommand, hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import click

    from rtpipe import Event, Pipeline


@hookimpl
def rtpipe_sections() -> dict[str, str]:
    """Return `control:`."""
    return {"control": "rtpipe_control.section:ControlOptions"}


@hookimpl
def rtpipe_run_options() -> list[click.Option]:
    """Return `--control` and `--no-control`."""
    from rtpipe_control.options import run_options

    return run_options()


@hookimpl
def rtpipe_events() -> tuple[type[Event], ...]:
    """Return what the surface tells on the bus."""
    from rtpipe_control.events import EVENTS

    return EVENTS


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Open the surface of `pipeline` as it was asked to."""
    from rtpipe_control.options import Wanted

    wanted = Wanted.by(pipeline)
    if wanted is None:
        return None
    from rtpipe_control import surface

    return surface.opened(pipeline, wanted)


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return the commands that look at running pipelines and steer them."""
    return (
        LazyCommand(
            "reload",
            "Let a running pipeline take what its files hold now.",
            "rtpipe_control.commands.reload:reload",
        ),
        LazyCommand("ps", "List the pipelines that run.", "rtpipe_control.commands.ps:ps"),
        LazyCommand(
            "ctl",
            "Do something with a stage of a running pipeline.",
            "rtpipe_control.commands.ctl:ctl",
        ),
        LazyCommand(
            "top",
            "Watch a running pipeline, and steer it by keys.",
            "rtpipe_control.commands.top.command:top",
        ),
        LazyCommand(
            "events",
            "Follow what happens in a running pipeline, until it ends or Ctrl-C.",
            "rtpipe_control.commands.events:events",
        ),
        LazyCommand(
            "tap",
            "Listen to what a stage of a running pipeline gives out or, as a sink, takes.",
            "rtpipe_control.commands.tap:tap",
        ),
    )

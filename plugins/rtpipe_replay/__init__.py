"""Records what a run was given, and replays it: `run --record FOLDER`, `replay FOLDER [FILE]`.

Here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import LazyCommand, LazyKind, hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import click

    from rtpipe import Event, Pipeline


@hookimpl
def rtpipe_run_options() -> list[click.Option]:
    """Return `--record`."""
    from rtpipe_replay.options import record

    return [record()]


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Record what `pipeline` is given, if that was asked for."""
    folder = pipeline.run_options.get("record")
    if not isinstance(folder, Path):
        return None
    from rtpipe_replay.recording import recorded

    return recorded(pipeline, folder)


@hookimpl
def rtpipe_events() -> tuple[type[Event], ...]:
    """Return what is told of a record."""
    from rtpipe_replay.events import EVENTS

    return EVENTS


@hookimpl
def rtpipe_stages() -> tuple[LazyKind, ...]:
    """Return what stands in the place of sources and peers in a replay."""
    return (
        LazyKind(
            "replayed",
            "source",
            "Gives what a record has of a source, at the same times.",
            "rtpipe_replay.stages:Replayed",
        ),
        LazyKind(
            "replayed_peer",
            "peer",
            "Gives what a record has of a peer, at the same times: its audio and its events.",
            "rtpipe_replay.stages:ReplayedPeer",
        ),
    )


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `replay`."""
    return (
        LazyCommand(
            "replay",
            "Run a recorded call again, through the same pipeline or a changed one.",
            "rtpipe_replay.command:replay",
        ),
    )

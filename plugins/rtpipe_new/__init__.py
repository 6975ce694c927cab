"""Begins things: a folder with a pipeline that runs at once, a package with a stage in it.

Here is the hook implementation, and nothing heavy; what is written stands in `templates/`.
"""

from __future__ import annotations

from rtpipe import LazyCommand, hookimpl


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `new`."""
    return (
        LazyCommand(
            "new",
            "Begin a kiosk, a recorder, a monitor, a transcriber, or a stage.",
            "rtpipe_new.command:new",
        ),
    )

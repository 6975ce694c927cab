"""A local server that speaks the OpenAI Realtime protocol over WebRTC, for offline use and tests.

`server.RealtimeServer` is the way in; here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def rtpipe_commands(cli: click.Group) -> None:
    """Add `serve-realtime`."""
    from rtpipe_realtime_server import commands

    commands.add_commands(cli)

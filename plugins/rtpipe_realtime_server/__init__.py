"""A local server that speaks the OpenAI Realtime protocol over WebRTC, for offline use and tests.

`server.RealtimeServer` is the way in; here are the hook implementations, and nothing heavy.
"""

from rtpipe import LazyCommand, hookimpl


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `serve-realtime`."""
    return (
        LazyCommand(
            "serve-realtime",
            "Serve the OpenAI Realtime protocol over WebRTC and WebSockets, offline, until Ctrl-C.",
            "rtpipe_realtime_server.commands:serve_realtime",
        ),
    )

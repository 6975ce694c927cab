"""`rtpipe lsp`, a language server for pipeline files: what `rtpipe schema` cannot say.

Here is the hook implementation, and nothing heavy.
"""

from __future__ import annotations

from rtpipe import LazyCommand, hookimpl


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `lsp`."""
    return (
        LazyCommand(
            "lsp",
            "Serve an editor: diagnostics, ids, actions, events, ${...}.",
            "rtpipe_lsp.command:lsp",
        ),
    )

"""`rtpipe lsp`."""

from __future__ import annotations

import os
import sys

import click

from rtpipe import EnvironmentProblem


@click.command()
@click.option("--no-environment", is_flag=True, help="Leave out what only this machine lacks.")
def lsp(*, no_environment: bool) -> None:
    """Serve an editor: diagnostics, ids, actions, events, ${...}.

    A language server over standard input and output, for an editor to start. It says what `rtpipe
    validate` says, of the text as it is being written, and offers what a schema cannot know. Code
    of a folder is run only where the folder is trusted.
    """
    try:
        from rtpipe_lsp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol", "cattrs"}:
            raise
        raise EnvironmentProblem(
            "`rtpipe lsp` needs pygls", help="pip install 'rtpipe-media[lsp]'"
        ) from None
    # What a plugin prints must not stand among the messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as messages:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        make_server(machine=not no_environment).start_io(stdout=messages)

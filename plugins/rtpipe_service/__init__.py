"""A pipeline as a service of systemd: told to it, written for it, looked after by it.

Here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rtpipe import LazyCommand, hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import click

    from rtpipe import Pipeline


@hookimpl
def rtpipe_run_options() -> list[click.Option]:
    """Return `--no-notify`."""
    from rtpipe_service.options import no_notify

    return [no_notify()]


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Tell the service manager how `pipeline` is, where one listens.

    A program that has a pipeline in it tells of itself.
    """
    if not os.environ.get("NOTIFY_SOCKET") or pipeline.run_options.get("no_notify") is not False:
        return None
    from rtpipe_service import reporting

    return reporting.reported(pipeline)


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `service`."""
    return (
        LazyCommand(
            "service",
            "Make a pipeline a service of systemd, and look after it.",
            "rtpipe_service.commands.service:service",
        ),
    )

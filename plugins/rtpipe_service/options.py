"""What `rtpipe run` takes for the service manager; a shell completes it, so nothing heavy here."""

from __future__ import annotations

import click


def no_notify() -> click.Option:
    """Return the option `--no-notify` of `rtpipe run`."""
    return click.Option(
        ["--no-notify"],
        is_flag=True,
        callback=_from_command_line,
        help="Tell the service manager ($NOTIFY_SOCKET) nothing.",
    )


def _from_command_line(ctx: click.Context, _: click.Parameter, value: bool) -> bool | None:  # noqa: FBT001 - click's way
    """Return None where no command line was read: a program tells of itself."""
    return value if ctx.parent is not None else None

"""`rtpipe top`: a running pipeline in a terminal."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from rtpipe import EnvironmentProblem
from rtpipe.errors import printable
from rtpipe_control import sockets
from rtpipe_control.client import Client


@click.command()
@click.argument("name", required=False)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 10),
    default=0.25,
    show_default=True,
    help="Seconds between two drawings; more over a slow line.",
)
@click.option("--ascii", "only_ascii", is_flag=True, help="Write nothing but ASCII.")
def top(name: str | None, interval: float, *, only_ascii: bool) -> None:
    """Watch a running pipeline, and steer it by keys."""
    if find_spec("textual") is None:
        raise EnvironmentProblem(
            "`rtpipe top` needs Textual", help="pip install 'rtpipe-media[top]'"
        )
    if name is not None:
        Client.of(name)
    names = [path.stem for path in sockets.found()] if name is None else [name]
    if not names:
        raise EnvironmentProblem(
            "no pipeline of yours runs here", help="start one: `rtpipe run FILE`"
        )
    if not _has_terminal():
        raise EnvironmentProblem("`rtpipe top` needs a terminal", help="`rtpipe ps` needs none")
    from rtpipe_control.commands.top.app import Top

    app = Top(
        names[0] if len(names) == 1 else None,
        interval_s=interval,
        only_ascii=only_ascii or not _writes_unicode(),
    )
    app.run(mouse=False)
    if app.left:
        click.echo(printable(app.left))


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _writes_unicode() -> bool:
    """Return whether the terminal shows more than ASCII, as far as its locale tells."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

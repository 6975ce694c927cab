"""`rtpipe ps`: which pipelines run."""

from __future__ import annotations

import json

import click

from rtpipe import RtpipeError
from rtpipe.errors import printable
from rtpipe_control import sockets
from rtpipe_control.client import Client


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ps(*, as_json: bool) -> None:
    """List the pipelines of yours that run."""
    runs = []
    for path in sockets.found():
        try:
            runs.append(Client(path).snapshot())
        except RtpipeError:  # it has ended meanwhile
            continue
    if as_json:
        names = ("run", "name", "state", "now", "pid", "file", "started_at")
        click.echo(json.dumps([{name: run[name] for name in names} for run in runs], indent=2))
        return
    if not runs:
        click.echo("no pipeline of yours runs here", err=True)
    for run in runs:
        click.echo(printable(f"{run['run']}  {run['state']}  {run['now']:.0f} s  {run['file']}"))

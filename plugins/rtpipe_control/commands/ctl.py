"""`rtpipe ctl`: an action of a running pipeline, from a shell."""

from __future__ import annotations

import json
from typing import Any

import click

from rtpipe.errors import printable
from rtpipe_control.client import Client


@click.command()
@click.argument("name", required=False)
@click.argument("called", metavar="STAGE.ACTION", required=False)
@click.argument("values", nargs=-1, metavar="[ARGUMENT]...")
def ctl(name: str | None, called: str | None, values: tuple[str, ...]) -> None:
    """Do something with a stage of a running pipeline."""
    if name is None or called is None:
        raise click.UsageError("say which pipeline, and which action of which stage")
    stage, _, action = called.partition(".")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for value in values:
        key, is_named, rest = value.partition("=")
        if is_named and key.isidentifier():
            kwargs[key] = _read(rest)
        else:
            args.append(_read(value))
    done = Client.of(name).act(stage, action, args, kwargs)
    if done["result"] is not None:
        click.echo(printable(json.dumps(done["result"], ensure_ascii=False)))
    if done["event"] is not None:
        click.echo(printable(done["event"]["line"]))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

"""`rtpipe reload`: a running pipeline takes what its files hold now, and the call goes on."""

from __future__ import annotations

import json

import click

from rtpipe import ExitCode
from rtpipe.errors import printable
from rtpipe_control.client import Client


@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and what heard of it.")
@click.option(
    "--when",
    type=click.Choice(["now", "pause"]),
    default="now",
    help="Now, or when nobody speaks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reload(name: str | None, *, dry_run: bool, when: str, as_json: bool) -> None:
    """Let a running pipeline take what its files hold now, read as at its start.

    Prints what changes, how, and what is heard of it. Where a file is wrong, nothing changes, and
    the exit code is 78.
    """
    if name is None:
        raise click.UsageError("say which pipeline; `rtpipe ps` lists those that run")
    asked = {"dry_run": dry_run, "when": when}
    answer = Client.of(name).reload(asked)
    found = answer.get("diagnostics", [])
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif found:
        for each in found:
            place = f"{each['path']}:{each['line']}:{each['column']}: " if each["path"] else ""
            help = f" ({each['help']})" if each["help"] else ""
            click.echo(printable(f"{place}{each['message']}{help}"), err=True)
        click.echo("nothing has changed", err=True)
    else:
        for change in answer["changes"]:
            click.echo(printable(change["line"]))
        if not answer["changes"]:
            click.echo("nothing differs")
        if answer["done"] == "waits for a pause":
            click.echo("at the next pause")
    if found:
        click.get_current_context().exit(ExitCode.CONFIGURATION)

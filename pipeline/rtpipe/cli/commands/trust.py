"""`rtpipe trust`: the folders whose code may be run by who only looks."""

from __future__ import annotations

from pathlib import Path

import click

from rtpipe.catalogue.trust import forget, remembered, shown, trust_folder
from rtpipe.cli.options import json_option, print_json
from rtpipe.cli.settings import common_options


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@click.option("--list", "listing", is_flag=True, help="List the trusted folders.")
@click.option("--revoke", is_flag=True, help="Trust it no more, until it is trusted or run again.")
@json_option
@common_options
def trust(folders: tuple[Path, ...], *, listing: bool, revoke: bool, as_json: bool) -> None:
    """Let commands that only look, `validate` for instance, run the plugins of a folder.

    They do so for the plugins in FOLDER/plugins and those that the pipeline files in FOLDER name;
    not for folders in it. Without FOLDER it is the current one. To run a pipeline trusts its
    folder, too, if there are plugins. `RTPIPE_TRUST=1` trusts every folder, for CI.
    """
    if listing or as_json:
        if folders or revoke:
            raise click.UsageError("--list and --json take no folder, and no --revoke")
        _list(as_json=as_json)
        return
    for folder in folders or (Path(),):
        place = folder.parent if folder.is_file() else folder
        if revoke:
            known = forget(place)
            click.echo(shown(f"{place.absolute()} {'is' if known else 'was'} not trusted"))
            continue
        if not place.is_dir():
            raise click.UsageError(f"no folder {place}")
        click.echo(shown(f"{trust_folder(place)} is trusted: looking at it runs its plugins"))


def _list(*, as_json: bool) -> None:
    entries, problems = remembered()
    for problem in problems:
        click.echo(shown(f"warning: {problem}"), err=True)
    if as_json:
        print_json([{"folder": str(e.folder), "by": e.by, "since": e.since} for e in entries])
        return
    for entry in entries:
        click.echo(shown(f"{entry.folder} ({entry.by}, {entry.since})"))

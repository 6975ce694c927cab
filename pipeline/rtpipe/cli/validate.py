"""`rtpipe validate`: everything that can be known about a pipeline without opening it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from rtpipe.cli.options import PipelineRequest, pipeline_options, print_json
from rtpipe.errors import ConfigError, ExitCode, printable
from rtpipe.wording.rendering import as_github, as_json, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.wording.diagnostics import Diagnostic


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How to print what was found.",
)
@click.option("--strict", is_flag=True, help="Take a warning for an error.")
@click.option("--no-environment", is_flag=True, help="Leave out what only this machine lacks.")
@pipeline_options
def validate(pipeline: PipelineRequest, form: str, *, strict: bool, no_environment: bool) -> None:
    """Check pipeline files without opening anything.

    Several files are overlaid, as for `run`. Exits with 78 if something is wrong.
    """
    depth: Literal["file", "machine"] = "file" if no_environment else "machine"
    found: Sequence[Diagnostic]
    if form == "text":
        loaded = pipeline.load(examine=depth)
        found, failed = loaded.warnings, False
        stages, routes = len(loaded.spec.stages), len(loaded.spec.routes)
        counts = f"{stages} stage{'s' * (stages != 1)}, {routes} route{'s' * (routes != 1)}"
        click.echo(printable(f"{pipeline.title}: {counts}, {tally(found)}"))
    else:
        try:
            found, failed = pipeline.load(warn=False, examine=depth).warnings, False
        except ConfigError as error:
            found, failed = error.diagnostics, True
    failed = failed or (strict and bool(found))
    if form == "json":
        report = {"ok": not failed, "diagnostics": [as_json(each) for each in found]}
        print_json(report)
    elif form == "github":
        for each in found:
            click.echo(as_github(each))
    if failed:
        click.get_current_context().exit(ExitCode.CONFIGURATION)

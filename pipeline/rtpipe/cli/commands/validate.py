"""`rtpipe validate`: everything that can be known about a pipeline without opening it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from rtpipe.cli.options import PipelineRequest, pipeline_options, print_json
from rtpipe.errors import ConfigError, ExitCode, printable
from rtpipe.wording.rendering import as_github, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.wording.diagnostics import Diagnostic

_PARTS = ("file", "graph", "environment")


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

    The last line says what was looked at: the file, with the documents that it names; the graph of
    its stages; the environment, which is this machine. Several files are overlaid, as for `run`.
    Exits with 78 if something is wrong.
    """
    depth: Literal["file", "machine"] = "file" if no_environment else "machine"
    looked_at: tuple[str, ...] = _PARTS[:2] if no_environment else _PARTS
    found: Sequence[Diagnostic]
    try:
        loaded = pipeline.load(warn=form == "text", examine=depth)
        found, failed = loaded.warnings, strict and bool(loaded.warnings)
        if form == "text":
            stages, routes = len(loaded.spec.stages), len(loaded.spec.routes)
            counts = f"{stages} stage{'s' * (stages != 1)}, {routes} route{'s' * (routes != 1)}"
            line = f"{pipeline.title}: {counts}, {tally(found)}{_parenthesis(looked_at)}"
            click.echo(printable(line))
    except ConfigError as error:
        found, failed = error.diagnostics, True
        looked_at = _PARTS[: _PARTS.index(error.reached) + 1]
        if form == "text":
            error.looked_at = _parenthesis(looked_at)
            raise
    if form == "json":
        diagnostics = [each.as_dict() for each in found]
        print_json({"ok": not failed, "looked_at": looked_at, "diagnostics": diagnostics})
    elif form == "github":
        for each in found:
            click.echo(as_github(each))
    if failed:
        click.get_current_context().exit(ExitCode.CONFIGURATION)


def _parenthesis(parts: Sequence[str]) -> str:
    """Return ` (looked at the file, the graph and the environment)`."""
    *most, last = (f"the {part}" for part in parts)
    return f" (looked at {', '.join(most)}{' and ' * bool(most)}{last})"

"""`rtpipe print` and `rtpipe graph`: a pipeline as rtpipe understands it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from rtpipe.cli.commands.why import reason_for
from rtpipe.cli.drawing import text
from rtpipe.cli.drawing.facts import facts_of
from rtpipe.cli.options import PipelineRequest, json_option, pipeline_options, print_json
from rtpipe.errors import printable
from rtpipe.wording.flow import block

if TYPE_CHECKING:
    from rtpipe.language.loading import Loaded

_DRAWINGS = {
    "text": "rtpipe.cli.drawing.text",
    "mermaid": "rtpipe.cli.drawing.mermaid",
    "dot": "rtpipe.cli.drawing.dot",
    "svg": "rtpipe.cli.drawing.svg",
    "json": "rtpipe.cli.drawing.document",
}


@click.command("print")
@click.option("--why", metavar="KEY", help="Say who set KEY: mic.device, vars.voice.")
@json_option
@pipeline_options
def print_(pipeline: PipelineRequest, why: str | None, *, as_json: bool) -> None:
    """Print the file as rtpipe understands it.

    Includes, overlays, the profile and --set are merged, references are filled, secrets masked.
    """
    if why is not None:
        reason = reason_for(why, pipeline.load(why=why.split(".")))
        if as_json:
            print_json(reason.as_dict())
        else:
            click.echo(printable(reason.text()))
        return
    resolved = pipeline.load().resolved
    if as_json:
        print_json(resolved)
    else:
        click.echo(printable(block(resolved)), nl=False)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "svg", "json"]),
    default="text",
    help="What to draw with.",
)
@json_option
@pipeline_options
def graph(pipeline: PipelineRequest, form: str, *, as_json: bool) -> None:
    """Show which stage reads which, and what stands between them: queues and converters.

    Below stands what events set off.
    """
    facts = facts_of(pipeline.load())
    drawing = import_module(_DRAWINGS["json" if as_json else form])
    click.echo(printable(drawing.draw(facts)))


def draw_text(loaded: Loaded) -> str:
    """Return the graph as text, one stage a line."""
    return text.draw(facts_of(loaded))

"""`rtpipe run`: opens a pipeline and shows it until it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from rtpipe.cli.display import DisplayHandler, LiveDisplay, PlainDisplay
from rtpipe.cli.latency import MEASURED, LatencyReport
from rtpipe.cli.options import PipelineRequest, pipeline_options
from rtpipe.cli.settings import Settings
from rtpipe.cli.show import draw_text
from rtpipe.cli.watchdog import Watchdog
from rtpipe.running.runtime import Pipeline

if TYPE_CHECKING:
    from rtpipe.language.graph import Graph


@click.command()
@click.option("--for", "seconds", type=float, metavar="S", help="Stop after S seconds.")
@click.option("--until", metavar="EVENT", help="Stop when an event matches this glob.")
@click.option("--latency", is_flag=True, help="Show what each answer was waited for.")
@click.option("--dry-run", is_flag=True, help="Check the file, show the graph, open nothing.")
@pipeline_options
def run(
    pipeline: PipelineRequest,
    *,
    seconds: float | None,
    until: str | None,
    latency: bool,
    dry_run: bool,
) -> None:
    """Run a pipeline.

    Ctrl-C lets what is queued play to its end (2 s at most), a second one does not.
    The conversation goes to stdout, everything else to stderr.
    """
    loaded = pipeline.load(examine="file")
    if dry_run:
        click.echo(draw_text(loaded))
        return
    asyncio.run(run_pipeline(loaded.graph, seconds=seconds, until=until, latency=latency))


async def run_pipeline(
    graph: Graph,
    *,
    seconds: float | None = None,
    until: str | None = None,
    latency: bool = False,
) -> None:
    """Run `graph` with a display, the signals wired, and an end by time or event if asked.

    With `latency`, measured turns are shown as they come, and summed up at the end.

    The first SIGINT or SIGTERM drains, the second cancels, the third leaves at once.

    Raises:
        RtpipeError: What ended the pipeline.
    """
    settings = Settings.current()
    live = sys.stderr.isatty() and settings.verbosity >= 0
    display = (LiveDisplay if live else PlainDisplay)(sys.stdout, sys.stderr, graph.pipeline.masked)
    handler = DisplayHandler(display)
    logging.getLogger("rtpipe").addHandler(handler)
    pipeline = Pipeline(graph, check=settings.debug)
    running = asyncio.ensure_future(pipeline.run())
    showing = asyncio.ensure_future(display.show(pipeline))
    watchdog = Watchdog(asyncio.get_running_loop(), pipeline.bus.publish)
    watchdog.start()
    _wire_signals(pipeline, running)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, pipeline.stop, f"{seconds:g} s are over")
    if until is not None:
        pipeline.bus.subscribe(until, lambda event: pipeline.stop(f"{event.type} came"))
    report = LatencyReport()
    if latency:
        pipeline.bus.subscribe(MEASURED, lambda event: display.print(report.line(event)))
    try:
        await running
    except asyncio.CancelledError:
        raise click.Abort from None
    finally:
        watchdog.stop()
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        logging.getLogger("rtpipe").removeHandler(handler)
        if table := report.table():
            click.echo(table, err=True)


def _wire_signals(pipeline: Pipeline, running: asyncio.Future[None]) -> None:
    received = 0

    def on_signal(name: str) -> None:
        nonlocal received
        received += 1
        if received == 1:
            pipeline.stop(name)
        elif received == 2:
            running.cancel()
        else:
            os._exit(130)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number.name)

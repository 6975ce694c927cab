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
from rtpipe.runtime import Pipeline
from rtpipe.watchdog import Watchdog

if TYPE_CHECKING:
    from rtpipe.graph import Graph


async def run_pipeline(
    graph: Graph, *, seconds: float | None, until: str | None, debug: bool
) -> None:
    """Run `graph` with a display, the signals wired, and an end by time or event if asked.

    The first SIGINT or SIGTERM drains, the second cancels, the third leaves at once.

    Raises:
        RtpipeError: What ended the pipeline.
    """
    display = (LiveDisplay if sys.stderr.isatty() else PlainDisplay)(sys.stdout, sys.stderr)
    handler = DisplayHandler(display, sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("rtpipe").addHandler(handler)
    pipeline = Pipeline(graph, check=debug)
    running = asyncio.ensure_future(pipeline.run())
    showing = asyncio.ensure_future(display.show(pipeline))
    watchdog = Watchdog(asyncio.get_running_loop(), pipeline.bus.publish)
    watchdog.start()
    _wire_signals(pipeline, running)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, pipeline.stop, f"{seconds:g} s are over")
    if until is not None:
        pipeline.bus.subscribe(until, lambda event: pipeline.stop(f"{event.type} came"))
    try:
        await running
    except asyncio.CancelledError:
        raise click.Abort from None
    finally:
        watchdog.stop()
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        logging.getLogger("rtpipe").removeHandler(handler)


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

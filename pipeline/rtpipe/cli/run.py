"""`rtpipe run`: opens a pipeline and shows it until it ends.

Its options and their help, which a shell completes, are to be had without what runs.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from rtpipe.cli import process
from rtpipe.cli.added_options import Added, ExtensibleCommand
from rtpipe.cli.options import PipelineRequest, pipeline_options
from rtpipe.cli.settings import Settings
from rtpipe.errors import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from types import FrameType

    from rtpipe.cli.audio_watch import AudioWatch
    from rtpipe.language.loading import Loaded
    from rtpipe.running.runtime import Pipeline

_DEAF_S = 10.0
"""A loop that has not answered a signal for so long is held for good."""


def _some_time(_: click.Context, __: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds < math.inf:
        raise click.BadParameter("it is a number of seconds above 0.")
    return seconds


@click.command(cls=ExtensibleCommand)
@click.option(
    "--for",
    "limit_s",
    type=float,
    callback=_some_time,
    metavar="S",
    help="Stop S seconds after audio flows; where none does for as long, 30 at least, fail.",
)
@click.option("--until", metavar="EVENT", help="Stop when an event matches this glob.")
@click.option("--latency", is_flag=True, help="Show what each answer was waited for.")
@click.option("--dry-run", is_flag=True, help="Check the file, show the graph, open nothing.")
@pipeline_options
def run(
    pipeline: PipelineRequest,
    *,
    limit_s: float | None,
    until: str | None,
    latency: bool,
    dry_run: bool,
) -> None:
    """Run a pipeline.

    Ctrl-C lets what is queued play to its end (2 s at most), a second one does not.
    The conversation goes to stdout, everything else to stderr.
    """
    from rtpipe.language.known_events import require_event

    added = Added.current()
    loaded = pipeline.load(examine="file", registry=added.registry)
    if until is not None:
        require_event(loaded.spec, loaded.registry, until, "--until")
    if dry_run:
        from rtpipe.cli.show import draw_text

        click.echo(printable(draw_text(loaded)))
        return
    process.load_numpy()
    from rtpipe.cli import watchdog
    from rtpipe.cli.audio_watch import AudioWatch
    from rtpipe.cli.display import Terminal
    from rtpipe.running import bounded

    loaded.registry.trust.remember()
    loaded.registry.register(Terminal(Settings.current(), latency=latency), "terminal")
    loaded.registry.register(watchdog, "watchdog")
    watch = AudioWatch(limit_s)
    loaded.registry.register(watch, "audio_watch")
    bounded.run(_run(loaded, added.values, watch, until))


async def _run(
    loaded: Loaded, run_options: Mapping[str, Any], watch: AudioWatch, until: str | None
) -> None:
    """Run a pipeline with the signals wired, and an end by event if asked.

    The first SIGINT or SIGTERM drains, the second cancels, the third leaves at once.

    Raises:
        RtpipeError: What ended the pipeline; or what `watch` found lacking when its time was over.
    """
    import asyncio

    from rtpipe.events import PipelineStarted
    from rtpipe.running.runtime import Pipeline

    pipeline = Pipeline(
        loaded.graph,
        check=Settings.current().debug,
        registry=loaded.registry,
        run_options=run_options,
    )
    running = asyncio.ensure_future(pipeline.run())
    unwire = _wire_signals(pipeline, running)
    pipeline.bus.subscribe(PipelineStarted.type, lambda _: process.keep_what_is_loaded())
    if until is not None:
        pipeline.bus.subscribe(until, lambda event: pipeline.stop(f"{event.type} came"))
    try:
        await running
    except asyncio.CancelledError:
        raise click.Abort from None
    finally:
        unwire()
    if watch.failure is not None:
        raise watch.failure


def _wire_signals(pipeline: Pipeline, running: asyncio.Future[None]) -> Callable[[], None]:
    """Let signals end the pipeline, and the process where the event loop does not answer them.

    Returns:
        A function that gives the signals back.
    """
    import asyncio

    received = 0
    loop = asyncio.get_running_loop()

    def on_loop(name: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        if received == 1:
            pipeline.stop(name)
        else:
            running.cancel()

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal received
        received += 1
        if received > 2:
            os._exit(130)
        with suppress(OSError, ValueError, RuntimeError):  # no stderr to name the line on
            faulthandler.dump_traceback_later(_DEAF_S, exit=True)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(on_loop, signal.Signals(number).name)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)  # else the loop's own cancels at the first one
        before[number] = signal.signal(number, on_signal)

    def unwire() -> None:
        faulthandler.cancel_dump_traceback_later()
        for number, handler in before.items():
            signal.signal(number, handler)

    return unwire

"""`rtpipe run`: opens a pipeline and shows it until it ends.

Its options and their help, which a shell completes, are to be had without what runs.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rtpipe.cli import process
from rtpipe.cli.added_options import Added, ExtensibleCommand
from rtpipe.cli.options import PipelineRequest, pipeline_options
from rtpipe.cli.settings import Settings
from rtpipe.errors import ExitCode, RtpipeError, StageError, printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from rtpipe.cli.audio_watch import AudioWatch
    from rtpipe.cli.display import Terminal
    from rtpipe.events import Event
    from rtpipe.language.loading import Loaded
    from rtpipe.running.reload.file_watch import Reloads
    from rtpipe.running.runtime import Pipeline

_DEAF_S = 10.0
"""A loop that has not answered a signal for so long is held for good."""


def _log_as(ctx: click.Context, format: str | None) -> None:
    ctx.ensure_object(Settings).json_log = format == "json"


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
@click.option("--each", is_flag=True, help="Run each file as a pipeline of its own.")
@click.option("--latency", is_flag=True, help="Show what each answer was waited for.")
@click.option("--watch", is_flag=True, help="Reload when a file is saved; the call goes on.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    expose_value=False,
    callback=lambda ctx, _, value: _log_as(ctx, value),
    help="json: an object a line, for a log collector; no status line.",
)
@click.option("--dry-run", is_flag=True, help="Check the file, show the graph, open nothing.")
@pipeline_options
def run(
    pipeline: PipelineRequest,
    *,
    limit_s: float | None,
    until: str | None,
    each: bool,
    latency: bool,
    watch: bool,
    dry_run: bool,
) -> None:
    """Run a pipeline.

    Ctrl-C lets what is queued play to its end (2 s at most), a second one does not.
    The conversation goes to stdout, everything else to stderr.

    SIGHUP reloads the files, as --watch does when one is saved; from a terminal it stops.

    Several files are overlaid; with --each they are pipelines beside one another. All else holds
    for each of them. What fails there ends no other; the exit code is that of the first failure.
    """
    from rtpipe.language.known_events import require_event

    added = Added.current()
    files = (
        pipeline.load_each(examine="file", registry=added.registry)
        if each
        else [pipeline.load(examine="file", registry=added.registry)]
    )
    names = _names(files) if each else [""]
    for loaded in files:
        if until is not None:
            require_event(loaded.spec, loaded.registry, until, "--until")
    if dry_run:
        from rtpipe.cli.commands.show import draw_text

        for name, loaded in zip(names, files, strict=True):
            click.echo(printable(f"{name}:\n{draw_text(loaded)}" if each else draw_text(loaded)))
        return
    process.load_numpy()
    from rtpipe.cli import watchdog
    from rtpipe.cli.audio_watch import AudioWatch
    from rtpipe.cli.display import Terminal
    from rtpipe.running import bounded
    from rtpipe.running.reload.file_watch import Reloads
    from rtpipe.running.runtime import Pipeline

    added.registry.trust.remember()
    terminal = Terminal(Settings.current(), latency=latency)
    added.registry.register(terminal, "terminal")
    added.registry.register(watchdog, "watchdog")
    audio_watch = AudioWatch(limit_s)
    added.registry.register(audio_watch, "audio_watch")
    reloads = Reloads(terminal, watch=watch)
    added.registry.register(reloads, "reloads")
    check = Settings.current().debug
    pipelines = {
        Pipeline(
            loaded.graph, check=check, registry=loaded.registry, run_options=added.values
        ): name
        for loaded, name in zip(files, names, strict=True)
    }
    for made, loaded, loader in zip(pipelines, files, pipeline.loaders(each=each), strict=True):
        reloads.add(made, loaded, loader)
    if each:
        terminal.names = pipelines
    bounded.run(_run(pipelines, terminal, audio_watch, reloads, until))


def _names(files: Sequence[Loaded]) -> list[str]:
    """Return what to call the pipelines: by their `name:` or file, numbered where that is one."""
    names: list[str] = []
    for loaded in files:
        name, number = loaded.spec.name, 1
        while name in names:
            number += 1
            name = f"{loaded.spec.name}#{number}"
        names.append(name)
    return names


async def _run(
    pipelines: Mapping[Pipeline, str],
    terminal: Terminal,
    watch: AudioWatch,
    reloads: Reloads,
    until: str | None,
) -> None:
    """Run pipelines with the signals wired, and an end by event if asked.

    The first SIGINT or SIGTERM drains, the second cancels, the third leaves at once.

    Args:
        pipelines: What to run, and how they are told apart; "" for one alone.
        terminal: Told at once of what fails while others run.
        watch: Asked what was lacking when a pipeline's time was over.
        reloads: Carries out what SIGHUP asks for.
        until: The event that ends the pipeline which publishes it.

    Raises:
        RtpipeError: What ended the pipeline; of several, that some failed, once all have ended.
    """
    import asyncio

    from rtpipe.events import PipelineStarted

    failures: dict[str, Exception] = {}
    ends = []
    for pipeline, name in pipelines.items():
        pipeline.bus.subscribe(PipelineStarted.type, lambda _: process.keep_what_is_loaded())
        if until is not None:
            pipeline.bus.subscribe(until, partial(_stop_by_event, pipeline))
        ends.append(_end_of(pipeline, name, terminal, watch, failures))
    running = asyncio.gather(*ends, return_exceptions=True)
    unwire = _wire_signals([*pipelines], running, reloads)
    try:
        cancelled = any(await running)  # by itself
    except asyncio.CancelledError:
        cancelled = True
    finally:
        unwire()
    if cancelled:
        raise click.Abort
    if failures:
        raise _failure(failures, len(pipelines))


async def _end_of(
    pipeline: Pipeline,
    name: str,
    terminal: Terminal,
    watch: AudioWatch,
    failures: dict[str, Exception],
) -> None:
    """Run `pipeline` to its end, and put what it fails with under its name into `failures`."""
    from rtpipe.cli.display import named_pipeline

    named_pipeline.set(name)
    error: Exception | None
    try:
        await pipeline.run()
        error = watch.failures.get(pipeline)
    except Exception as raised:  # noqa: BLE001 - others run on; it is raised when all have ended
        error = raised
    if error is not None:
        failures[name] = error
        if name:
            terminal.tell_failure(pipeline, error)


def _failure(failures: Mapping[str, Exception], pipelines: int) -> Exception:
    """Return what to raise for those of some `pipelines` that failed, by name in their order."""
    first = next(iter(failures.values()))
    if list(failures) == [""]:
        return first
    text = f"{len(failures)} of {pipelines} pipelines failed: {', '.join(failures)}"
    code = first.exit_code if isinstance(first, RtpipeError) else ExitCode.FAILED
    error = StageError(text, exit_code=code)
    error.__cause__ = first
    return error


def _stop_by_event(pipeline: Pipeline, event: Event) -> None:
    pipeline.stop(f"{event.type} came")


def _wire_signals(
    pipelines: Sequence[Pipeline], running: asyncio.Future[Any], reloads: Reloads
) -> Callable[[], None]:
    """Let signals end the pipelines, and the process where the event loop does not answer them.

    SIGHUP reloads them, unless it says that the terminal is gone.

    Returns:
        A function that gives the signals back.
    """
    import asyncio

    from rtpipe.running.reload.file_watch import hangs_up

    received = 0
    loop = asyncio.get_running_loop()

    def on_loop(name: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        if received == 1:
            for pipeline in pipelines:
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
    ending = {signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hangs_up() else ())}
    for number in ending:
        loop.remove_signal_handler(number)  # else the loop's own cancels at the first one
        before[number] = signal.signal(number, on_signal)
    if signal.SIGHUP not in ending:
        loop.add_signal_handler(signal.SIGHUP, reloads.ask, pipelines)

    def unwire() -> None:
        loop.remove_signal_handler(signal.SIGHUP)
        faulthandler.cancel_dump_traceback_later()
        for number, handler in before.items():
            signal.signal(number, handler)

    return unwire

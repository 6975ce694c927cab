"""What `run` shows: a live status on a terminal, plain lines into a pipe."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from rtpipe.cli.latency import MEASURED, LatencyReport
from rtpipe.cli.narration import Narrator, name_column
from rtpipe.cli.output import Output
from rtpipe.cli.status import status_line, summary_line
from rtpipe.errors import RtpipeError, printable
from rtpipe.events import Importance
from rtpipe.hookspecs import hookimpl
from rtpipe.wording.log_format import LogFormat
from rtpipe.wording.masking import mask
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rtpipe.cli.narration import Line
    from rtpipe.cli.settings import Settings
    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline
    from rtpipe.wording.diagnostics import Diagnostic

_REFRESH_S = 0.1
_MOST_PERIODS = 10
"""The status of many pipelines is looked up less often, since each is asked."""
_STAGE_LOGGER = "rtpipe.stage."
_ERASE_LINE = "\r\x1b[2K"


named_pipeline: ContextVar[str] = ContextVar("rtpipe.named_pipeline", default="")
"""Which of several pipelines a task belongs to: a log record says it."""


class Terminal:
    """The extension of a running pipeline that shows it on this process's stdout and stderr.

    Pipelines that run beside one another share the screen.

    Args:
        settings: How much is said.
        latency: Whether measured turns are shown as they come, and summed up at the end.

    Attributes:
        names: Of pipelines that run beside others: every line says whose it is.
    """

    def __init__(self, settings: Settings, *, latency: bool = False) -> None:
        self._settings = settings
        self._latency = latency
        self._screen: Screen | None = None
        self.names: dict[Pipeline, str] = {}

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def rtpipe_running(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Show the pipeline and what is logged until it is closed."""
        async with self._on_screen() as screen:
            display = screen.display(pipeline, self.names.get(pipeline, ""), len(self.names))
            report = LatencyReport()
            if self._latency:
                pipeline.bus.subscribe(MEASURED, lambda event: display.print(report.line(event)))
            unsubscribe = pipeline.bus.subscribe("*", display.hear)
            try:
                yield
            finally:
                unsubscribe()
                screen.leave(pipeline)
                if table := report.table():
                    screen.say(f"{display.name}\n{table}" if display.name else table)

    def tell_failure(self, pipeline: Pipeline, error: BaseException) -> None:
        """Say at once, while others run on, that a pipeline has failed."""
        name = self.names[pipeline]
        said = error.message if isinstance(error, RtpipeError) else repr(error)
        text = pipeline.spec.masked(printable(f"{name}: error: {said}"))
        if self._screen is not None:
            self._screen.failed.append(name)
            self._screen.say(click.style(text, fg="red"), logging.ERROR, message=text)
        else:
            dressed = self._settings.log_format.dressed(text, logging.ERROR)
            click.echo(dressed, err=True, nl=False)

    def tell_diagnostics(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Show what is wrong with files that were read while pipelines run, as `validate` does."""
        if self._screen is not None:
            text = render(diagnostics, colour=self._settings.colour(sys.stderr))
            self._screen.say(text, logging.ERROR, message=render(diagnostics, colour=False))

    @asynccontextmanager
    async def _on_screen(self) -> AsyncIterator[Screen]:
        screen = self._screen
        if screen is None:
            screen = self._screen = Screen(
                Output(sys.stdout),
                Output(sys.stderr),
                quiet=self._settings.verbosity < 0,
                format=self._settings.log_format,
            )
            screen.open()
        screen.viewers += 1
        try:
            yield screen
        finally:
            screen.viewers -= 1
            if not screen.viewers:
                self._screen = None
                await screen.close()


class Screen:
    """This process's stdout and stderr, and on a terminal a status line below what is printed.

    Args:
        out: Where the conversation goes.
        err: Where everything else goes.
        quiet: Whether there is no status line.
        format: How what is said is dressed; the conversation has no priorities.

    Attributes:
        viewers: How many pipelines show themselves on it.
        failed: The names of those that have failed.
    """

    def __init__(
        self,
        out: Output,
        err: Output,
        *,
        quiet: bool = True,
        format: LogFormat = LogFormat.TEXT,
    ) -> None:
        self.out = out
        self.err = err
        self.viewers = 0
        self.failed: list[str] = []
        self._format = format
        self._live = err.isatty() and not quiet and format is LogFormat.TEXT
        self._shown: dict[Pipeline, Display] = {}
        self._left = 0
        self._secrets: frozenset[str] = frozenset()
        self._handler = DisplayHandler(self)
        self._drawing: asyncio.Task[None] | None = None
        self._drawn = False
        self._period_s = _REFRESH_S

    def open(self) -> None:
        """Print what is logged from now on, and draw the status if there is one."""
        logging.getLogger("rtpipe").addHandler(self._handler)
        if self._live:
            self._drawing = asyncio.create_task(self._redraw())

    async def close(self) -> None:
        """Take the status away, and write what still waits to be written."""
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
        logging.getLogger("rtpipe").removeHandler(self._handler)
        self.out.finish()
        if self.out.lost:
            lost, why = self.out.lost, self.out.reason or "nobody reads"
            text = f"{lost} lines of stdout were lost: {why}"
            self.err.write(self._format.dressed(text, logging.WARNING))
        self.err.finish()

    def display(self, pipeline: Pipeline, name: str, several: int) -> Display:
        """Return what shows `pipeline`, one of `several` where it has a name."""
        self._secrets |= pipeline.spec.secrets
        self._period_s = _REFRESH_S * max(1, min(several, _MOST_PERIODS))

        def masked(text: str) -> str:
            return pipeline.spec.masked(text)  # of the file that it runs by then

        display = Display(self, masked, name)
        self._shown[pipeline] = display
        return display

    def leave(self, pipeline: Pipeline) -> None:
        """Show `pipeline` no more."""
        del self._shown[pipeline]
        self._left += 1

    def say(self, text: str, level: int = Importance.NOTICE, **said: str) -> None:
        """Print `text` above the status.

        Args:
            text: What a person reads.
            level: Of Python's logging.
            said: What JSON says beside it, as `LogFormat.dressed` takes it.
        """
        self.clear()
        self.err.write(self._format.dressed(text, level, **said))

    def print(self, line: Line) -> None:
        """Print a line above the status; on stdout if it was spoken."""
        stream = self.out if line.spoken else self.err
        width = shutil.get_terminal_size().columns if stream.isatty() else None
        format = self._format
        if line.spoken and format is LogFormat.JOURNAL:
            format = LogFormat.TEXT
        said = {"message": line.text, "stage": line.who, "event": line.event}
        if line.pipeline:
            said["stage"] = f"{line.pipeline}/{line.who}"
        self.clear()
        stream.write(format.dressed(line.styled(width), line.importance, **said))

    def log(self, text: str, record: logging.LogRecord) -> None:
        """Print what was logged."""
        text = mask(text, self._secrets)
        stage = record.name.removeprefix(_STAGE_LOGGER) if _of_stage(record) else ""
        said = {"message": text.removeprefix(f"{stage}: "), "stage": stage}
        self.say(click.style(f"{'':9}{text}", dim=True), record.levelno, **said)

    def clear(self) -> None:
        """Take the status line away."""
        if self._drawn:
            self.err.write(_ERASE_LINE)
            self._drawn = False

    async def _redraw(self) -> None:
        try:
            while True:
                self._draw()
                await asyncio.sleep(self._period_s)
        finally:
            self.clear()

    def _draw(self) -> None:
        if not self.err.idle:  # a stopped terminal: what was said waits already
            return
        width = shutil.get_terminal_size().columns - 1  # in the last column some terminals wrap
        self.err.write(f"{_ERASE_LINE}{self._status(width)}")
        self._drawn = True

    def _status(self, width: int) -> str:
        shown = [*self._shown.items()]
        now = max((pipeline.clock.now() for pipeline, _ in shown), default=0.0)
        if len(shown) == 1 and not shown[0][1].name:
            pipeline, display = shown[0]
            return status_line(pipeline.state(), now, display.narrator, width)
        states = {display.name: pipeline.state() for pipeline, display in shown}
        return summary_line(states, now, ended=self._left, failed=self.failed, width=width)


class Display:
    """What a pipeline says: a line for each thing worth saying; conversation on stdout.

    Args:
        screen: Where it is shown.
        mask: Takes known secrets out of a text.
        name: Which of several pipelines it is; "" where there is one alone.
    """

    def __init__(self, screen: Screen, mask: Callable[[str], str], name: str = "") -> None:
        self._screen = screen
        self._mask = mask
        self.name = name
        self.narrator = Narrator()

    def hear(self, event: Event) -> None:
        """Say what `event` means to a person, if anything."""
        line = self.narrator.line(event)
        if line is not None:
            self.print(replace(line, text=self._mask(line.text)))

    def print(self, line: Line) -> None:
        """Print one line."""
        self._screen.print(replace(line, pipeline=self.name))


class DisplayHandler(logging.Handler):
    """Sends log records through the screen, so that they do not tear its status line.

    Those of events that a display shows itself, by their `event_importance`, are left out.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.setFormatter(_OneLine())
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print `record` above the status."""
        if getattr(record, "event_importance", Importance.INFO) < Importance.NOTICE:
            name = named_pipeline.get()
            text = self.format(record)
            self._screen.log(f"{name_column(name)}  {text}" if name else text, record)


def _of_stage(record: logging.LogRecord) -> bool:
    return f"{record.name}".startswith(_STAGE_LOGGER)


class _OneLine(logging.Formatter):
    """Says which stage a record is of, and escapes what others put into it; tracebacks below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        text = " ".join(super().formatMessage(record).splitlines())
        if not _of_stage(record) or hasattr(record, "event_importance"):  # an event's line says who
            return text
        return f"{record.name.removeprefix(_STAGE_LOGGER)}: {text}"

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

"""What `run` shows: a live status on a terminal, plain lines into a pipe."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from rtpipe.cli.latency import MEASURED, LatencyReport
from rtpipe.cli.narration import Narrator
from rtpipe.cli.output import Output
from rtpipe.cli.status import status_line
from rtpipe.errors import printable
from rtpipe.events import Importance
from rtpipe.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rtpipe.cli.narration import Line
    from rtpipe.cli.settings import Settings
    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline

_REFRESH_S = 0.1
_STAGE_LOGGER = "rtpipe.stage."
_ERASE_LINE = "\r\x1b[2K"


class Terminal:
    """The extension of a running pipeline that shows it on this process's stdout and stderr.

    Args:
        settings: How much is said.
        latency: Whether measured turns are shown as they come, and summed up at the end.
    """

    def __init__(self, settings: Settings, *, latency: bool = False) -> None:
        self._settings = settings
        self._latency = latency

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def rtpipe_running(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Show the pipeline and what is logged until it is closed."""
        out, err = Output(sys.stdout), Output(sys.stderr)
        live = err.isatty() and self._settings.verbosity >= 0
        show = LiveDisplay if live else PlainDisplay
        display = show(out, err, pipeline.spec.masked)
        handler = DisplayHandler(display)
        report = LatencyReport()
        if self._latency:
            pipeline.bus.subscribe(MEASURED, lambda event: display.print(report.line(event)))
        logging.getLogger("rtpipe").addHandler(handler)
        try:
            async with display.shown(pipeline):
                yield
        finally:
            logging.getLogger("rtpipe").removeHandler(handler)
            if table := report.table():
                err.write(f"{table}\n")
            out.finish()
            if out.lost:
                err.write(f"{out.lost} lines of stdout were lost: {out.reason or 'nobody reads'}\n")
            err.finish()


class PlainDisplay:
    """One line for each thing worth saying; the conversation on `out`, the rest on `err`.

    Args:
        out: Where the conversation goes.
        err: Where everything else goes.
        mask: Takes known secrets out of a text.
    """

    def __init__(self, out: Output, err: Output, mask: Callable[[str], str]) -> None:
        self._out = out
        self._err = err
        self._mask = mask
        self._narrator = Narrator()

    @asynccontextmanager
    async def shown(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Show `pipeline` within the block."""
        unsubscribe = pipeline.bus.subscribe("*", self.hear)
        try:
            yield
        finally:
            unsubscribe()

    def hear(self, event: Event) -> None:
        """Say what `event` means to a person, if anything."""
        line = self._narrator.line(event)
        if line is not None:
            self.print(replace(line, text=self._mask(line.text)))

    def print(self, line: Line) -> None:
        """Print one line."""
        stream = self._out if line.spoken else self._err
        width = shutil.get_terminal_size().columns if stream.isatty() else None
        stream.write(f"{line.styled(width)}\n")

    def log(self, text: str) -> None:
        """Print what was logged."""
        self.clear()
        self._err.write(click.style(f"{'':9}{self._mask(text)}", dim=True) + "\n")

    def clear(self) -> None:
        """Take away what was drawn; nothing here."""


class LiveDisplay(PlainDisplay):
    """As `PlainDisplay`, with a status line below that is redrawn ten times a second."""

    def __init__(self, out: Output, err: Output, mask: Callable[[str], str]) -> None:
        super().__init__(out, err, mask)
        self._drawn = False

    @asynccontextmanager
    async def shown(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Show `pipeline` and its status within the block."""
        async with super().shown(pipeline):
            drawing = asyncio.create_task(self._redraw(pipeline))
            try:
                yield
            finally:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)

    async def _redraw(self, pipeline: Pipeline) -> None:
        try:
            while True:
                self._draw(pipeline)
                await asyncio.sleep(_REFRESH_S)
        finally:
            self.clear()

    def print(self, line: Line) -> None:
        """Print one line above the status."""
        self.clear()
        super().print(line)

    def clear(self) -> None:
        """Take the status line away."""
        if self._drawn:
            self._err.write(_ERASE_LINE)
            self._drawn = False

    def _draw(self, pipeline: Pipeline) -> None:
        if not self._err.idle:  # a stopped terminal: what was said waits already
            return
        width = shutil.get_terminal_size().columns - 1  # in the last column some terminals wrap
        text = status_line(pipeline.state(), pipeline.clock.now(), self._narrator, width)
        self._err.write(f"{_ERASE_LINE}{text}")
        self._drawn = True


class DisplayHandler(logging.Handler):
    """Sends log records through the display, so that they do not tear its status line.

    Those of events that the display shows itself, by their `event_importance`, are left out.
    """

    def __init__(self, display: PlainDisplay) -> None:
        super().__init__()
        self.setFormatter(_OneLine())
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Print `record` above the status."""
        if getattr(record, "event_importance", Importance.INFO) < Importance.NOTICE:
            self._display.log(self.format(record))


class _OneLine(logging.Formatter):
    """Says which stage a record is of, and escapes what others put into it; tracebacks below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        text = " ".join(super().formatMessage(record).splitlines())
        of_stage = f"{record.name}".startswith(_STAGE_LOGGER)
        if not of_stage or hasattr(record, "event_importance"):  # an event's line says who
            return text
        return f"{record.name.removeprefix(_STAGE_LOGGER)}: {text}"

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

"""`log`: events as lines that a person reads."""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

from rtpipe import Event, Options, Subscriber
from rtpipe.events import attributed_line


class LogOptions(Options):
    """Write events to the log."""

    main: ClassVar[str | None] = "level"

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to write: debug adds a protocol's details and what comes many
    times a second, warning leaves only trouble."""


class Log(Subscriber[LogOptions]):
    """Writes one line for each event on Python's logging, under the stage's own logger.

    - log: info
    """

    kind = "log"

    async def open(self) -> None:
        """Let through what was asked for, whatever the level of the loggers above."""
        self.ctx.log.setLevel(self.options.level.upper())

    async def close(self) -> None:
        """Leave the logger as it was."""
        self.ctx.log.setLevel(logging.NOTSET)

    async def on_event(self, event: Event) -> None:
        """Write `event`."""
        importance = type(event).importance
        if self.ctx.log.isEnabledFor(importance.log_level):
            who, text = attributed_line(event)
            self.ctx.log.log(
                importance.log_level, "%s: %s", who, text, extra={"event_importance": importance}
            )

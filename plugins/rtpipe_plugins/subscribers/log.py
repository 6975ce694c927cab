"""`log`: events as lines that a person reads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rtpipe import Event, Options, Pattern, Subscriber

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERRORS = Pattern(("error", "*.failed"))
_WARNINGS = Pattern(
    (
        "device.lost",
        "device.returned",
        "stage.fell_back",
        "stage.stalled",
        "link.dropped",
        "subscriber.overflowed",
        "*.disconnected",
    )
)
_DETAILS = Pattern(
    (
        "*.delta",
        "level",
        "level.*",
        "rate_limits.updated",
        # the bookkeeping of a Realtime session; what was said comes as transcript.*
        "conversation.*",
        "response.*.*",
    )
)
_LONGEST_VALUE = 120
_LONGEST_LINE = 400


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
        level = _level(event)
        if self.ctx.log.isEnabledFor(level):
            self.ctx.log.log(level, "%s", line(event), extra={"event_type": event.type})


def line(event: Event) -> str:
    """Return `event` in words, on one line."""
    said = event.payload()
    who = event.source or "pipeline"
    match event.type:
        case "transcript.user" | "transcript.assistant":
            speaker = event.type.removeprefix("transcript.")
            cut = " (interrupted)" if said.get("interrupted") else ""
            text = f"{speaker}: {said.get('text', '')}{cut}"
        case "stage.status_changed":
            text = f"{who} is {said['status']}" + _after(": ", said.get("detail"))
        case "stage.fell_back":
            text = f"{who}: {said['used']} takes the place of {said['wanted']}: {said['reason']}"
        case "stage.failed":
            text = f"{said['error']} (on_error: {said['policy']})"
        case "link.dropped":
            text = f"{who} dropped {said['dropped_ms']:.0f} ms, {said['total_ms']:.0f} ms in all"
        case "error":
            problem = said.get("error")
            details = problem if isinstance(problem, dict) else said
            text = f"{who}: the server reports {_pairs(details)}"
        case _:
            text = f"{who}: {event.type}" + _after(" ", _pairs(said))
    return _on_one_line(text, _LONGEST_LINE)


def _level(event: Event) -> int:
    if event.type == "stage.status_changed":
        healthy = event.payload()["status"] not in {"recovering", "failed"}
        return logging.DEBUG if healthy else logging.WARNING
    if _ERRORS.matches(event.type):
        return logging.ERROR
    if _WARNINGS.matches(event.type):
        return logging.WARNING
    if _DETAILS.matches(event.type):
        return logging.DEBUG
    return logging.INFO


def _pairs(payload: Mapping[str, Any]) -> str:
    """Return the payload's plain values; what is nested stands in a jsonl file, not here."""
    plain = (
        (key, value)
        for key, value in payload.items()
        if key not in {"type", "event_id"} and isinstance(value, str | int | float)
    )
    return " ".join(f"{key}={_on_one_line(f'{value}', _LONGEST_VALUE)}" for key, value in plain)


def _after(separator: str, text: str | None) -> str:
    return f"{separator}{text}" if text else ""


def _on_one_line(text: str, longest: int) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= longest else joined[: longest - 1] + "…"

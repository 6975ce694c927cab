"""What an event means to a person watching `run`: a line, or a standing fact of the status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rtpipe.cli.columns import columns, padded, wrapped
from rtpipe.errors import on_one_line
from rtpipe.events import Importance, attributed_line

if TYPE_CHECKING:
    from rtpipe.events import Event


_WHO = 8
"""Columns for the speaker's name."""
_PIPELINE = 8
"""Columns for a pipeline's name."""
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when, who, what.

    Attributes:
        at: Pipeline seconds.
        who: The speaker or the stage.
        text: What is said.
        importance: Of the event that it is about.
        spoken: Whether it is conversation.
        pipeline: Which of several pipelines it is about; "" where there is one alone.
        event: The type of the event that it tells of.
    """

    at: float
    who: str
    text: str
    importance: Importance = Importance.NOTICE
    spoken: bool = False
    pipeline: str = ""
    event: str = ""

    def styled(self, width: int | None = None) -> str:
        """Return the line with colours; click takes them off where there is no terminal.

        Args:
            width: Of the terminal: what does not fit goes on below, under the text.
        """
        minutes, seconds = divmod(self.at, 60)
        stamp = click.style(f"{minutes:02.0f}:{seconds:04.1f}", dim=True)
        indent = len("00:00.0  ") + max(_WHO, columns(self.who)) + 2
        if self.pipeline:
            pipeline = name_column(self.pipeline)
            stamp = f"{stamp}  {pipeline}"
            indent += columns(pipeline) + 2
        text = self.text
        if width is not None and width > 2 * indent:
            text = f"\n{'':{indent}}".join(wrapped(text, width - indent))
        return f"{stamp}  {self.painted(padded(self.who, _WHO), text)}"

    def painted(self, who: str, text: str) -> str:
        """Return both, filled up and broken as they are to stand there, with colours."""
        if self.spoken:
            colour = "cyan" if self.who == "visitor" else "green"
            return f"{click.style(who, fg=colour, bold=True)}  {text}"
        if self.importance >= Importance.WARNING:
            colour = "red" if self.importance >= Importance.ERROR else "yellow"
            return f"{click.style(who, fg=colour)}  {text}"
        return click.style(f"{who}  {text}", dim=True)


def name_column(pipeline: str) -> str:
    """Return a pipeline's name, as wide as a column of names."""
    return padded(on_one_line(pipeline), _PIPELINE)


class Narrator:
    """Turns events into lines and keeps the facts that stand until another event ends them."""

    def __init__(self) -> None:
        self._gate = ""
        self._has_heard_speech = False
        self._visitor_speaks = False
        self._speaking: set[str] = set()
        self._trouble: dict[str, tuple[str, float]] = {}

    def line(self, event: Event) -> Line | None:
        """Return what to print for `event`; None for nothing.

        The same trouble, told again by the same stage within a second, is not printed again.
        """
        self._remember(event)
        shown = type(event)
        if shown.importance < Importance.NOTICE:
            return None
        who, text = attributed_line(event)
        if shown.importance >= Importance.WARNING:
            told, told_at = self._trouble.get(event.source, ("", 0.0))
            if text == told and event.at - told_at < _AGAIN_S:
                return None
            self._trouble[event.source] = (text, event.at)
        spoken = bool(shown.speaker)
        return Line(event.at, who, text, shown.importance, spoken, event=event.type)

    @property
    def gate(self) -> str:
        """Whether the gate is "open" or "closed"; "" where nothing has been heard of one."""
        return self._gate

    @property
    def speaker(self) -> str | None:
        """Who speaks now: "model" before "visitor"; "" for nobody, None while nobody ever has."""
        if self._speaking:
            return "model"
        if self._visitor_speaks:
            return "visitor"
        return "" if self._has_heard_speech else None

    def _remember(self, event: Event) -> None:
        if event.type.startswith(("turn.", "vad.speech_", "playback.")):
            self._has_heard_speech = True
        match event.type:
            case "mute_gate.opened":
                self._gate = "open"
            case "mute_gate.closed":
                self._gate = "closed"
            case "turn.user_started" | "vad.speech_started":
                self._visitor_speaks = True
            case "turn.user_stopped" | "vad.speech_stopped":
                self._visitor_speaks = False
            case "turn.answer_started" | "playback.started":
                self._speaking.add(event.source)
            case "turn.answer_stopped" | "playback.stopped":
                self._speaking.discard(event.source)

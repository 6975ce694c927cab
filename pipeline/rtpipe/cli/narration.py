"""What an event means to a person watching `run`: a line, or a standing fact of the status."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.events import Event


_WHO = 8
"""Columns for the speaker's name."""


class Voice(Enum):
    """What sort of line it is."""

    CONVERSATION = "conversation"
    NEWS = "news"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when, who, what.

    Attributes:
        at: Pipeline seconds.
        who: The speaker or the stage.
        text: What is said.
        voice: What sort of line it is.
    """

    at: float
    who: str
    text: str
    voice: Voice = Voice.NEWS

    def styled(self, width: int | None = None) -> str:
        """Return the line with colours; click takes them off where there is no terminal.

        Args:
            width: Of the terminal: what does not fit goes on below, under the text.
        """
        minutes, seconds = divmod(self.at, 60)
        stamp = click.style(f"{minutes:02.0f}:{seconds:04.1f}", dim=True)
        indent = len("00:00.0  ") + max(_WHO, len(self.who)) + 2
        text = self.text
        if width is not None and width > 2 * indent:
            text = f"\n{'':{indent}}".join(textwrap.wrap(text, width - indent)) or text
        match self.voice:
            case Voice.CONVERSATION:
                colour = "cyan" if self.who == "visitor" else "green"
                return (
                    f"{stamp}  {click.style(f'{self.who:>{_WHO}}', fg=colour, bold=True)}  {text}"
                )
            case Voice.WARNING:
                return f"{stamp}  {click.style(f'{self.who:>{_WHO}}', fg='yellow')}  {text}"
            case Voice.NEWS:
                return f"{stamp}  {click.style(f'{self.who:>{_WHO}}  {text}', dim=True)}"


class Narrator:
    """Turns events into lines and keeps the facts that stand until another event ends them."""

    def __init__(self) -> None:
        self._gate: str | None = None
        self._visitor_speaks = False
        self._speaking: set[str] = set()

    def lines(self, event: Event) -> Iterator[Line]:
        """Yield what to print for `event`."""
        self._remember(event)
        said = event.payload()
        line = _LINES.get(event.type)
        if line is not None:
            who, template, voice = line
            text = template.format_map(_Rounded(said)).removeprefix(f"{event.source}: ")
            if said.get("interrupted"):
                text += " (interrupted)"
            if said.get("lost_s"):
                text += f", {said['lost_s']} s lost"
            yield Line(event.at, who or event.source, text, voice)

    def standing(self) -> Iterator[str]:
        """Yield the parts of the status line that events decide."""
        if self._gate is not None:
            yield f"gate {self._gate}"
        if self._speaking:
            yield "model speaks"
        elif self._visitor_speaks:
            yield "visitor speaks"
        else:
            yield "quiet"

    def _remember(self, event: Event) -> None:
        match event.type:
            case "mute_gate.opened":
                self._gate = "open"
            case "mute_gate.closed":
                self._gate = "closed"
            case "input_audio_buffer.speech_started" | "vad.speech_started":
                self._visitor_speaks = True
            case "input_audio_buffer.speech_stopped" | "vad.speech_stopped":
                self._visitor_speaks = False
            case "output_audio_buffer.started" | "playback.started":
                self._speaking.add(event.source)
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._speaking.discard(event.source)
            case "playback.stopped":
                self._speaking.discard(event.source)


def narrates(event_type: str) -> bool:
    """Return whether an event of this type becomes a line."""
    return event_type in _LINES


class _Rounded(dict[str, Any]):
    """A payload for `str.format_map`: floats short, and a missing field is no reason to fail."""

    def __getitem__(self, key: str) -> Any:
        value = self.get(key, "?")
        return f"{value:.0f}" if isinstance(value, float) else value


_LINES: dict[str, tuple[str, str, Voice]] = {
    "transcript.user": ("visitor", "{text}", Voice.CONVERSATION),
    "transcript.assistant": ("model", "{text}", Voice.CONVERSATION),
    "stage.fell_back": ("", "{reason}: `{used}` takes over", Voice.WARNING),
    "stage.failed": ("", "{error}", Voice.WARNING),
    "stage.restarted": ("", "open again (try {tries})", Voice.WARNING),
    "stage.stalled": ("", "held the event loop for {held_ms} ms at {where}", Voice.WARNING),
    "device.lost": ("", "{device} {reason}", Voice.WARNING),
    "device.returned": ("", "{device} is back after {away_s} s", Voice.WARNING),
    "link.dropped": ("", "dropped {dropped_ms} ms of audio, {total_ms} ms in all", Voice.WARNING),
    "route.failed": ("", "{action}: {error}", Voice.WARNING),
    "subscriber.overflowed": ("", "too slow: {lost} events were lost to it", Voice.WARNING),
    "realtime.connected": ("", "connected to {model} ({provider})", Voice.NEWS),
    "realtime.disconnected": ("", "disconnected: {reason}", Voice.NEWS),
    "realtime.reconnecting": ("", "calling again ({attempt}): {reason}", Voice.WARNING),
    "realtime.rolled_over": ("", "in a new session, which was told {items} items", Voice.NEWS),
    "realtime.budget_spent": ("", "the budget is spent: {reason}", Voice.WARNING),
    "recorder.failed": ("", "{error}", Voice.WARNING),
    "recorder.resumed": ("", "goes on in {path}", Voice.WARNING),
    "recorder.stopped": ("", "wrote {path} ({duration_s} s)", Voice.NEWS),
    "file_sink.closed": ("", "wrote {path} ({duration_s} s)", Voice.NEWS),
    "pipeline.stopping": ("", "stopping: {reason}", Voice.NEWS),
    "pipeline.ended": ("", "ended: {reason}", Voice.NEWS),
}

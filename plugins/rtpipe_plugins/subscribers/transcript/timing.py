"""When each turn was spoken, and how much of an answer reached the ear before it was cut off."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import Recent

if TYPE_CHECKING:
    from rtpipe import Event

MARKS = (
    "turn.user_started",
    "turn.user_stopped",
    "turn.answer_started",
    "turn.answer_stopped",
    "playback.started",
    "playback.stopped",
)
"""The events that tell."""

_REMEMBERED = 64  # turns, and changes of the loudspeaker
_USUAL_RATE = 15.0  # characters a second: 150 words a minute
_LONG_ENOUGH_S = 2.0


@dataclass(slots=True)
class SpeechInterval:
    """From when to when something sounded, in pipeline seconds; None where it is not known.

    Attributes:
        start: Of the sound, as the peer tells it.
        end: Of the sound, as the peer tells it.
        heard_s: How much of it the loudspeaker has played.
    """

    start: float | None = None
    end: float | None = None
    heard_s: float | None = None


class TurnTiming:
    """Follows the marks that the peer and the loudspeaker set."""

    def __init__(self) -> None:
        self._spans: Recent[str, SpeechInterval] = Recent(_REMEMBERED)
        self._speaker: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)
        self._whole_chars = 0
        self._whole_s = 0.0

    def note(self, event: Event) -> None:
        """Take one of the `MARKS`."""
        said = event.payload()
        match event.type:
            case "playback.started":
                self._speaker.append((event.at, True))
            case "playback.stopped":
                self._speaker.append((event.at, False))
                self._span(said.get("response_id")).heard_s = said.get("played_ms", 0.0) / 1000
            case "turn.user_started":
                self._span(said.get("item_id")).start = event.at
            case "turn.user_stopped":
                self._span(said.get("item_id")).end = event.at
            case "turn.answer_started":
                self._span(said.get("response_id")).start = event.at
            case "turn.answer_stopped":
                self._span(said.get("response_id")).end = event.at - said.get("quiet_s", 0.0)

    def span(self, id: str) -> SpeechInterval:
        """Return when a user's item or a model's response sounded."""
        return self._spans.get(id, SpeechInterval())

    def heard_whole(self, id: str, text: str) -> None:
        """Learn from a response that was heard to its end how fast this voice speaks."""
        span = self.span(id)
        if span.start is not None and span.end is not None:
            self._whole_chars += len(text)
            self._whole_s += span.end - span.start

    def heard_part(self, id: str, text: str, until: float) -> str:
        """Return the words of `text` that were heard of a response cut off at `until`.

        The server does not say at which word it was cut, only when: the words are counted off at
        the speed of the voice. A word counts when it was heard to its end.
        """
        span = self.span(id)
        if span.heard_s is not None:
            heard_s = span.heard_s
        elif span.start is not None:
            heard_s = self._audible_s(span.start, until if span.end is None else span.end)
        else:
            return ""
        known = self._whole_s >= _LONG_ENOUGH_S and self._whole_chars > 0
        rate = self._whole_chars / self._whole_s if known else _USUAL_RATE
        count = int(heard_s * rate)
        if count >= len(text):
            return text
        begun = text[: count + 1]
        return begun[: max(begun.rfind(" "), 0)].rstrip()

    def _audible_s(self, start: float, end: float) -> float:
        """Return how long the loudspeaker sounded, pauses included; all the time, without one."""
        if not self._speaker:
            return end - start
        earlier = [sounding for at, sounding in self._speaker if at < start]
        changes = [(at, sounding) for at, sounding in self._speaker if start <= at <= end]
        if not (earlier and earlier[-1]):
            began = next((at for at, sounding in changes if sounding), None)
            if began is None:
                return 0.0
            start = began
        if changes and not changes[-1][1]:
            end = changes[-1][0]
        return max(end - start, 0.0)

    def _span(self, id: object) -> SpeechInterval:
        key = f"{id}"
        if key not in self._spans:
            self._spans[key] = SpeechInterval()
        return self._spans[key]

"""Words heard: how many of an answer's characters were spoken in so much of its sound; an estimate.

No protocol tells the place of a word in the sound. Where the sound comes in events (WebSocket),
words and sound come by turns, and so it is known how much sound there was before a word: a server
may be ahead with either. Where it does not (WebRTC), there is only how fast this voice has spoken.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from rtpipe import Recent

USUAL_RATE = 15.0
"""Characters a second: 150 words a minute."""
_LONG_ENOUGH_MS = 2000.0
_REMEMBERED = 64  # answers
_TOO_FAST = 2.0  # times the voice's rate: the words were ahead of their sound


@dataclass(slots=True)
class _Text:
    """The text of an answer so far.

    Attributes:
        chars: How long it is.
        places: Before which (ms of the sound, characters) a piece of it came, both rising.
    """

    chars: int = 0
    places: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])


class WordsHeard:
    """Knows the answers' texts, and learns from each that is heard to its end."""

    def __init__(self) -> None:
        self._texts: Recent[str, _Text] = Recent(_REMEMBERED)
        self._spoken_chars = 0
        self._spoken_ms = 0.0

    @property
    def rate(self) -> float:
        """How fast this voice speaks (characters a second)."""
        if self._spoken_ms < _LONG_ENOUGH_MS or not self._spoken_chars:
            return USUAL_RATE
        return self._spoken_chars * 1000 / self._spoken_ms

    def take(self, response_id: str, delta: str, audio_ms: float | None) -> None:
        """Take further words of an answer, before which so much of its sound had come."""
        text = self._texts.get(response_id)
        if text is None:
            text = self._texts[response_id] = _Text()
        if audio_ms is not None and audio_ms > text.places[-1][0]:
            text.places.append((audio_ms, text.chars))
        text.chars += len(delta)

    def chars(self, response_id: str) -> int:
        """Return how long the answer's text is, as far as it has come."""
        text = self._texts.get(response_id)
        return 0 if text is None else text.chars

    def heard_chars(self, response_id: str, heard_ms: float) -> int:
        """Return how many characters of an answer were spoken in its first `heard_ms`."""
        text = self._texts.get(response_id)
        if text is None:
            return 0
        behind = bisect_right(text.places, heard_ms, key=lambda place: place[0])
        begin_ms, begin_chars = text.places[behind - 1]
        per_ms = self.rate / 1000
        if behind < len(text.places):
            end_ms, end_chars = text.places[behind]
            per_ms = (end_chars - begin_chars) / (end_ms - begin_ms)
        spoken = begin_chars + (heard_ms - begin_ms) * per_ms
        believable = _TOO_FAST * self.rate * heard_ms / 1000
        return min(int(spoken), int(believable), text.chars)

    def heard_whole(self, response_id: str, sound_ms: float) -> None:
        """Take note that all of an answer's text was spoken in `sound_ms`."""
        chars = self.chars(response_id)
        if chars:
            self._spoken_chars += chars
            self._spoken_ms += sound_ms

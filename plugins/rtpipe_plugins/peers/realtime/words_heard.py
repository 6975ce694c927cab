"""Words heard: how many of an answer's characters were spoken in so much of its sound; an estimate.

No protocol tells the place of a word in the sound: they are counted off at the speed at which this
voice has spoken so far. Where the sound comes in events (WebSocket), words and sound come by turns,
the words ahead: those that had not come with so much sound are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtpipe import Recent

USUAL_RATE = 15.0
"""Characters a second: 150 words a minute."""
_LONG_ENOUGH_MS = 2000.0
_REMEMBERED = 64  # answers


@dataclass(slots=True)
class _Text:
    """The text of an answer so far.

    Attributes:
        chars: How long it is.
        places: What had come when a piece of it came: ms of the sound, characters; both rising.
    """

    chars: int = 0
    places: list[tuple[float, int]] = field(default_factory=list)


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
        if audio_ms is not None:
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
        at_most = next((chars for ms, chars in text.places if ms > heard_ms), text.chars)
        return min(int(self.rate * heard_ms / 1000), at_most)

    def heard_whole(self, response_id: str, sound_ms: float) -> None:
        """Take note that all of an answer's text was spoken in `sound_ms`."""
        chars = self.chars(response_id)
        if chars:
            self._spoken_chars += chars
            self._spoken_ms += sound_ms

"""False interruptions: the model pauses when somebody makes a noise, and goes on if it was a cough.

There is no clock in it: time passes by the audio that comes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import audio

if TYPE_CHECKING:
    from rtpipe import AudioFrame

_LONGEST_SILENCE_MS = 200.0
"""Longer ones are shortened to this, to make up for a pause."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to be done about what the visitor's microphone heard.

    Attributes:
        interrupt: Silence the model for good.
        answer: Have the model take its turn.
        delete: The item to take out of the conversation; "" for none.
    """

    interrupt: bool = False
    answer: bool = False
    delete: str = ""


class FalseInterruptions:
    """Pauses the model at each noise, and rules whether it was words or a cough.

    The server is asked not to interrupt and not to answer: both are done here, after the ruling.

    Args:
        min_speech_ms: What lasts so long is words.
        words_ms: How long after the end of a shorter one its words are waited for.
    """

    def __init__(self, min_speech_ms: float, words_ms: float) -> None:
        self._min_speech_ms = min_speech_ms
        self._words_ms = words_ms
        self._pause = PauseBuffer()
        self._judged: str | None = None
        self._ended = False
        self._committed = False
        self._left_ms = 0.0
        self._coughs: set[str] = set()

    @property
    def late(self) -> bool:
        """Whether something of the model's waits to be heard."""
        return self._pause.late

    def started(self, item_id: str, hangover_ms: float) -> None:
        """A noise began, whose end the server will notice `hangover_ms` late."""
        self._pause.begin()
        self._judged = item_id
        self._ended = self._committed = False
        self._left_ms = self._min_speech_ms + hangover_ms

    def stopped(self, speech_ms: float, *, transcribes: bool) -> Ruling:
        """The noise is over and lasted so long; `transcribes`: what it says will be known."""
        if self._judged is None:
            return Ruling()
        if speech_ms >= self._min_speech_ms:
            return self._words()
        if not transcribes:
            return self._cough()
        self._ended = True
        self._left_ms = self._words_ms
        return Ruling()

    def heard(self, item_id: str, text: str, *, whole: bool) -> Ruling:
        """Some of the words in a noise are known, or the whole of them."""
        if item_id != self._judged:
            return Ruling()
        if any(character.isalnum() for character in text):
            return self._words()
        return self._cough() if whole else Ruling()

    def elapsed(self, ms: float) -> Ruling:
        """Time passed."""
        if self._judged is None:
            return Ruling()
        self._left_ms -= ms
        if self._left_ms > 0:
            return Ruling()
        return self._cough() if self._ended else self._words()

    def committed(self, item_id: str) -> Ruling:
        """A noise is part of the conversation now."""
        if item_id == self._judged:
            self._committed = True
            return Ruling()
        if item_id in self._coughs:
            self._coughs.discard(item_id)
            return Ruling(delete=item_id)
        return Ruling(answer=True)

    def drop(self) -> None:
        """The model was silenced: nothing that is held will be heard."""
        self._pause.drop()

    def take(self, frame: AudioFrame) -> AudioFrame:
        """Return what is to be heard at the time of `frame`."""
        return self._pause.take(frame)

    def _words(self) -> Ruling:
        self._judged = None
        self._pause.drop()
        return Ruling(interrupt=True, answer=self._committed)

    def _cough(self) -> Ruling:
        item_id, self._judged = self._judged or "", None
        self._pause.end()
        if self._committed:
            return Ruling(delete=item_id)
        self._coughs = {item_id}  # an older one, if there is any, was never committed
        return Ruling()


class PauseBuffer:
    """Holds a voice and goes on at the very sample, late until it is silent.

    One frame goes out for each that comes, at its time.
    """

    def __init__(self) -> None:
        self._held: deque[AudioFrame] = deque()
        self._paused = False
        self._quiet_ms = 0.0
        self._next = 0

    @property
    def late(self) -> bool:
        """Whether anything is held."""
        return bool(self._held)

    def begin(self) -> None:
        """Give silence from now on."""
        self._paused = True

    def end(self) -> None:
        """Go on."""
        self._paused = False

    def drop(self) -> None:
        """Forget what is held, and go on with what comes."""
        self._held.clear()
        self._paused = False

    def take(self, frame: AudioFrame) -> AudioFrame:
        """Return what is to be heard at the time of `frame`."""
        at = max(frame.pts or 0, self._next)
        if self._paused:
            self._held.append(frame)
            given = audio.silence(frame.samples, pts=at, sample_rate=frame.sample_rate)
        elif self._held:
            self._held.append(frame)
            given = self._caught_up()
        else:
            given = frame
        self._next = at + given.samples
        return audio.stamp(given, sample_rate=given.sample_rate, pts=at)

    def _caught_up(self) -> AudioFrame:
        """Return the frame that is due, leaving out silence that lasts."""
        frame = self._held.popleft()
        while audio.peak(audio.pcm(frame)) < audio.AUDIBLE:
            self._quiet_ms += audio.duration_ms(frame)
            if self._quiet_ms <= _LONGEST_SILENCE_MS or not self._held:
                return frame
            frame = self._held.popleft()
        self._quiet_ms = 0.0
        return frame

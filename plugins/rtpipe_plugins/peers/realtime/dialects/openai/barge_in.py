"""Barge-in: after it nothing of the old answer is heard, and all of the next.

Audio and events travel apart. When an answer is interrupted, some of it is still under way, and
it is not marked; news of it may come late, in any order. The next answer's sound may arrive a
little before the event that announces it. So the gate goes by the ids of responses, and where these
say nothing, by the pauses between voices.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from rtpipe import Recent, audio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import AudioFrame

_REMEMBERED = 64  # interrupted responses
_PAUSE_MS = 40.0
"""So much silence lies between two answers and seldom within one."""
_GAP_MS = 500.0
"""A hole that long was made by the server, and not by the audio that we have thrown away."""
_EARLY_MS = 80.0
"""How long a voice before its announcement is kept: as much as a live queue behind us takes."""
_IN_FLIGHT_MS = 160.0
"""How much of the old answer may still come when the next has been announced."""


class _Gate(Enum):
    OPEN = auto()
    SHUT = auto()
    DRAINING = auto()
    """The next answer is announced, and the old one still sounds."""


class BargeIn:
    """Gates the model's frames: each passes once and in order, as it is or silenced.

    Args:
        in_flight: Whether some of an answer may still come after the next has been announced. Not
            so where we play it ourselves: what was thrown away is gone.
    """

    def __init__(self, *, in_flight: bool = True) -> None:
        self._in_flight = in_flight
        self._gate = _Gate.OPEN
        self._stale: Recent[str, None] = Recent(_REMEMBERED)
        self._speaker: str | None = None
        self.announces = False
        """Whether this server says what it plays."""
        self._early: deque[AudioFrame] = deque()
        self._early_ms = 0.0
        self._quiet_ms = 0.0
        self._drained_ms = 0.0
        self._end: int | None = None

    @property
    def open(self) -> bool:
        """Whether what arrives now may be heard."""
        return self._gate is _Gate.OPEN

    def interrupt(self, ids: Iterable[str]) -> None:
        """Let nothing of these responses be heard any more, whatever is said of them later."""
        for id in ids:
            self._stale[id] = None
        self._gate = _Gate.SHUT
        self._speaker = None
        self._forget_voice()

    def interrupted(self, id: str) -> bool:
        """Return whether the response was interrupted."""
        return id in self._stale

    def created(self, id: str) -> None:
        """A response was begun; a server that never says what it plays says no more than this."""
        if not self.announces:
            self._give_to(id)

    def started(self, id: str) -> None:
        """A response is being played."""
        self.announces = True
        self._give_to(id)

    def take(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return what may go on now that `frame` has come; nothing while its voice is unknown."""
        pts = frame.pts or 0
        if self._end is not None and (pts - self._end) * 1000 >= _GAP_MS * frame.sample_rate:
            self._quiet_ms = _PAUSE_MS
            if self._gate is _Gate.DRAINING:
                self._gate = _Gate.OPEN
        self._end = pts + frame.samples
        due = self._opening() if self.open else []
        if self.open:
            return [*due, self._named(frame)]
        return self._muted(frame)

    def _give_to(self, id: str) -> None:
        if id in self._stale:
            return
        self._speaker = id
        if self._gate is not _Gate.SHUT:
            return
        if self._early or self._quiet_ms >= _PAUSE_MS or not self._in_flight:
            self._gate = _Gate.OPEN
        else:
            self._gate = _Gate.DRAINING
            self._drained_ms = 0.0

    def _opening(self) -> list[AudioFrame]:
        """Return the beginning of the voice that came before its announcement."""
        early = [self._named(frame) for frame in self._early]
        if early:
            self._forget_voice()
        return early

    def _muted(self, frame: AudioFrame) -> list[AudioFrame]:
        length_ms = audio.duration_ms(frame)
        audible = audio.peak(audio.pcm(frame)) >= audio.AUDIBLE
        after_pause = self._quiet_ms >= _PAUSE_MS
        self._quiet_ms = 0.0 if audible else self._quiet_ms + length_ms
        if self._gate is _Gate.DRAINING:
            self._drained_ms += length_ms
            if self._quiet_ms >= _PAUSE_MS or self._drained_ms >= _IN_FLIGHT_MS:
                self._gate = _Gate.OPEN
            return [_silenced(frame)]
        if self._early or (audible and after_pause):
            return self._keep(frame, length_ms)
        return [_silenced(frame)]

    def _keep(self, frame: AudioFrame, length_ms: float) -> list[AudioFrame]:
        """Hold a voice that may be the next answer's; give up what is too old, silenced."""
        self._early.append(frame)
        self._early_ms += length_ms
        keep_ms = 0.0 if self._quiet_ms >= _PAUSE_MS else _EARLY_MS
        given_up = []
        while self._early_ms > keep_ms and self._early:
            oldest = self._early.popleft()
            self._early_ms -= audio.duration_ms(oldest)
            given_up.append(_silenced(oldest))
        return given_up

    def _named(self, frame: AudioFrame) -> AudioFrame:
        if self._speaker is not None:
            audio.meta(frame).extra["response_id"] = self._speaker
        return frame

    def _forget_voice(self) -> None:
        self._early.clear()
        self._early_ms = 0.0
        self._quiet_ms = 0.0


def _silenced(frame: AudioFrame) -> AudioFrame:
    quiet = audio.silence_like(frame, frame.samples, pts=frame.pts or 0)
    audio.copy_meta(frame, quiet)
    return quiet

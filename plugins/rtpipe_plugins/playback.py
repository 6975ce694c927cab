"""What waits to be played, and what has been heard."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtpipe import AudioFrame

_PAUSE_S = 0.2
"""Silence between two words is part of the playback; a longer one ends it."""


@dataclass(frozen=True, kw_only=True)
class PlaybackStarted(Event):
    """Something can be heard; `position_s` is its place in the stream."""

    type: str = "playback.started"
    position_s: float


@dataclass(frozen=True, kw_only=True)
class PlaybackStopped(Event):
    """Nothing can be heard any more; `position_s` is how far the stream was heard."""

    type: str = "playback.stopped"
    position_s: float


class PlaybackBuffer:
    """s16 samples, put in by the event loop and taken out by the device's own thread.

    Args:
        channels: How many samples stand beside each other.
        prebuffer: How many sample times must be there before any are given out, at the start and
            whenever it has run dry, so that what then comes late is not heard as a gap. A sound
            that is shorter is given out when the device has waited for as long.
    """

    def __init__(self, channels: int, prebuffer: int) -> None:
        self._channels = channels
        self._width = 2 * channels
        self._prebuffer = prebuffer
        self._lock = threading.Lock()
        self._bytes = bytearray()
        self._gathering = True
        self._waited = 0
        self._no_more = False
        self.taken = 0
        """How many sample times the device has taken since the start."""
        self.gaps = 0
        """How often it ran dry though more was to come."""

    @property
    def held(self) -> int:
        """How many sample times wait."""
        return len(self._bytes) // self._width

    def push(self, data: NDArray[np.int16]) -> None:
        """Append samples, shape (samples, channels)."""
        with self._lock:
            self._bytes += data.tobytes()
            self._no_more = False

    def take(self, count: int) -> bytes:
        """Return the next `count` sample times or as many as there are; in the device's thread."""
        with self._lock:
            if self._gathering and not self._ready(count):
                return b""
            taken = bytes(self._bytes[: count * self._width])
            del self._bytes[: len(taken)]
            self.taken += len(taken) // self._width
            dry = len(taken) < count * self._width
            if dry and not self._gathering and not self._no_more:
                self.gaps += 1
            self._gathering = dry
            return taken

    def _ready(self, count: int) -> bool:
        self._waited = self._waited + count if self._bytes else 0
        return self._no_more or self.held >= self._prebuffer or self._waited >= self._prebuffer

    def end(self) -> None:
        """Say that nothing more comes, so that the rest is played however short it is."""
        with self._lock:
            self._no_more = True

    def flush(self, fade: int) -> int:
        """Drop what waits, but for a fade-out of at most `fade` sample times if it is sounding.

        Returns:
            How many sample times were dropped.
        """
        with self._lock:
            held = self.held
            kept = 0 if self._gathering else min(fade, held)
            samples = np.frombuffer(bytes(self._bytes[: kept * self._width]), np.int16)
            ramp = np.linspace(1.0, 0.0, kept, endpoint=False)[:, None]
            faded = samples.reshape(kept, self._channels) * ramp
            self._bytes = bytearray(np.rint(faded).astype(np.int16).tobytes())
            self._no_more = True
            return held - kept


class Ledger:
    """Knows which part of the stream has been heard, and where sound begins and ends in it.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._pushed = 0
        self._end_pts = 0
        self._audible_from: int | None = None
        self._audible_until = 0
        self._sounding = False

    def pushed(self, frame: AudioFrame, *, audible: bool) -> None:
        """Note that `frame` waits to be played."""
        if audible and self._audible_from is None:
            self._audible_from = self._pushed
        self._pushed += frame.samples
        self._end_pts = (frame.pts or 0) + frame.samples
        if audible:
            self._audible_until = self._pushed

    def cut(self, dropped: int) -> None:
        """Note that the last `dropped` sample times will not be played."""
        self._pushed -= dropped
        self._end_pts -= dropped
        self._audible_until = min(self._audible_until, self._pushed)
        if not self._sounding and self._audible_from is not None:
            self._audible_from = None if self._audible_from >= self._pushed else self._audible_from

    def played(self, taken: int) -> Iterator[Event]:
        """Yield what begins or ends now that the device has taken `taken` sample times in all."""
        if not self._sounding and self._audible_from is not None and taken > self._audible_from:
            self._sounding = True
            yield PlaybackStarted(position_s=self._position_s(self._audible_from))
        pause = round(_PAUSE_S * self._rate) if taken < self._pushed else 0
        if self._sounding and taken >= self._audible_until + pause:
            yield from self.ended()

    def ended(self) -> Iterator[Event]:
        """Yield the end of the sound, if there is one."""
        if self._sounding:
            self._sounding = False
            self._audible_from = None
            yield PlaybackStopped(position_s=self._position_s(self._audible_until))

    def _position_s(self, index: int) -> float:
        return round((self._end_pts - (self._pushed - index)) / self._rate, 3)

"""Playback buffer and position: what waits to be played, and what has been heard."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import Event, audio

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

_PAUSE_S = 0.2
"""Silence between two words is part of the playback; a longer one ends it."""


@dataclass(frozen=True, kw_only=True)
class PlaybackStarted(Event):
    """Something can be heard; `position_s` is its place in the stream.

    `response_id` names the model's response it belongs to, where it is one's. `heard_at` is the
    pipeline second at which its first sample leaves the device, which may be a little later.
    """

    type: str = "playback.started"
    position_s: float
    response_id: str | None = None
    heard_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class PlaybackStopped(Event):
    """Nothing can be heard any more; `position_s` is how far the stream was heard.

    `played_ms` is how much of the response `response_id` has been heard, from its first sound.
    """

    type: str = "playback.stopped"
    position_s: float
    played_ms: float = 0.0
    response_id: str | None = None


PLAYBACK_EVENTS = (PlaybackStarted, PlaybackStopped)
"""What a `PlaybackLog` yields."""


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

    @property
    def flowing(self) -> bool:
        """Whether the device is being fed, and not waiting for enough to begin with."""
        return not self._gathering

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

    def follow(self, before: PlaybackBuffer) -> None:
        """Go on where another device's buffer was: with what waits there, and its counts."""
        import numpy as np

        with before._lock, self._lock:
            waits = np.frombuffer(bytes(before._bytes), np.int16).reshape(-1, before._channels)
            before._bytes = bytearray()
            self._bytes = bytearray(fitted(waits, self._channels).tobytes())
            self._gathering, self._no_more = before._gathering, before._no_more
            self._waited = before._waited
            self.taken, self.gaps = before.taken, before.gaps

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
        import numpy as np

        with self._lock:
            held = self.held
            kept = 0 if self._gathering else min(fade, held)
            samples = np.frombuffer(bytes(self._bytes[: kept * self._width]), np.int16)
            ramp = np.linspace(1.0, 0.0, kept, endpoint=False)[:, None]
            faded = samples.reshape(kept, self._channels) * ramp
            self._bytes = bytearray(np.rint(faded).astype(np.int16).tobytes())
            self._no_more = True
            return held - kept


class PlaybackLog:
    """Knows which part of the stream has been heard, of which response, and where sounds end.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._pause = round(_PAUSE_S * sample_rate)
        self._pushed = 0
        self._sounds: deque[_Sound] = deque()
        self._sounding = False
        self._response: tuple[str | None, float] = (None, 0.0)

    def pushed(self, frame: AudioFrame, count: int, *, audible: bool) -> None:
        """Note that `frame` waits to be played, as `count` samples."""
        begin, self._pushed = self._pushed, self._pushed + count
        if not audible:
            return
        response_id = audio.meta(frame).extra.get("response_id")
        pts = frame.pts or 0
        last = self._sounds[-1] if self._sounds else None
        if last is None or last.response_id != response_id or begin - last.end > self._pause:
            last = _Sound(begin, pts, begin, pts, response_id)
            self._sounds.append(last)
        last.end, last.end_pts = self._pushed, pts + frame.samples

    def cut(self, dropped: int) -> None:
        """Note that the last `dropped` sample times will not be played."""
        self._pushed -= dropped
        while self._sounds and self._sounds[-1].begin >= self._pushed:
            self._sounds.pop()
            self._sounding = self._sounding and bool(self._sounds)
        if self._sounds:
            self._sounds[-1].stop_at(self._pushed)

    def played(self, taken: int, heard_at: float | None = None) -> Iterator[Event]:
        """Yield what begins or ends now that the device has taken `taken` sample times in all.

        Args:
            taken: Sample times.
            heard_at: The pipeline second at which the last of them has left the device.
        """
        while self._sounds and taken > self._sounds[0].begin:
            sound = self._sounds[0]
            if not self._sounding:
                self._sounding = True
                behind_s = (taken - sound.begin) / self._rate
                yield self._started(sound, None if heard_at is None else heard_at - behind_s)
            follows = len(self._sounds) > 1 and taken > self._sounds[1].begin
            pause = self._pause if taken < self._pushed and not follows else 0
            if taken < sound.end + pause:
                return
            yield from self.ended(taken)

    def ended(self, taken: int) -> Iterator[Event]:
        """Yield the end of the sound, if there is one, heard no further than to `taken`."""
        if self._sounding:
            self._sounding = False
            sound = self._sounds.popleft()
            sound.stop_at(taken)
            since_s = self._response[1]
            yield PlaybackStopped(
                position_s=self._seconds(sound.end_pts),
                played_ms=round((sound.end_pts / self._rate - since_s) * 1000, 1),
                response_id=sound.response_id,
            )

    def _started(self, sound: _Sound, heard_at: float | None) -> PlaybackStarted:
        if sound.response_id is None or sound.response_id != self._response[0]:
            self._response = (sound.response_id, sound.pts / self._rate)
        return PlaybackStarted(
            position_s=self._seconds(sound.pts),
            response_id=sound.response_id,
            heard_at=None if heard_at is None else round(heard_at, 4),
        )

    def _seconds(self, pts: int) -> float:
        return round(pts / self._rate, 3)


@dataclass(slots=True)
class _Sound:
    """A stretch that somebody may hear, in sample times since the start and in the stream's pts."""

    begin: int
    pts: int
    end: int
    end_pts: int
    response_id: str | None

    def stop_at(self, index: int) -> None:
        """Let it end no later than at `index`."""
        if index < self.end:
            self.end_pts -= self.end - index
            self.end = index


def fitted(data: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """Return the samples with as many channels as the device has.

    Not by a converter: FFmpeg makes a mono voice 3 dB quieter when it becomes stereo.
    """
    import numpy as np

    if data.shape[1] == channels:
        return data
    if data.shape[1] > 1:
        data = np.rint(data.mean(axis=1, keepdims=True)).astype(np.int16)
    return np.repeat(data, channels, axis=1)

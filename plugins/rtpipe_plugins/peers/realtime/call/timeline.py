"""One stream out of the audio of several calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe import AudioFrame, Clock, Send


class Timeline:
    """Sends on the frames of successive calls, whose pts each begin at 0, as one stream.

    Each call's frames stand where the clock stood when it began: the time between two calls is a
    hole of the right length, so that what is recorded stays in step with the other voice.

    Args:
        clock: The pipeline's time; the stream begins with the splice.
        send: Takes the stream.
    """

    def __init__(self, clock: Clock, send: Send) -> None:
        self._clock = clock
        self._send = send
        self._began_at = clock.now()
        self._shift_s = 0.0
        self._next = 0

    def begin(self) -> None:
        """Say that the next frame is the first of another call."""
        self._shift_s = self._clock.now() - self._began_at

    async def send(self, frame: AudioFrame) -> None:
        """Send `frame` on at its place in the whole; none before the end of the one before it."""
        pts = (frame.pts or 0) + round(self._shift_s * frame.sample_rate)
        frame.pts = max(pts, self._next)
        self._next = frame.pts + frame.samples
        await self._send(frame)

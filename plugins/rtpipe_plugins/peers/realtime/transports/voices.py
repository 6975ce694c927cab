"""Audio at the edge of a call, however it travels: the visitor's voice and the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import Link, LinkClosed, QueuePolicy, WhenFull, audio

if TYPE_CHECKING:
    from logging import Logger

    from rtpipe import AudioFrame
    from rtpipe_plugins.peers.realtime.transports.transport import Inlet
    from rtpipe_webrtc.pace import Pace

AUDIBLE_OUT = 100
"""Of 32767: -50 dBFS, below which no voice detector listens."""
_RECEIVED = QueuePolicy(max_ms=1000.0, when_full=WhenFull.DROP_OLDEST, trim=False)


class VisitorVoice:
    """What is taken from the inlet, whenever it is time; see `Outgoing`.

    Args:
        clock: The pipeline's time.
    """

    def __init__(self, clock: Pace) -> None:
        self._clock = clock
        self._inlet: Inlet | None = None
        self.inlet_ended = False
        """See `Outgoing.inlet_ended`."""
        self.audible_at = clock.now()
        """See `Outgoing.audible_at`."""

    @property
    def attached(self) -> bool:
        """Whether a call has been given a visitor to hear."""
        return self._inlet is not None

    def attach(self, inlet: Inlet) -> None:
        """See `Outgoing.attach`."""
        self._inlet = inlet

    def _pull(self) -> AudioFrame | None:
        """Return the next frame; None where nothing waits."""
        if self._inlet is None or self.inlet_ended:
            return None
        try:
            frame = self._inlet.get_nowait()
        except LinkClosed:
            self.inlet_ended = True
            return None
        if frame is not None and audio.reaches(audio.pcm(frame), AUDIBLE_OUT):
            self.audible_at = self._clock.now()
        return frame


class ModelVoice:
    """What has come of the model's and waits to be taken: a second at the most; see `Incoming`.

    Older audio is dropped, which is logged once.

    Args:
        clock: The pipeline's time.
        log: The stage's.
    """

    def __init__(self, clock: Pace, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self.received = Link("call -> realtime", _RECEIVED, on_drop=self._dropped)
        """See `Incoming.received`."""
        self.audible_at = clock.now()
        """See `Incoming.audible_at`."""

    def _hand_out(self, frame: AudioFrame, due: float = 0.0) -> None:
        """Give a frame to whoever reads, who is to play it not before second `due`."""
        now = self._clock.now()
        audio.meta(frame).captured_at = max(now, due)
        if audio.reaches(audio.pcm(frame), audio.AUDIBLE):
            self.audible_at = now
        self.received.offer(frame)

    def _dropped(self, _: float) -> None:
        if self.received.statistics.frames_dropped == 1:
            self._log.warning(
                "what follows the call is too slow: the model's audio is being dropped"
            )

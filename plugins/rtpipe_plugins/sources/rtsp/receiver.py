"""A thread that keeps a stream from the network coming: it connects, decodes and reconnects."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

import av
from av.error import FFmpegError

from rtpipe import AudioFormat, AudioFrame, Backoff, Converter, RtpipeError, StageError
from rtpipe_plugins.media.decoding import decoded, layout_of, pick_stream
from rtpipe_plugins.network.addresses import problem, shown, unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.container import InputContainer

_RATE = 48_000
_AHEAD_S = 0.06
"""How much sooner than it plays a recording is handed on."""


class StreamObserver(Protocol):
    """What is told of a stream; every call comes from the receiver's thread."""

    def connected(self, layout: str) -> None:
        """Audio begins, in a layout."""

    def received(self, frames: list[AudioFrame]) -> None:
        """Audio has come: s16, 48 kHz, 20 ms frames."""

    def lost(self, reason: str, retry_s: float) -> None:
        """The stream broke off; the next attempt comes in `retry_s`."""

    def ended(self, error: RtpipeError | None) -> None:
        """Nothing more will come: a recording has ended, or the first attempt failed."""


class Receiver(threading.Thread):
    """Receives the audio of `url` until it is stopped.

    The first attempt decides: if it fails, that is the end. Afterwards, every failure and every
    end of the stream leads to another attempt.

    Args:
        url: Anything FFmpeg reads.
        stream: Which of its audio streams.
        options: FFmpeg's.
        timeout_s: How long it may take to connect, and be silent afterwards (s).
        backoff: The pauses between attempts.
        listener: Is told what happens.
    """

    def __init__(
        self,
        *,
        url: str,
        stream: int,
        options: Mapping[str, str],
        timeout_s: float,
        backoff: Backoff,
        listener: StreamObserver,
    ) -> None:
        super().__init__(name=f"receiver of {shown(url)}", daemon=True)
        self._url = url
        self._stream = stream
        self._options = dict(options)
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._listener = listener
        self._stopped = threading.Event()
        self._target: AudioFormat | None = None

    def stop(self) -> None:
        """Ask the thread to end; it does within `timeout_s`."""
        self._stopped.set()

    def run(self) -> None:
        """Receive."""
        failures = 0
        while not self._stopped.is_set():
            try:
                with closing(self._opened()) as container:
                    failures = 0
                    self._receive(container)
                    if _is_recording(container):
                        self._listener.ended(None)
                        return
                reason = "the stream ended"
            except RtpipeError as error:
                if self._target is None:
                    self._listener.ended(error)
                    return
                reason = error.message
            if self._stopped.is_set():
                return
            pause_s = self._backoff.pause_s(failures)
            failures += 1
            self._listener.lost(reason, pause_s)
            self._stopped.wait(pause_s)

    def _opened(self) -> InputContainer:
        try:
            return av.open(
                self._url, options=self._options, timeout=(self._timeout_s, self._timeout_s)
            )
        except (FFmpegError, OSError, ValueError) as error:
            raise unreachable(self._url, error, self._timeout_s) from None

    def _receive(self, container: InputContainer) -> None:
        stream = pick_stream(container, self._stream, shown(self._url))
        if self._target is None:
            layout = "mono" if layout_of(stream) == "mono" else "stereo"
            self._target = AudioFormat(_RATE, layout, "s16")
            self._listener.connected(layout)
        converter = Converter(self._target, frame_ms=20)
        recording = _is_recording(container)
        began = time.monotonic()
        try:
            for frame in decoded(container, stream):
                if recording:
                    ahead_s = float(frame.time or 0.0) - (time.monotonic() - began)
                    self._stopped.wait(max(ahead_s - _AHEAD_S, 0.0))
                if self._stopped.is_set():
                    return
                self._listener.received(converter.process(frame))
        except (FFmpegError, OSError) as error:
            reason = problem(error, self._timeout_s)
            raise StageError(f"{shown(self._url)}: {reason}") from None


def _is_recording(container: InputContainer) -> bool:
    """Return whether a server hands out a file: it comes at once, and its end is the end."""
    return bool(container.duration) and not container.format.name.startswith("rtsp")

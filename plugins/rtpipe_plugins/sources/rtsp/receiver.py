"""A thread that keeps a stream from the network coming: it connects, decodes and reconnects."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from av.error import FFmpegError, HTTPOtherClientError, HTTPServerError

from rtpipe import AudioFormat, AudioFrame, Backoff, Converter, RtpipeError, StageError
from rtpipe_plugins.media.damage import Damage
from rtpipe_plugins.media.decoding import decoded, layout_of, open_media, pick_stream
from rtpipe_plugins.network.addresses import problem, shown, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from rtpipe_plugins.media.damage import MediaDamaged

_RATE = 48_000
_CAMERAS = ("rtsp:", "rtsps:")
_BEGINNING = 3
"""Time-outs until a camera answers, and until its first audio: both may take it seconds."""
_AUDIO_ONLY = {"allowed_media_types": "audio", "max_ts_probe": "0"}
"""Pictures are not asked for: FFmpeg would study them for seconds before it hands on audio, and as
long as they come, no time-out would notice that audio does not. Nor is its first packet awaited."""
_REFUSAL_S = 0.3
"""A camera may be busy for a moment with what it has just refused."""
_AHEAD_S = 0.06
"""How much sooner than it plays a recording is handed on."""
_LONGEST_WAIT_S = 10.0
"""What the holes of a recording may add up to, beside its audio: they are waited for."""
_TELLING_S = 60.0
"""Damage that goes on is told once in this time."""


class StreamObserver(Protocol):
    """What is told of a stream; every call comes from the receiver's thread."""

    def connected(self, layout: str) -> None:
        """Audio begins, in a layout."""

    def received(self, frames: list[AudioFrame]) -> None:
        """Audio has come: s16, 48 kHz, 20 ms frames."""

    def waiting(self, silent_s: float) -> None:
        """It is connected, and no audio has come for (another) `silent_s`."""

    def damaged(self, damage: MediaDamaged) -> None:
        """Something of what came was damaged, and is played around."""

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
        timeout_s: How long it may take to connect, and be silent afterwards (s); a camera has three
            times as long to answer, and to begin.
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
        self._camera = url.lower().startswith(_CAMERAS)
        self._patience = _BEGINNING if self._camera else 1
        self._backoff = backoff
        self._listener = listener
        self._stopped = threading.Event()
        self._target: AudioFormat | None = None
        self._damage = Damage()
        self._tell_at = 0.0

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
        begin_s = self._patience * self._timeout_s
        began = time.monotonic()

        def opened(options: dict[str, str]) -> InputContainer:
            timeout = (begin_s, self._timeout_s)
            return open_media(self._url, options=options, timeout=timeout)

        try:
            if not self._camera:
                return opened(self._options)
            try:
                return opened(_AUDIO_ONLY | self._options)
            except (HTTPOtherClientError, HTTPServerError):
                self._stopped.wait(_REFUSAL_S)
                return opened(self._options)  # no audio, so that nothing was asked for?
        except (FFmpegError, OSError, ValueError) as error:
            # An answer that does not come is invalid data to FFmpeg.
            late = time.monotonic() - began >= begin_s
            raise unreachable(self._url, TimeoutError() if late else error, begin_s) from None

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
            for frame in self._decoded(container, stream):
                if time.monotonic() >= self._tell_at:
                    self._tell_damage()
                if recording:
                    ahead_s = float(frame.time or 0.0) - (time.monotonic() - began)
                    self._stopped.wait(max(ahead_s - _AHEAD_S, 0.0))
                if self._stopped.is_set():
                    return
                self._listener.received(converter.process(frame))
        except (FFmpegError, OSError) as error:
            reason = problem(error, self._timeout_s)
            raise StageError(f"{shown(self._url)}: {reason}") from None
        finally:
            self._tell_damage()

    def _tell_damage(self) -> None:
        damage = self._damage.news()
        if damage is not None:
            self._listener.damaged(damage)
            self._tell_at = time.monotonic() + _TELLING_S

    def _decoded(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        """Decode; that no audio comes is an error only once some has come, or it is late."""
        patience = self._patience
        since = time.monotonic()
        while True:
            try:
                for frame in decoded(
                    container, stream, damage=self._damage, longest_holes_s=_LONGEST_WAIT_S
                ):
                    patience = 0
                    yield frame
                    since = time.monotonic()
            except (FFmpegError, OSError) as error:
                if time.monotonic() - since < self._timeout_s:
                    raise
                patience -= 1
                if patience <= 0 or self._stopped.is_set():
                    raise TimeoutError from error  # FFmpeg may call it an input/output error
                since = time.monotonic()
                self._listener.waiting(self._timeout_s)
            else:
                return


def _is_recording(container: InputContainer) -> bool:
    """Return whether a server hands out a file: it comes at once, and its end is the end."""
    return bool(container.duration) and not container.format.name.startswith("rtsp")

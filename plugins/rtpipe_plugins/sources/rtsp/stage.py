"""`rtsp` and `url`: the sound of a camera, a radio station, of anything that FFmpeg receives."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field

from rtpipe import (
    Backoff,
    Event,
    Importance,
    Options,
    RtpipeError,
    Source,
    Specimen,
    StageContext,
    audio,
)
from rtpipe_plugins.media.damage import MediaDamaged
from rtpipe_plugins.network.addresses import AddressOptions
from rtpipe_plugins.sources.rtsp.arrivals import ArrivalBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from rtpipe import AudioFrame
    from rtpipe_plugins.sources.rtsp.receiver import Receiver

_FRAME_S = 0.02
_FRAME = 960
_MARGIN = 3
_LIMIT = 50
"""Frames: a second. What a server sends at the start, from before we listened, is not live."""

_PATIENCE_S = 1.0
_TELLING_S = 1.0
"""Losses that go on are told once in this time."""


@dataclass(frozen=True, kw_only=True)
class StreamDisconnected(Event):
    """The stream broke off; another attempt is made in `retry_s`."""

    importance = Importance.WARNING
    type: str = "stream.disconnected"
    reason: str
    retry_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.reason}; trying again in {self.retry_s:g} s"


@dataclass(frozen=True, kw_only=True)
class StreamWaiting(Event):
    """The camera is connected, but for `silent_s` its audio has not begun."""

    importance = Importance.WARNING
    type: str = "stream.waiting"
    silent_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"connected, but no audio has come for {self.silent_s:g} s"


@dataclass(frozen=True, kw_only=True)
class StreamConnected(Event):
    """Audio comes (again)."""

    importance = Importance.WARNING
    type: str = "stream.connected"

    def line(self) -> str:
        """See `Event.line`."""
        return "audio comes again"


@dataclass(frozen=True, kw_only=True)
class StreamTrimmed(Event):
    """Audio that came late, all at once, was left out: what follows is fresh again.

    `total_ms` counts since the start. Told of the first at once, then at most once a second. What a
    server sends of the time before it was listened to is left out so, too.
    """

    importance = Importance.INFO
    type: str = "stream.trimmed"
    trimmed_ms: float
    total_ms: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"left out {self.trimmed_ms:.0f} ms of late audio, {self.total_ms:.0f} ms in all"


class Reconnect(Options):
    """How to come back after the stream broke off."""

    initial_s: float = Field(default=1.0, gt=0)
    """Before the first attempt (s); each further one waits twice as long."""
    max_s: float = Field(default=30.0, gt=0)
    """The longest pause (s)."""


class UrlOptions(AddressOptions):
    """A stream from the network."""

    main: ClassVar[str | None] = "url"

    timeout_s: float = Field(5.0, gt=0)
    """How long it may take to connect, and how long without audio is a failure (s); a camera may
    take three times as long to answer, and then to begin with its audio."""
    reconnect: Reconnect = Field(default_factory=Reconnect)
    """Pauses between attempts."""
    stream: int = Field(0, ge=0)
    """Which of its audio streams, from 0."""
    fill: Literal["silence", "none"] = "silence"
    """What comes out while nothing comes in."""
    options: dict[str, str] = Field(default_factory=dict)
    """FFmpeg's own options."""


class RtspOptions(UrlOptions):
    """A camera."""

    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """udp loses packets where tcp waits for them."""


U = TypeVar("U", bound=UrlOptions)


class LiveStream(Source[U]):
    """What `rtsp` and `url` share: a stream that is received in a thread and comes out evenly."""

    publishes = (StreamConnected, StreamDisconnected, StreamWaiting, StreamTrimmed, MediaDamaged)

    @classmethod
    def has_clock(cls, options: U) -> bool:  # noqa: ARG003 - the same for all options
        """Return True."""
        return True

    def ffmpeg_options(self) -> dict[str, str]:
        """Return the options to open it with."""
        return self.options.options

    def __init__(self, options: U, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._receiver: Receiver | None = None
        self._buffer = ArrivalBuffer(margin=_MARGIN, limit=_LIMIT)
        self._loop = asyncio.get_running_loop()
        self._layout: asyncio.Future[str] = self._loop.create_future()
        self._ended = False
        self._broken = False
        self._told_trimmed = 0
        self._silent_until = 0.0

    async def open(self) -> None:
        """Connect.

        Raises:
            EnvironmentProblem: It cannot be reached, or refuses.
            StageError: It carries no such audio.
        """
        from rtpipe_plugins.sources.rtsp.receiver import Receiver

        options = self.options
        self._receiver = Receiver(
            url=options.address,
            stream=options.stream,
            options=self.ffmpeg_options(),
            timeout_s=options.timeout_s,
            backoff=Backoff(options.reconnect.initial_s, options.reconnect.max_s, jitter=0.0),
            listener=self,
        )
        self._receiver.start()
        await self._layout

    async def close(self) -> None:
        """End the receiving thread; if the network holds it, it ends by itself in `timeout_s`."""
        if self._receiver is not None:
            self._receiver.stop()
            await asyncio.to_thread(self._receiver.join, _PATIENCE_S)
        self._layout.cancel()
        self._tell_trimmed()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the stream in 20 ms frames, one each 20 ms."""
        layout = await self._layout
        clock = self.ctx.clock
        began_at = clock.next_tick(_FRAME_S)
        for number in count():
            due_at = began_at + number * _FRAME_S
            await clock.sleep_until(due_at)
            frame = self._buffer.pull()
            if self._buffer.dropped > self._told_trimmed and due_at >= self._silent_until:
                self._silent_until = due_at + _TELLING_S
                self._tell_trimmed()
            if frame is None:
                if self._ended:
                    return
                if self.options.fill == "none":
                    continue
                frame = audio.silence(_FRAME, pts=0, layout=layout)
            frame.pts = number * _FRAME
            audio.meta(frame).captured_at = due_at
            yield frame

    def _tell_trimmed(self) -> None:
        trimmed, self._told_trimmed = (
            self._buffer.dropped - self._told_trimmed,
            self._buffer.dropped,
        )
        if trimmed:
            self.ctx.publish(
                StreamTrimmed(
                    trimmed_ms=trimmed * _FRAME_S * 1000,
                    total_ms=self._told_trimmed * _FRAME_S * 1000,
                )
            )

    # -- told by the receiver, in its thread -------------------------------------------------------

    def connected(self, layout: str) -> None:
        """See `StreamObserver`."""
        self._tell(self._begin, layout)

    def received(self, frames: list[AudioFrame]) -> None:
        """See `StreamObserver`."""
        self._tell(self._take, frames)

    def waiting(self, silent_s: float) -> None:
        """See `StreamObserver`."""
        self._tell(self._wait, silent_s)

    def damaged(self, damage: MediaDamaged) -> None:
        """See `StreamObserver`."""
        self._tell(self.ctx.publish, damage)

    def lost(self, reason: str, retry_s: float) -> None:
        """See `StreamObserver`."""
        self._tell(self._lose, reason, retry_s)

    def ended(self, error: RtpipeError | None) -> None:
        """See `StreamObserver`."""
        self._tell(self._end, error)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        """Have the loop do something, unless it is closed: then there is nobody to tell."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *args)

    # -- in the loop's thread ----------------------------------------------------------------------

    def _begin(self, layout: str) -> None:
        if not self._layout.done():
            self._layout.set_result(layout)

    def _take(self, frames: list[AudioFrame]) -> None:
        if self._broken:
            self._broken = False
            self.ctx.publish(StreamConnected())
        self._buffer.push(frames)

    def _wait(self, silent_s: float) -> None:
        self._broken = True
        self.ctx.publish(StreamWaiting(silent_s=silent_s))

    def _lose(self, reason: str, retry_s: float) -> None:
        self._broken = True
        self.ctx.publish(StreamDisconnected(reason=reason, retry_s=retry_s))

    def _end(self, error: RtpipeError | None) -> None:
        self._ended = True
        if error is not None and not self._layout.done():
            self._layout.set_exception(error)


class Rtsp(LiveStream[RtspOptions]):
    """The sound of a camera; it reconnects by itself.

    - rtsp: {url: "rtsp://192.0.2.7/stream1", user: viewer, password: "${env:CAMERA_PASSWORD:-}"}
    """

    kind = "rtsp"
    external = True

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a camera that is switched off: it is waited for."""
        yield Specimen({"url": "rtsp://127.0.0.1:9/camera"}, real_time=True)

    def ffmpeg_options(self) -> dict[str, str]:
        """Return the options to open it with."""
        return {"rtsp_transport": self.options.rtsp_transport} | self.options.options


class Url(LiveStream[UrlOptions]):
    """Anything live that FFmpeg receives: a radio station, a transport stream, HLS.

    - url: https://radio.example/live.mp3
    """

    kind = "url"
    external = True

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a recording at a web server, which is played again and again."""
        import threading
        from functools import partial
        from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

        from rtpipe.testing import speech_like, write_wav

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing on stderr."""

        write_wav(folder / "voice.wav", speech_like(seconds=2))
        handler = partial(Quiet, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            serving = threading.Thread(target=server.serve_forever, args=(0.01,))
            serving.start()
            try:
                yield Specimen(
                    {"url": f"http://127.0.0.1:{server.server_port}/voice.wav"}, real_time=True
                )
            finally:
                server.shutdown()
                serving.join()

"""`stream`: audio to a server or a listener on the network, by FFmpeg's muxers."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rtpipe import AudioFormat, Ineffective, QueuePolicy, Sink, Specimen, StageContext, StageError
from rtpipe_plugins.child.process import ChildProcess
from rtpipe_plugins.network.addresses import Address, AddressOptions, problem, shown, unreachable
from rtpipe_plugins.sound.pacing import Pacer
from rtpipe_plugins.sound.time_stamps import TimestampsRebased

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe import AudioFrame

_UPLOADER = str(Path(__file__).with_name("uploader.py"))
_FORMATS = {
    "rtsp": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "icecast": "ogg",
    "rtp": "rtp",
    "udp": "mpegts",
    "tcp": "mpegts",
    "srt": "mpegts",
}
_CODECS = {"ogg": "opus", "rtp": "opus", "mp3": "mp3"}
_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}
_RATES = {"pcmu": 8000, "pcma": 8000, "g722": 16_000}
_FIXED_BITRATE = {*_RATES, "pcm_mulaw", "pcm_alaw"}
_CONTENT_TYPES = {"ogg": "application/ogg", "mp3": "audio/mpeg", "adts": "audio/aac"}


class StreamOptions(AddressOptions):
    """Where audio goes to, and as what."""

    main: ClassVar[str | None] = "url"

    url: Address
    """icecast://host:port/mount, rtsp://, rtmp://, rtmps://, rtp://, udp://, tcp:// or srt://; user
    and password may stand in it, %-encoded, and are never shown."""
    format: str | None = None
    """FFmpeg's name of the container, where the scheme's usual one is not wanted: `mp3` for an
    Icecast server."""
    codec: str | None = None
    """opus, aac, mp3, pcmu, pcma, g722 or any encoder of FFmpeg; by default what suits the
    container."""
    bitrate: int = Field(96_000, ge=6000, le=512_000)
    """Bits a second, for codecs that can choose."""
    sample_rate: int | None = Field(None, ge=8000, le=192_000)
    """Hz; by default 48000, or what the codec demands."""
    layout: Literal["mono", "stereo"] = "mono"
    """Channels."""
    timeout_s: float = Field(5.0, gt=0)
    """How long the network may take for anything (s)."""
    options: dict[str, str] = Field(default_factory=dict)
    """FFmpeg's own options, of the container or of the protocol."""

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        import av

        if self.container not in av.formats_available:
            known = ", ".join(f"{scheme}://" for scheme in _FORMATS)
            raise ValueError(f"name one of {known} or one of FFmpeg's containers as `format`")
        try:
            av.Codec(self.encoder, "w")
        except ValueError:
            raise ValueError(f"FFmpeg has no encoder {self.encoder}: opus, aac, mp3?") from None
        return self

    @property
    def scheme(self) -> str:
        """How the address begins."""
        return self.url.partition("://")[0].lower()

    @property
    def container(self) -> str:
        """FFmpeg's name of the container."""
        return self.format or _FORMATS.get(self.scheme, "")

    @property
    def codec_name(self) -> str:
        """The codec, by its usual name."""
        return self.codec or _CODECS.get(self.container, "aac")

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder."""
        return _ENCODERS.get(self.codec_name, self.codec_name)

    @property
    def rate(self) -> int:
        """Hz."""
        return self.sample_rate or _RATES.get(self.codec_name, 48_000)

    def ffmpeg_options(self) -> dict[str, str]:
        """Return the options of container and protocol."""
        timeout_us = str(round(self.timeout_s * 1e6))
        ours = {"flush_packets": "1"}
        if self.container == "rtsp":
            ours |= {"rtsp_transport": "tcp", "timeout": timeout_us}
        else:
            ours |= {"rw_timeout": timeout_us}
        if self.container == "ogg":
            ours |= {"page_duration": "200000"}  # µs; a page is sent when it is full
        if self.scheme == "icecast" and self.container in _CONTENT_TYPES:
            ours |= {"content_type": _CONTENT_TYPES[self.container]}
        return ours | self.options


class Stream(Sink[StreamOptions]):
    """Sends what it gets to a server, at real-time speed; a hole in the stream becomes silence.

    It connects when it opens. A connection that breaks off later is an error: `on_error: restart`
    connects again.

    - stream:
        url: "icecast://source:${env:ICECAST_PASSWORD:-}@radio.example:8000/desk"
        format: mp3
    """

    kind = "stream"
    external = True
    publishes = (TimestampsRebased,)
    # A network that hesitates for a moment must not cost audio, and nobody waits for the answer.
    inlet_policy = QueuePolicy(max_ms=1000)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a server that is not there."""
        yield Specimen({"url": "rtsp://127.0.0.1:9/desk"}, real_time=True)

    @classmethod
    def has_clock(cls, options: StreamOptions) -> bool:  # noqa: ARG003 - the same for all options
        """Return True: servers and listeners want it as fast as it plays."""
        return True

    @classmethod
    def accepts_for(cls, options: StreamOptions) -> AudioFormat:
        """Return s16, in the rate and layout that are sent."""
        return AudioFormat(options.rate, options.layout, "s16")

    @classmethod
    def examine(cls, options: StreamOptions) -> Iterator[Ineffective]:
        """Look for what the codec does not use."""
        if options.codec_name in _FIXED_BITRATE:
            message = f"{options.codec_name} has one bit rate, whatever `bitrate` says"
            yield Ineffective("bitrate", message, ("codec", "format", "url"))

    def __init__(self, options: StreamOptions, ctx: StageContext) -> None:
        from rtpipe_plugins.sound.holes import GapFiller

        super().__init__(options, ctx)
        self._uploader = ChildProcess([sys.executable, "-P", _UPLOADER], read=ctx.env_names)
        self._pacer = Pacer(ctx)
        self._holes = GapFiller(ctx)
        self._sent = 0

    async def open(self) -> None:
        """Connect.

        Raises:
            EnvironmentProblem: The server cannot be reached, or refuses.
        """
        options = self.options
        upload = {
            "url": options.address,
            "container": options.container,
            "options": options.ffmpeg_options(),
            "encoder": options.encoder,
            "bitrate": options.bitrate,
            "rate": options.rate,
            "layout": options.layout,
        }
        await self._uploader.start(reads=True, writes=True)
        with suppress(ConnectionError):  # it says why it ended
            await self._uploader.write(f"{json.dumps(upload)}\n".encode())
        error = await self._failure()
        if error is not None:
            raise unreachable(options.url, error, options.timeout_s)

    async def consume(self, frame: AudioFrame) -> None:
        """Send `frame`, when its time has come.

        Raises:
            StageError: The connection broke off.
        """
        try:
            for data in self._holes.filled(frame):
                await self._pacer.reach(self._sent / frame.sample_rate)
                await self._uploader.write(data.tobytes())
                self._sent += len(data)
        except ConnectionError as gone:
            raise self._broken_off(await self._failure() or gone) from None

    async def drain(self) -> None:
        """Send what the encoder holds and say goodbye.

        Raises:
            StageError: The connection broke off.
        """
        await self._uploader.end_of_input()
        error = await self._failure()
        if error is not None:
            raise self._broken_off(error)

    async def close(self) -> None:
        """Hang up."""
        await self._uploader.close()

    async def _failure(self) -> Exception | None:
        """Return what the uploader says: None, or what FFmpeg ran into."""
        from av.error import FFmpegError, err_check

        line = await self._uploader.read_line()
        if not line:
            await self._uploader.succeeded()
            return None
        try:
            err_check(-(json.loads(line) or 0))
        except FFmpegError as error:
            return error
        return None

    def _broken_off(self, error: Exception) -> StageError:
        reason = problem(error, self.options.timeout_s)
        return StageError(f"the connection to {shown(self.options.url)} broke off: {reason}")

"""`file`: the audio of any file that FFmpeg reads."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from rtpipe import (
    Event,
    ExitCode,
    Importance,
    InputPath,
    Options,
    Source,
    Specimen,
    StageContext,
    StageError,
    audio,
    reason_of,
)
from rtpipe.examination import Finding, missing_file
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.locks import lock_to_read
from rtpipe_plugins.media.damage import Damage, MediaDamaged
from rtpipe_plugins.sound.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from rtpipe import AudioFrame

_HEADERLESS = re.compile(r"alaw|mulaw|[su]8|(s16|s24|s32|f32|f64)[bl]e")
"""FFmpeg's names of samples without anything around them."""
_CHUNK_MS = 1000
_CHUNK_FRAMES = 5
"""At least as much is decoded in one go in the thread: going there and back costs as much as the
samples of a second. A FIFO gives what there is: its writer may be in no hurry."""


@dataclass(frozen=True, kw_only=True)
class FileStartBehindEnd(Event):
    """There is nothing to play: `start_s` lies behind the end of the file; `length_s`, if known."""

    importance = Importance.WARNING
    type: str = "file.start_behind_end"
    path: str
    start_s: float
    length_s: float | None

    def line(self) -> str:
        """See `Event.line`."""
        length = "" if self.length_s is None else f", at {self.length_s:.1f} s"
        return f"nothing to play: start_s {self.start_s:g} is behind the end of {self.path}{length}"


class FileOptions(Options):
    """A file to play."""

    main: ClassVar[str | None] = "path"

    path: InputPath
    """Anything FFmpeg reads: WAV, MP3, Opus, FLAC, the sound of a video."""
    realtime: bool = False
    """Move at real-time speed, as a microphone would; otherwise as fast as the pipeline can."""
    loop: bool = False
    """Begin again at the end, for ever."""
    start_s: float = Field(0.0, ge=0)
    """Where to begin (s)."""
    duration_s: float | None = Field(None, gt=0)
    """How much to play from there (s); with `loop`, each time."""
    stream: int = Field(0, ge=0)
    """Which of the file's audio streams, from 0."""
    channel: int | None = Field(None, ge=1)
    """Which of its channels alone, from 1; by default all of them."""
    format: str | None = None
    """FFmpeg's name of the file's format, where the file does not tell: `s16le`, `f32le`, `mulaw`
    or `alaw` for samples without a header, which need a `sample_rate`."""
    sample_rate: int | None = Field(None, ge=1, le=768_000)
    """Of samples without a header (Hz)."""
    channels: int | None = Field(None, ge=1, le=64)
    """Of samples without a header; by default 1."""
    options: dict[str, str] = Field(default_factory=dict)
    """FFmpeg's own options for opening it."""

    @property
    def headerless(self) -> bool:
        """Whether `format` names samples without anything around them."""
        return bool(_HEADERLESS.fullmatch(self.format or ""))

    @model_validator(mode="after")
    def _is_described_once(self) -> Self:
        if not self.headerless:
            for name in ("sample_rate", "channels"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"`{name}` is for samples without a header, with `format: s16le` or its "
                        "like; every other file says it itself"
                    )
        elif self.sample_rate is None:
            raise ValueError(f"{self.format} has no header that tells its rate: give `sample_rate`")
        return self


class File(Source[FileOptions]):
    """The audio of a file, in its own sample rate and layout, sample by sample.

    Where the file is damaged it plays around the damage, and says what was lost.

    - file: {path: talk.mp3, realtime: true, start_s: 30, duration_s: 10}
    """

    kind = "file"
    publishes = (FileStartBehindEnd, MediaDamaged)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a short file."""
        from rtpipe.testing import speech_like, write_wav

        yield Specimen({"path": write_wav(folder / "a.wav", speech_like(seconds=1.5))})

    @classmethod
    def has_clock(cls, options: FileOptions) -> bool:
        """Return whether it is paced."""
        return options.realtime

    @classmethod
    def examine(cls, options: FileOptions) -> Iterator[Finding]:
        """Look for the file, and for what FFmpeg calls its format."""
        yield from missing_file(options.path, "path")
        if options.format is not None and not options.headerless:
            from av import formats_available

            if options.format not in formats_available:
                yield Finding("wrong", f"FFmpeg knows no format {options.format!r}", "format")

    def __init__(self, options: FileOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._thread = OwnThread(ctx.id, may_hang=True)  # a FIFO that nobody writes to, a dead NFS
        self._excerpt: _Excerpt | None = None
        self._lock: int | None = None
        self._damage = Damage()
        self._waits = False

    async def open(self) -> None:
        """Open the file, and keep those away who would write to it.

        A FIFO is opened when it is read: its writer may come when it likes.

        Raises:
            StageError: There is no such file, FFmpeg cannot read it, or it has no such stream.
        """
        self._lock = await self._thread.start(lock_to_read, self.options.path)
        if not self.options.path.is_fifo():
            await self._thread.start(self._begin)

    def gauge(self) -> str:
        """Return whether the writer of a FIFO is waited for."""
        return "waits for its writer" if self._waits else ""

    async def close(self) -> None:
        """Close the file."""
        if self._waits:
            _come_and_go(self.options.path)
        await self._thread.end(self._end)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._tell()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the file's audio as packed s16, in frames of `ctx.frame_ms`.

        Raises:
            StageError: It cannot be read to its end, or has nothing to loop.
        """
        if self._excerpt is None:
            self._waits = True
            await self._thread.start(self._begin)
            self._waits = False
        pacer = Pacer(self.ctx) if self.options.realtime else None
        begin_s = end_s = 0.0
        while True:
            async for frame in self._one_pass():
                frame.pts = (frame.pts or 0) + round(begin_s * frame.sample_rate)
                end_s = (frame.pts + frame.samples) / frame.sample_rate
                if pacer is not None:
                    audio.meta(frame).captured_at = await pacer.wait(frame)
                yield frame
            self._tell()
            if end_s == begin_s and self.options.start_s:
                self._tell_of_nothing()
            if not self.options.loop:
                return
            if end_s == begin_s:
                raise StageError(f"{self.options.path} holds no audio to loop")
            begin_s = end_s
            await self._thread.start(self._begin)

    def _tell_of_nothing(self) -> None:
        assert self._excerpt is not None
        self.ctx.publish(
            FileStartBehindEnd(
                path=str(self.options.path),
                start_s=self.options.start_s,
                length_s=self._excerpt.length_s,
            )
        )

    async def _one_pass(self) -> AsyncIterator[AudioFrame]:
        assert self._excerpt is not None
        frames = self._excerpt.frames(self.ctx.frame_ms)
        least = 1 if self.options.path.is_fifo() else _CHUNK_FRAMES
        at_once = max(least, _CHUNK_MS // self.ctx.frame_ms)

        def read() -> tuple[list[AudioFrame], Exception | None]:
            chunk: list[AudioFrame] = []
            try:
                chunk.extend(islice(frames, at_once))
            except Exception as error:  # noqa: BLE001 - raised once what came before it is heard
                return chunk, error
            return chunk, None

        ahead = self._thread.start(read)
        try:
            while True:
                chunk, failure = await ahead
                if chunk and failure is None:
                    ahead = self._thread.start(read)
                for frame in chunk:
                    yield frame
                if failure is not None:
                    raise failure
                if not chunk:
                    return
        finally:
            ahead.cancel()

    def _tell(self) -> None:
        event = self._damage.news()
        if event is not None:
            self.ctx.publish(event)

    def _begin(self) -> None:
        self._end()
        self._excerpt = _Excerpt(self.options, self._damage)

    def _end(self) -> None:
        if self._excerpt is not None:
            self._excerpt.close()
            self._excerpt = None


class _Excerpt:
    """One pass through the part of the file that is wanted; blocking."""

    def __init__(self, options: FileOptions, damage: Damage) -> None:
        from rtpipe_plugins.media.decoding import pick_stream

        self._options = options
        self._damage = damage
        self._container = _opened(options)
        try:
            self._stream = pick_stream(self._container, options.stream, str(options.path))
            _require_channel(self._stream, options)
        except StageError:
            self._container.close()
            raise

    def close(self) -> None:
        self._container.close()

    @property
    def length_s(self) -> float | None:
        """How long the file is, where it says so."""
        duration_us = self._container.duration
        return None if duration_us is None else duration_us / 1_000_000

    def frames(self, frame_ms: int) -> Iterator[AudioFrame]:
        """Yield frames of `frame_ms`; the last one, and one before a hole, may be shorter.

        Raises:
            StageError: The file cannot be read any further.
        """
        from av.error import FFmpegError

        from rtpipe import Slicer

        slicer = Slicer(frame_ms, pad=False)
        options = self._options
        read_s = options.start_s
        empty = True
        try:
            for frame in self._wanted():
                empty = False
                read_s = options.start_s + (frame.pts or 0) / frame.sample_rate
                yield from slicer.process(frame)
        except (FFmpegError, OSError) as error:
            raise StageError(
                f"{options.path} cannot be read beyond {read_s:.1f} s: {reason_of(error)}"
            ) from None
        if empty and self._damage.packets:
            raise StageError(f"nothing of {options.path} can be decoded: it is damaged")
        yield from slicer.finish()

    def _wanted(self) -> Iterator[AudioFrame]:
        """Yield the part that is wanted, as it was decoded; its pts begin with 0."""
        from rtpipe_plugins.media.decoding import decoded
        from rtpipe_plugins.media.seeking import sought

        options, stream = self._options, self._stream
        origin = None
        if not options.path.is_fifo():
            origin = sought(self._container, stream, options.start_s)
        for frame in decoded(
            self._container, stream, origin=origin, begin_s=options.start_s, damage=self._damage
        ):
            rate, pts = frame.sample_rate, frame.pts or 0
            begin = round(options.start_s * rate)
            first, last = max(begin - pts, 0), frame.samples
            if options.duration_s is not None:
                end = begin + round(options.duration_s * rate)
                if pts >= end:
                    return
                last = min(last, end - pts)
            if first >= last:
                continue
            at, part = pts + first - begin, frame
            if options.channel is not None or last - first < frame.samples:
                data, layout = audio.pcm(frame)[first:last], frame.layout.name
                if options.channel is not None:
                    data, layout = data[:, options.channel - 1 : options.channel], "mono"
                part = audio.from_pcm(data, sample_rate=rate, pts=at, layout=layout)
            part.pts = at
            yield part


def _require_channel(stream: AudioStream, options: FileOptions) -> None:
    channels = stream.codec_context.channels
    if options.channel is not None and options.channel > channels:
        raise StageError(
            f"{options.path} has no channel {options.channel}, only {channels}",
            exit_code=ExitCode.CONFIGURATION,
        )


def _come_and_go(fifo: Path) -> None:
    """Let the call that waits for a writer of `fifo` return: it finds the end of its stream."""
    with suppress(OSError):  # nobody waits there any more
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def _opened(options: FileOptions) -> InputContainer:
    from av.error import FFmpegError

    from rtpipe_plugins.media.decoding import open_media
    from rtpipe_plugins.media.wave import open_wave

    path = options.path
    try:
        wave = None
        if options.format is None and path.is_file():
            wave = open_wave(path, options.options)
        if wave is not None:
            return wave
        name = str(path.absolute())
        return open_media(name, format=options.format, options=_for_ffmpeg(options))
    except FileNotFoundError:
        raise StageError(
            f"there is no file {path}",
            help="paths in a pipeline file are relative to that file",
            exit_code=ExitCode.CONFIGURATION,
        ) from None
    except PermissionError:
        raise StageError(f"may not read {path}", exit_code=ExitCode.NO_PERMISSION) from None
    except (FFmpegError, OSError, ValueError) as error:
        raise StageError(
            f"FFmpeg cannot read {path}: {reason_of(error)}",
            exit_code=ExitCode.CONFIGURATION,
        ) from None


def _for_ffmpeg(options: FileOptions) -> dict[str, str]:
    if not options.headerless:
        return options.options
    described = {
        "sample_rate": str(options.sample_rate),
        "ch_layout": f"{options.channels or 1}c",
    }
    return {**described, **options.options}

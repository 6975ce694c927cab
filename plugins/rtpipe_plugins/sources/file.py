"""`file`: the audio of any file that FFmpeg reads."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from rtpipe import ExitCode, InputPath, Options, Source, StageContext, StageError, audio, reason_of
from rtpipe.examination import missing_file
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.sound.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from av.container import InputContainer

    from rtpipe import AudioFrame, Finding

_CHUNK_MS = 1000
"""Decoded in one go in the thread: going there and back costs as much as 5 ms of decoding."""
_SEEK_EARLIER_S = 0.1
"""Containers round; a seek to the very place may land behind it."""


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
    options: dict[str, str] = Field(default_factory=dict)
    """FFmpeg's own options for opening it."""


class File(Source[FileOptions]):
    """The audio of a file, in its own sample rate and layout, sample by sample.

    - file: {path: talk.mp3, realtime: true, start_s: 30, duration_s: 10}
    """

    kind = "file"

    @classmethod
    def has_clock(cls, options: FileOptions) -> bool:
        """Return whether it is paced."""
        return options.realtime

    @classmethod
    def examine(cls, options: FileOptions) -> Iterator[Finding]:
        """Look for the file."""
        return missing_file(options.path, "path")

    def __init__(self, options: FileOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._thread = OwnThread(ctx.id)
        self._excerpt: _Excerpt | None = None

    async def open(self) -> None:
        """Open the file.

        Raises:
            StageError: There is no such file, FFmpeg cannot read it, or it has no such stream.
        """
        await self._thread.start(self._begin)

    async def close(self) -> None:
        """Close the file."""
        await self._thread.end(self._end)

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the file's audio as packed s16, in frames of `ctx.frame_ms`."""
        pacer = Pacer(self.ctx) if self.options.realtime else None
        begin_s = end_s = 0.0
        while True:
            async for frame in self._one_pass():
                frame.pts = (frame.pts or 0) + round(begin_s * frame.sample_rate)
                end_s = (frame.pts + frame.samples) / frame.sample_rate
                if pacer is not None:
                    audio.meta(frame).captured_at = await pacer.wait(frame)
                yield frame
            if not self.options.loop:
                return
            if end_s == begin_s:
                raise StageError(f"{self.options.path} holds no audio to loop")
            begin_s = end_s
            await self._thread.start(self._begin)

    async def _one_pass(self) -> AsyncIterator[AudioFrame]:
        assert self._excerpt is not None
        frames = self._excerpt.frames(self.ctx.frame_ms)
        at_once = max(1, _CHUNK_MS // self.ctx.frame_ms)
        while chunk := await self._thread.start(lambda: list(islice(frames, at_once))):
            for frame in chunk:
                yield frame

    def _begin(self) -> None:
        self._end()
        self._excerpt = _Excerpt(self.options)

    def _end(self) -> None:
        if self._excerpt is not None:
            self._excerpt.close()
            self._excerpt = None


class _Excerpt:
    """One pass through the part of the file that is wanted; blocking."""

    def __init__(self, options: FileOptions) -> None:
        from rtpipe_plugins.media.decoding import pick_stream

        self._options = options
        self._container = _opened(options)
        try:
            self._stream = pick_stream(self._container, options.stream, str(options.path))
        except StageError:
            self._container.close()
            raise

    def close(self) -> None:
        self._container.close()

    def frames(self, frame_ms: int) -> Iterator[AudioFrame]:
        """Yield frames of `frame_ms`; the last one, and one before a hole, may be shorter."""
        import av

        from rtpipe import Slicer
        from rtpipe_plugins.media.decoding import decoded

        options, stream = self._options, self._stream
        origin = None
        if options.start_s:
            origin = stream.start_time or 0
            seek_s = max(options.start_s - _SEEK_EARLIER_S, 0.0)
            zero = float(origin * stream.time_base) if stream.time_base else 0.0
            self._container.seek(round((zero + seek_s) * av.time_base))
        slicer = Slicer(frame_ms, pad=False)
        for frame in decoded(self._container, stream, origin=origin):
            rate, pts = frame.sample_rate, frame.pts or 0
            begin = round(options.start_s * rate)
            end = None
            if options.duration_s is not None:
                end = begin + round(options.duration_s * rate)
                if pts >= end:
                    break
            first = max(begin - pts, 0)
            data = audio.pcm(frame)[first : None if end is None else end - pts]
            if len(data):
                at, layout, part = pts + first - begin, frame.layout.name, frame
                if len(data) < frame.samples:
                    part = audio.from_pcm(data, sample_rate=rate, pts=at, layout=layout)
                yield from slicer.process(audio.stamp(part, sample_rate=rate, pts=at))
        yield from slicer.finish()


def _opened(options: FileOptions) -> InputContainer:
    import av
    from av.error import FFmpegError

    path = options.path
    try:
        return av.open(str(path.absolute()), options=options.options)
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

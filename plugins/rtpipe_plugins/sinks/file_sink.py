"""`file_sink`: audio into a file, sample by sample."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rtpipe import (
    AudioFormat,
    Event,
    FormatError,
    Importance,
    Options,
    QueuePolicy,
    Sink,
    Specimen,
    StageContext,
    WhenFull,
)
from rtpipe.events import LinkDownmixed
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.disk.keeping import FilesExpired, FilesSpaceLow, Keeping
from rtpipe_plugins.disk.output_file import claim
from rtpipe_plugins.disk.output_path import ConfinedPath, StartTime, blocked_output, dated, reserve
from rtpipe_plugins.disk.path_pattern import Companions, PathPattern
from rtpipe_plugins.disk.retention import Keep, useless_keep
from rtpipe_plugins.media.encoding import ENDINGS, find_encoding, open_writer
from rtpipe_plugins.sound.time_stamps import TimestampsRebased

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from av import AudioLayout
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Finding
    from rtpipe_plugins.media.encoding import Writer

_FRAMES_A_BATCH = 10
_LIVE_FRAMES_A_BATCH = 5
"""Fewer: what has not been written is lost to a kill."""


@dataclass(frozen=True, kw_only=True)
class FileSinkClosed(Event):
    """The file is complete."""

    importance = Importance.NOTICE
    type: str = "file_sink.closed"
    path: str
    duration_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"wrote {self.path} ({self.duration_s:.0f} s)"


@dataclass(frozen=True, kw_only=True)
class FileSinkLeftoverKept(Event):
    """A `NAME.part.EXT` that a killed run had left was renamed, to write another."""

    importance = Importance.WARNING
    type: str = "file_sink.leftover_kept"
    path: str
    kept: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"what a killed run wrote to {self.path} is kept in {self.kept}"


class FileSinkOptions(Options):
    """A file to write."""

    main: ClassVar[str | None] = "path"

    path: ConfinedPath = Field(
        description="Where, with strftime fields (`%Y%m%d-%H%M%S`); its ending says what it "
        f"becomes: {ENDINGS}."
    )
    format: str | None = None
    """The container, named by its ending (`wav`), where the path's own says something else."""
    codec: str | None = None
    """opus, flac, pcm, mp3, aac or any encoder of FFmpeg; by default what suits the container."""
    sample_rate: int | None = Field(None, ge=8000, le=192_000)
    """Hz. By default that of the audio; 48000 where the codec does not take every rate."""
    layout: Literal["mono", "stereo"] | None = None
    """By default that of the audio."""
    overwrite: bool = False
    """Replace a file that exists, once the new one is complete: until then, and after a kill, it is
    `NAME.part.EXT`."""
    keep: Keep | None = None
    """How long files are kept: `keep: {days: 30, gb: 20}`; by default for ever. What this `path`
    cannot have written is never touched, nor what is in use."""

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        encoding = find_encoding(self.path, self.format, self.codec)
        rates = encoding.sample_rates()
        if rates and self.sample_rate and self.sample_rate not in rates:
            known = ", ".join(map(str, rates))
            raise ValueError(f"{encoding.codec} takes a sample_rate of {known}")
        return self

    @property
    def pattern(self) -> PathPattern:
        """Which files are the sink's."""
        return PathPattern(self.path.absolute(), Companions(aside=True))


class FileSink(Sink[FileSinkOptions]):
    """Writes what it gets into a file; a hole in the stream becomes silence.

    More channels than the codec takes become the layout of as many, or stereo: it says so.

    - file_sink: {path: out/answer.flac, overwrite: true}
    """

    kind = "file_sink"
    publishes = (
        FileSinkClosed,
        FileSinkLeftoverKept,
        LinkDownmixed,
        TimestampsRebased,
        FilesExpired,
        FilesSpaceLow,
    )
    # It has no clock to be late for: a slow disk must not cost audio.
    inlet_policy = QueuePolicy(max_ms=10_000, when_full=WhenFull.DROP_OLDEST, trim=False)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a file that is written again and again."""
        yield Specimen({"path": folder / "out.wav", "overwrite": True})

    @classmethod
    def accepts_for(cls, options: FileSinkOptions) -> AudioFormat:
        """Return s16, in the rate and layout that were asked for or that the codec needs."""
        encoding = find_encoding(options.path, options.format, options.codec)
        rate = options.sample_rate or (48_000 if encoding.sample_rates() else None)
        return AudioFormat(rate, options.layout, "s16")

    @classmethod
    def examine(cls, options: FileSinkOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        yield from blocked_output(options.path, keeps=not options.overwrite)
        yield from useless_keep(options.pattern, options.keep)

    @classmethod
    def claims(cls, options: FileSinkOptions) -> str:
        """Return the file."""
        return f"file:{options.path.absolute()}"

    def __init__(self, options: FileSinkOptions, ctx: StageContext) -> None:
        from rtpipe_plugins.sound.holes import GapFiller

        super().__init__(options, ctx)
        self._out: BackgroundWriter | None = None
        self._format: AudioFormat | None = None
        self._holes = GapFiller(ctx)
        self._written = 0
        self._keeping = Keeping(ctx, options.keep, options.pattern, self._written_to)

    async def open(self) -> None:
        """Make the folder and see that the file can be written.

        Raises:
            StageError: The file exists, or another stage or program has it.
            EnvironmentProblem: It cannot be written.
        """
        options = self.options
        self._path = reserve(
            dated(options.path, StartTime(self.ctx).plus(0)), overwrite=options.overwrite
        )
        self._keeping.start()

    async def consume(self, frame: AudioFrame) -> None:
        """Append `frame`."""
        if self._out is None or self._format is None:
            self._format = AudioFormat.of(frame)
            self._out = self._writer(self._format)
        elif not self._format.admits(frame):
            arriving = AudioFormat.of(frame)
            raise FormatError(f"{self._path} holds {self._format}; it cannot go on as {arriving}")
        for laid_out in self._layout.process(frame):
            for data in self._holes.filled(laid_out):
                await self._out.write(data)
                self._written += len(data)

    async def drain(self) -> None:
        """Complete the file, also when nothing ever came."""
        if self._out is None:
            accepted = self.accepts_for(self.options)
            self._format = accepted.completed(AudioFormat(48_000, "mono"))
            self._out = self._writer(self._format)
        await self._complete()

    async def close(self) -> None:
        """Complete the file; where nothing ever came there is none."""
        try:
            await self._complete()
        finally:
            await self._keeping.close()

    def _written_to(self) -> Path:
        return self._path

    async def _complete(self) -> None:
        out, self._out = self._out, None
        if out is None or self._format is None or self._format.sample_rate is None:
            return
        failed = out.ended
        await out.close()
        if failed:  # which has been told
            return
        duration_s = round(self._written / self._format.sample_rate, 3)
        self.ctx.publish(FileSinkClosed(path=str(self._path), duration_s=duration_s))

    def _writer(self, format: AudioFormat) -> BackgroundWriter:
        from rtpipe import Converter

        assert format.sample_rate is not None
        assert format.layout is not None
        encoding = find_encoding(self._path, self.options.format, self.options.codec)
        layout = encoding.layout_for(format.layout, format.sample_rate)
        self._layout = Converter(AudioFormat(layout=layout), on_downmix=self._tell_of_downmix)
        make = partial(
            open_writer, encoding=encoding, sample_rate=format.sample_rate, layout=layout
        )
        loop = asyncio.get_running_loop()
        frames = _LIVE_FRAMES_A_BATCH if self.ctx.live else _FRAMES_A_BATCH

        def opened() -> Writer:
            out = _Replacing(self._path, make, overwrite=self.options.overwrite)
            if (kept := out.leftover) is not None:
                loop.call_soon_threadsafe(self.ctx.publish, kept)
            return out

        return BackgroundWriter(
            self._path,
            opened,
            batch=format.sample_rate * self.ctx.frame_ms // 1000 * frames,
        )

    def _tell_of_downmix(self, layout: AudioLayout, becomes: AudioLayout) -> None:
        self.ctx.publish(LinkDownmixed.of(layout, becomes))


class _Replacing:
    """A writer whose file takes its place when it is complete; blocking.

    Args:
        path: What it is called then.
        make: Opens the writer.
        overwrite: Whether there may be a file.

    Raises:
        OSError: There is one, somebody has it, or the disk does not take it.
    """

    def __init__(self, path: Path, make: Callable[[Path], Writer], *, overwrite: bool) -> None:
        file = claim(path, overwrite=overwrite)
        if file is None:
            raise FileExistsError("another stage or program has written it, or reads it")
        self._file = file
        self._whole = True
        try:
            self._writer = make(file.written_to)
        except BaseException:
            file.remove()
            file.close()
            raise

    @property
    def leftover(self) -> FileSinkLeftoverKept | None:
        """What became of what a kill had left, if there was any."""
        path, kept = self._file.written_to, self._file.kept
        return None if kept is None else FileSinkLeftoverKept(path=str(path), kept=str(kept))

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """See `Writer.write`."""
        self._whole = False
        self._writer.write(tracks)
        self._whole = True

    def close(self) -> None:
        """Complete the file; what could not be written whole replaces nothing."""
        try:
            self._writer.close()
            if self._whole:
                self._file.complete()
        finally:
            self._file.close()

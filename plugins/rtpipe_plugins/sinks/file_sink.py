"""`file_sink`: audio into a file, sample by sample."""

from __future__ import annotations

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
    StageContext,
    WhenFull,
)
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.disk.output_path import ConfinedPath, dated, reserve, started_at
from rtpipe_plugins.media.encoding import ENDINGS, find_encoding, open_writer

if TYPE_CHECKING:
    from rtpipe import AudioFrame

_FRAMES_A_BATCH = 10


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
    """Replace a file that exists."""

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        encoding = find_encoding(self.path, self.format, self.codec)
        rates = encoding.sample_rates()
        if rates and self.sample_rate and self.sample_rate not in rates:
            known = ", ".join(map(str, rates))
            raise ValueError(f"{encoding.codec} takes a sample_rate of {known}")
        return self


class FileSink(Sink[FileSinkOptions]):
    """Writes what it gets into a file; a hole in the stream becomes silence.

    - file_sink: {path: out/answer.flac, overwrite: true}
    """

    kind = "file_sink"
    publishes = (FileSinkClosed,)
    # It has no clock to be late for: a slow disk must not cost audio.
    inlet_policy = QueuePolicy(max_ms=10_000, when_full=WhenFull.DROP_OLDEST, trim=False)

    @classmethod
    def accepts_for(cls, options: FileSinkOptions) -> AudioFormat:
        """Return s16, in the rate and layout that were asked for or that the codec needs."""
        encoding = find_encoding(options.path, options.format, options.codec)
        rate = options.sample_rate or (48_000 if encoding.sample_rates() else None)
        return AudioFormat(rate, options.layout, "s16")

    @classmethod
    def claims(cls, options: FileSinkOptions) -> str:
        """Return the file."""
        return f"file:{options.path.absolute()}"

    def __init__(self, options: FileSinkOptions, ctx: StageContext) -> None:
        from rtpipe_plugins.sound.holes import GapFiller

        super().__init__(options, ctx)
        self._out: BackgroundWriter | None = None
        self._format: AudioFormat | None = None
        self._holes = GapFiller()
        self._written = 0

    async def open(self) -> None:
        """Make the folder and see that the file can be written.

        Raises:
            StageError: The file exists.
            EnvironmentProblem: It cannot be written.
        """
        options = self.options
        self._path = reserve(dated(options.path, started_at(self.ctx)), overwrite=options.overwrite)

    async def consume(self, frame: AudioFrame) -> None:
        """Append `frame`."""
        arriving = AudioFormat.of(frame)
        if self._out is None:
            self._format = arriving
            self._out = self._writer(arriving)
        elif arriving != self._format:
            raise FormatError(f"{self._path} holds {self._format}; it cannot go on as {arriving}")
        for data in self._holes.filled(frame):
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
        await self._complete()

    async def _complete(self) -> None:
        out, self._out = self._out, None
        if out is None or self._format is None or self._format.sample_rate is None:
            return
        await out.close()
        duration_s = round(self._written / self._format.sample_rate, 3)
        self.ctx.publish(FileSinkClosed(path=str(self._path), duration_s=duration_s))

    def _writer(self, format: AudioFormat) -> BackgroundWriter:
        assert format.sample_rate is not None
        assert format.layout is not None
        encoding = find_encoding(self._path, self.options.format, self.options.codec)
        return BackgroundWriter(
            self._path,
            partial(open_writer, self._path, encoding, format.sample_rate, format.layout),
            batch=format.sample_rate * self.ctx.frame_ms // 1000 * _FRAMES_A_BATCH,
        )

"""`process` and `process_sink`: a command's output as audio, and audio as a command's input."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar, Literal

from av import AudioLayout
from pydantic import Field

from rtpipe import AudioFormat, AudioFrame, Options, Sink, Source, StageContext, StageError, audio
from rtpipe_plugins.child_process import ChildProcess
from rtpipe_plugins.subscribers.exec import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BYTES = {"u8": 1, "s16": 2, "s32": 4, "flt": 4, "dbl": 8}


class CommandOptions(Options):
    """A command and what its audio looks like: samples without a header, channels in turn."""

    main: ClassVar[str | None] = "command"

    command: Command
    """The program and its arguments: a list, or a text that is split as a shell would split it. No
    shell is involved; where one is wanted: `[sh, -c, "one | two"]`."""
    format: Literal["u8", "s16", "s32", "flt", "dbl"] = "s16"
    """One sample, in the machine's byte order: unsigned 8 bits, signed 16 or 32, float, double."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""
    layout: Literal["mono", "stereo"] = "mono"
    """Channels."""

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return tuple(shlex.split(self.command)) if isinstance(self.command, str) else self.command

    @property
    def bytes_a_sample(self) -> int:
        """How many bytes one sample of all channels takes."""
        return _BYTES[self.format] * AudioLayout(self.layout).nb_channels


class ProcessOptions(CommandOptions):
    """A command whose standard output is audio."""

    live: bool = False
    """The command keeps time by itself, as `arecord` does; otherwise it is read as fast as the
    pipeline can."""


class ProcessSinkOptions(CommandOptions):
    """A command whose standard input is audio."""


class Process(Source[ProcessOptions]):
    """What a command writes to its standard output, sample by sample, until it ends.

    - process: {command: arecord -q -t raw -f S16_LE -r 48000 -c 1, live: true}
    """

    kind = "process"

    @classmethod
    def has_clock(cls, options: ProcessOptions) -> bool:
        """Return whether the command is live."""
        return options.live

    def __init__(self, options: ProcessOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._child = ChildProcess(options.words)

    async def open(self) -> None:
        """Start the command.

        Raises:
            EnvironmentProblem: There is no such program.
        """
        await self._child.start(writes=True)

    async def close(self) -> None:
        """End the command."""
        await self._child.close()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield what it writes in frames of `ctx.frame_ms`; the last one may be shorter.

        Raises:
            StageError: The command failed.
        """
        options, width = self.options, self.options.bytes_a_sample
        samples = options.sample_rate * self.ctx.frame_ms // 1000
        pts = 0
        while True:
            data = await self._child.read(samples * width)
            count, extra = divmod(len(data), width)
            if extra:
                self.ctx.log.warning("its output ends within a sample: %d bytes", extra)
            if count:
                frame = AudioFrame(options.format, options.layout, count)
                plane = frame.planes[0]
                plane.update(data[: count * width].ljust(plane.buffer_size, b"\0"))
                audio.stamp(frame, sample_rate=options.sample_rate, pts=pts)
                if options.live:
                    took_s = count / options.sample_rate
                    audio.meta(frame).captured_at = self.ctx.now() - took_s
                yield frame
                pts += count
            if count < samples:
                break
        await self._child.succeeded()


class ProcessSink(Sink[ProcessSinkOptions]):
    """Writes what it gets to a command's standard input; a hole in the stream becomes silence.

    The command's own output is thrown away. It is told of the end by the end of its input, and may
    take the time it needs to finish.

    - process_sink: aplay -q -t raw -f S16_LE -r 48000 -c 1
    """

    kind = "process_sink"

    @classmethod
    def accepts_for(cls, options: ProcessSinkOptions) -> AudioFormat:
        """Return what the command wants."""
        return AudioFormat(options.sample_rate, options.layout, options.format)

    def __init__(self, options: ProcessSinkOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._child = ChildProcess(options.words)
        self._expected: int | None = None

    async def open(self) -> None:
        """Start the command.

        Raises:
            EnvironmentProblem: There is no such program.
        """
        await self._child.start(reads=True)

    async def close(self) -> None:
        """End the command."""
        await self._child.close()

    async def consume(self, frame: AudioFrame) -> None:
        """Write `frame`.

        Raises:
            StageError: The command has ended.
        """
        width, pts = self.options.bytes_a_sample, frame.pts or 0
        quiet = b"\x80" if self.options.format == "u8" else b"\0"
        hole = 0 if self._expected is None else max(pts - self._expected, 0)
        while hole:
            silent = min(hole, frame.sample_rate)
            await self._write(quiet * (silent * width))
            hole -= silent
        await self._write(bytes(frame.planes[0])[: frame.samples * width])
        self._expected = pts + frame.samples

    async def drain(self) -> None:
        """End its input and wait until it has finished.

        Raises:
            StageError: The command failed.
        """
        await self._child.end_of_input()
        await self._child.succeeded()

    async def _write(self, data: bytes) -> None:
        try:
            await self._child.write(data)
        except ConnectionError:
            await self._child.succeeded()
            word = self.options.words[0]
            raise StageError(f"{word} ended before the audio did") from None

"""`process`: a command's output as audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import AudioFormat, Source, Specimen, StageContext, audio
from rtpipe_plugins.child.command import examine_command
from rtpipe_plugins.child.process import ChildProcess
from rtpipe_plugins.child.raw_audio import CommandOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from rtpipe import AudioFrame, Finding


class ProcessOptions(CommandOptions):
    """A command whose standard output is audio."""

    live: bool = False
    """The command keeps time by itself, as `arecord` does; otherwise it is read as fast as the
    pipeline can."""


class Process(Source[ProcessOptions]):
    """What a command writes to its standard output, sample by sample, until it ends.

    - process: {command: arecord -q -t raw -f S16_LE -r 48000 -c 1, live: true}
    """

    kind = "process"
    external = True

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a second of silence."""
        yield Specimen({"command": "head -c 96000 /dev/zero"}, real_time=True)

    @classmethod
    def has_clock(cls, options: ProcessOptions) -> bool:
        """Return whether the command is live."""
        return options.live

    @classmethod
    def examine(cls, options: ProcessOptions) -> Iterator[Finding]:
        """Look for the program."""
        return examine_command(options.command, "command")

    def __init__(self, options: ProcessOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._child = ChildProcess(options.words, read=ctx.env_names, given=options.env)

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
        format = AudioFormat(options.sample_rate, options.layout, options.format)
        pts = 0
        while True:
            data = await self._child.read(samples * width)
            count, extra = divmod(len(data), width)
            if extra:
                self.ctx.log.warning("its output ends within a sample: %d bytes", extra)
            if count:
                frame = audio.from_bytes(data[: count * width], count, format, pts=pts)
                if options.live:
                    took_s = count / options.sample_rate
                    audio.meta(frame).captured_at = self.ctx.now() - took_s
                yield frame
                pts += count
            if count < samples:
                break
        await self._child.succeeded()

"""`process_sink`: audio as a command's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import AudioFormat, Sink, Specimen, StageContext, StageError
from rtpipe_plugins.child.command import examine_command
from rtpipe_plugins.child.process import ChildProcess
from rtpipe_plugins.child.raw_audio import CommandOptions
from rtpipe_plugins.sound.time_stamps import TimestampsRebased

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe import AudioFrame, Finding


class ProcessSinkOptions(CommandOptions):
    """A command whose standard input is audio."""


class ProcessSink(Sink[ProcessSinkOptions]):
    """Writes what it gets to a command's standard input; a hole in the stream becomes silence.

    The command's own output is thrown away. It is told of the end by the end of its input, and may
    take the time it needs to finish.

    - process_sink: aplay -q -t raw -f S16_LE -r 48000 -c 1
    """

    kind = "process_sink"
    external = True
    publishes = (TimestampsRebased,)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a command that takes everything."""
        yield Specimen({"command": "cat"}, real_time=True)

    @classmethod
    def accepts_for(cls, options: ProcessSinkOptions) -> AudioFormat:
        """Return what the command wants."""
        return AudioFormat(options.sample_rate, options.layout, options.format)

    @classmethod
    def examine(cls, options: ProcessSinkOptions) -> Iterator[Finding]:
        """Look for the program."""
        return examine_command(options.command, "command")

    def __init__(self, options: ProcessSinkOptions, ctx: StageContext) -> None:
        from rtpipe_plugins.sound.holes import GapFiller

        super().__init__(options, ctx)
        self._child = ChildProcess(options.words, read=ctx.env_names, given=options.env)
        self._holes = GapFiller(ctx)

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
        try:
            for data in self._holes.filled(frame):
                await self._child.write(data.tobytes())
        except ConnectionError:
            await self._child.succeeded()
            word = self.options.words[0]
            raise StageError(f"{word} ended before the audio did") from None

    async def drain(self) -> None:
        """End its input and wait until it has finished.

        Raises:
            StageError: The command failed.
        """
        await self._child.end_of_input()
        await self._child.succeeded()

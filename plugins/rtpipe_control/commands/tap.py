"""`rtpipe tap`: what a stage of a running pipeline gives out: to a file, an ear, or a program."""

from __future__ import annotations

import math
import os
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote

import click

from rtpipe import EnvironmentProblem
from rtpipe.errors import reason_of
from rtpipe_control.client import Client
from rtpipe_control.commands import completion
from rtpipe_control.commands.playing import loudspeaker
from rtpipe_control.commands.wav import Peak, WavFile, read_header
from rtpipe_control.commands.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_control.commands.wav import Sound

_MOST_AT_ONCE = 64 * 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stream(Protocol):
    """What samples are read from as they come."""

    def read1(self, amount: int, /) -> bytes:
        """Return some bytes, `amount` at the most; none at the end."""
        ...


@click.command()
@click.argument("name", shell_complete=completion.runs)
@click.argument("stage", shell_complete=completion.stages)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.wav",
    help="Write a WAV file; one that is there is overwritten.",
)
@click.option("--play", is_flag=True, help="Play it on this computer's loudspeaker.")
@click.option(
    "--for",
    "seconds",
    type=float,
    metavar="S",
    help="End after S seconds of audio.",
)
def tap(name: str, stage: str, output: Path | None, *, play: bool, seconds: float | None) -> None:
    """Listen to what a stage of a running pipeline gives out or, as a sink, takes.

    Ends with the pipeline, after --for, or at Ctrl-C; the file is complete each time. Listening
    changes nothing in the pipeline. Without -o and --play the WAV goes to stdout, for a program:

    \b
        rtpipe tap kiosk mic -o heard.wav --for 10
        rtpipe tap kiosk realtime --play
        rtpipe tap kiosk mic | sox -t wav - -n stat
    """  # noqa: D301 - `\b`: click is not to fill what follows
    if seconds is not None and not 0 < seconds < math.inf:
        raise click.BadParameter("say how many seconds, more than 0", param_hint="--for")
    if output is not None and output.suffix.lower() != ".wav":
        raise click.UsageError(f"`{output}` would hold a WAV: end it in `.wav`")
    if output is None and not play and sys.stdout.isatty():
        raise click.UsageError("say where to: `-o FILE.wav`, `--play`, or a program, `| ...`")
    client = Client.of(name)
    path = f"/api/stages/{quote(stage, safe='')}/listen"
    with client.streamed(path, endless=True) as stream:
        try:
            sound = read_header(stream)
        except ValueError as error:
            raise EnvironmentProblem(f"`{name}` sends nothing to listen to: {error}") from error
        _Listening(sound, output, f"{stage}", play=play).until_end(stream, seconds)


class _Interrupts:
    """SIGINT, SIGTERM and SIGHUP as a KeyboardInterrupt, but not while a file is written."""

    def __init__(self) -> None:
        self._shielded = self._asked = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, *_: object) -> None:
        self._asked = True
        if not self._shielded:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold them back while the block lasts."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._asked:
            raise KeyboardInterrupt


class _Listening:
    """Hands samples on, and says at the end how much it was and how loud.

    Args:
        sound: What comes.
        output: The file, if one is wanted.
        what: What is listened to.
        play: Whether it is played.
    """

    def __init__(self, sound: Sound, output: Path | None, what: str, *, play: bool) -> None:
        self._sound = sound
        self._loudspeaker = loudspeaker(sound) if play else None
        self._output = output
        self._what = what
        self._wav: WavFile | None = None
        self._stdout = output is None and not play
        self._peak = Peak()
        self._taken = 0

    def until_end(self, stream: Stream, seconds: float | None) -> None:
        """Hand on what comes until it ends, `seconds` are over, or somebody interrupts."""
        interrupted = True
        with _Interrupts() as interrupts, ExitStack() as opened:
            try:
                if self._output is not None:
                    with interrupts.held(), _told(self._output):
                        file = opened.enter_context(self._output.open("wb", buffering=0))
                        self._wav = WavFile(file, self._sound)
                if self._stdout:
                    _write_out(self._sound.header())
                for samples in self._pieces(stream, seconds):
                    self._take(samples, interrupts)
                interrupted = False
            except KeyboardInterrupt:
                pass
            finally:
                with suppress(KeyboardInterrupt), interrupts.held():
                    self._end(at_once=interrupted)

    def _pieces(self, stream: Stream, seconds: float | None) -> Iterator[bytes]:
        """Yield whole samples of all channels, as soon as they are there."""
        size = self._sound.frame
        left = None if seconds is None else round(seconds * self._sound.rate) * size
        rest = b""
        while left is None or left > 0:
            came = stream.read1(_MOST_AT_ONCE)
            if not came:
                return
            rest += came
            whole = len(rest) // size * size
            samples, rest = rest[:whole][:left], rest[whole:]
            left = None if left is None else left - len(samples)
            if samples:
                yield samples

    def _take(self, samples: bytes, interrupts: _Interrupts) -> None:
        self._peak.take(samples)
        if self._wav is not None:
            with interrupts.held(), _told(self._output):
                self._wav.write(samples)
        self._taken += len(samples)
        if self._stdout:
            _write_out(samples)
        if self._loudspeaker is not None:
            self._loudspeaker.write(samples)

    def _end(self, *, at_once: bool) -> None:
        try:
            if self._wav is not None:
                with _told(self._output):
                    self._wav.complete()
            if self._loudspeaker is not None:
                self._loudspeaker.close(at_once=at_once)
        finally:
            seconds = self._taken / self._sound.frame / self._sound.rate
            verb = "heard" if self._output is None else f"wrote {self._output}:"
            say(f"{verb} {seconds:.1f} s of {self._what}, {self._peak.in_words()}")


@contextmanager
def _told(path: Path | None) -> Iterator[None]:
    """Say which file it is that cannot be written."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {reason_of(error)}") from error


def _write_out(data: bytes) -> None:
    """Write to stdout at once; nothing waits there that Python would write at its exit."""
    number = sys.stdout.fileno()
    while data:
        data = data[os.write(number, data) :]

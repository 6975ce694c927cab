"""`rtpipe tap`: what a stage of a running pipeline gives out: to a file, an ear, or a program."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

import click

from rtpipe import EnvironmentProblem
from rtpipe_control.client import Client, RunEnded
from rtpipe_control.commands import completion
from rtpipe_control.commands.playing import loudspeaker
from rtpipe_control.commands.wav import Peak, WavFile, read_header
from rtpipe_control.commands.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtpipe_control.commands.wav import Readable, Sound

_PIECE_S = 0.1


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
    type=click.FloatRange(min=0, min_open=True, max=1e7),
    metavar="S",
    help="End after S seconds of audio.",
)
def tap(
    name: str, stage: str, output: Path | None, *, play: bool, seconds: float | None
) -> None:
    """Listen to what a stage of a running pipeline gives out or, as a sink, takes.

    Ends with the pipeline, after --for, or at Ctrl-C; the file is complete each time. Listening
    changes nothing in the pipeline. Without -o and --play the WAV goes to stdout, for a program:

    \\b
        rtpipe tap kiosk mic -o heard.wav --for 10
        rtpipe tap kiosk realtime --play
        rtpipe tap kiosk mic | sox - -n stat
    """
    if output is not None and output.suffix.lower() != ".wav":
        raise click.UsageError(f"`{output}` would hold a WAV: end it in `.wav`")
    if output is None and not play and sys.stdout.isatty():
        raise click.UsageError("say where to: `-o FILE.wav`, `--play`, or a pipe, `| sox - ...`")
    client = Client.of(name)
    path = f"/api/stages/{quote(stage, safe='')}/listen"
    with client.streamed(path, endless=True) as stream:
        try:
            sound = read_header(stream)
        except ValueError as error:
            raise EnvironmentProblem(f"what `{name}` sends cannot be listened to: {error}") from error
        with ExitStack() as opened, _told_to_end() as is_over:
            outlets = list(_outlets(sound, output, opened, is_over, play=play))
            _copy(stream, sound, outlets, seconds, is_over, f"{output or stage}")


def _copy(
    stream: Readable,
    sound: Sound,
    outlets: list[Callable[[bytes], None]],
    seconds: float | None,
    is_over: list[str],
    what: str,
) -> None:
    """Hand on samples until the end, whoever brings it about; say how much it was, and how loud."""
    peak = Peak()
    left = None if seconds is None else round(seconds * sound.rate) * sound.frame
    taken, rest = 0, b""
    broken: RunEnded | None = None
    ...

"""A loudspeaker for `tap --play`: `sounddevice` where it is installed, else a program."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rtpipe import EnvironmentProblem
from rtpipe.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_control.commands.wav import Sound

_HELP = "install `sounddevice` (pip) or one of paplay, aplay, ffplay; or write a file: `-o a.wav`"
_ENDS_S = 5.0
_AHEAD_S = 0.3
"""So much sound waits for a device before it begins: it must not run dry."""
_MOST_WORDS = 4096


_PROGRAMS: dict[str, Callable[[Sound], tuple[str, ...]]] = {
    "paplay": lambda sound: (
        *("--raw", "--format=s16le", f"--rate={sound.rate}", f"--channels={sound.channels}"),
        "--client-name=rtpipe",
    ),
    "aplay": lambda sound: (
        *("-q", "-t", "raw", "-f", "S16_LE", "-r", f"{sound.rate}", "-c", f"{sound.channels}"),
    ),
    "ffplay": lambda sound: (
        *("-v", "error", "-nodisp", "-autoexit", "-f", "s16le", "-ar", f"{sound.rate}"),
        *("-ch_layout", f"{sound.channels}c", "-i", "-"),
    ),
}
"""What plays raw samples from its standard input, and how it is told which."""


class Loudspeaker(Protocol):
    """Where samples are played."""

    def write(self, samples: bytes) -> None:
        """Play samples; waits while enough of them are waiting."""

    def close(self, *, at_once: bool) -> None:
        """Play what waits, or drop it, and end.

        Raises:
            EnvironmentProblem: What waited could not be played.
        """


def loudspeaker(sound: Sound) -> Loudspeaker:
    """Return the loudspeaker of this computer, for such samples.

    Raises:
        EnvironmentProblem: There is none.
    """
    return _by_sounddevice(sound) or by_program(sound)


def player() -> str:
    """Return which program plays here; "" where there is none."""
    return next((name for name in _PROGRAMS if shutil.which(name)), "")


def by_program(sound: Sound) -> Loudspeaker:
    """Return a program of this computer's that plays such samples, and writes on no terminal.

    Raises:
        EnvironmentProblem: There is none.
    """
    found = [
        [path, *arguments(sound)]
        for name, arguments in _PROGRAMS.items()
        if (path := shutil.which(name))
    ]
    if not found:
        raise EnvironmentProblem("nothing here can play sound", help=_HELP)
    return _Programs(found)


def _by_sounddevice(sound: Sound) -> Loudspeaker | None:
    try:
        import sounddevice

        stream = sounddevice.RawOutputStream(
            samplerate=sound.rate, channels=sound.channels, dtype="int16", latency=2 * _AHEAD_S
        )
        stream.start()  # does it?
        stream.abort()
    except Exception:  # noqa: BLE001 - not installed, no PortAudio, no device: another way is tried
        return None
    return _Device(stream, round(_AHEAD_S * sound.rate) * sound.channels * 2)


class _Device:
    """A device, which begins once some sound waits for it: what comes, comes as it is made."""

    def __init__(self, stream: Any, ahead: int) -> None:
        self._stream = stream
        self._ahead = ahead
        self._waits = b""

    def write(self, samples: bytes) -> None:
        if self._stream.active:
            self._stream.write(samples)
            return
        self._waits += samples
        if len(self._waits) >= self._ahead:
            self._begin()

    def _begin(self) -> None:
        self._stream.start()
        self._stream.write(self._waits)
        self._waits = b""

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self._stream.abort()
        else:
            if self._waits:
                self._begin()
            self._stream.stop()
        self._stream.close()


class _Programs:
    """The first of several programs that plays what it reads. Ctrl-C is for us, not for it."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._commands = commands
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a player of this computer's, by its path
            self._commands[0],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def write(self, samples: bytes) -> None:
        try:
            self._feed(samples)
        except BrokenPipeError:
            why = self._last_words()
            name = self._name
            del self._commands[0]
            if not self._commands:
                raise EnvironmentProblem(f"{name} cannot play: {why}", help=_HELP) from None
            self._start()
            self.write(samples)

    def _feed(self, samples: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(samples)
        self._process.stdin.flush()

    def _last_words(self) -> str:
        """Return the last line that a program which has ended left."""
        process = self._process
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        with process.stderr as stderr:
            said = stderr.read(_MOST_WORDS)
        process.wait()
        return _last_line(said)

    def close(self, *, at_once: bool) -> None:
        if self._process.returncode is not None:  # and its last words have been told
            return
        if at_once:
            self._process.terminate()
        try:
            said = self._process.communicate(timeout=_ENDS_S)[1]
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            self._process.communicate()
            return
        if self._process.returncode and not at_once:
            raise EnvironmentProblem(f"{self._name} cannot play: {_last_line(said)}", help=_HELP)

    @property
    def _name(self) -> str:
        return Path(self._commands[0][0]).name


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").split("\n")
    return next((on_one_line(line, 200) for line in reversed(lines) if line.strip()), "it ended")

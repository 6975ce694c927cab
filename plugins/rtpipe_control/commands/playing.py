"""A loudspeaker for `tap --play`: `sounddevice` where it is installed, else a program."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Protocol

from rtpipe import EnvironmentProblem

if TYPE_CHECKING:
    from rtpipe_control.commands.wav import Sound

_HELP = "install `sounddevice` (pip) or one of paplay, aplay, ffplay; or write a file: `-o a.wav`"
_ENDS_S = 5.0


class Loudspeaker(Protocol):
    """Where samples are played."""

    def write(self, samples: bytes) -> None:
        """Play samples; waits while enough of them are waiting."""

    def close(self, *, at_once: bool) -> None:
        """Play what waits, or drop it, and end."""


def loudspeaker(sound: Sound) -> Loudspeaker:
    """Return the loudspeaker of this computer, for such samples.

    Raises:
        EnvironmentProblem: There is none.
    """
    found = _by_sounddevice(sound)
    if found is not None:
        return found
    rate, channels = f"{sound.rate}", f"{sound.channels}"
    programs = (
        ("paplay", "--raw", "--format=s16le", f"--rate={rate}", f"--channels={channels}"),
        ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", rate, "-c", channels),
        ("ffplay", "-v", "error", "-nodisp", "-autoexit", "-f", "s16le", "-ar", rate)
        + ("-ch_layout", f"{channels}c", "-i", "-"),
    )
    for program, *arguments in programs:
        path = shutil.which(program)
        if path is not None:
            return _Program([path, *arguments])
    raise EnvironmentProblem("nothing here can play sound", help=_HELP)


def _by_sounddevice(sound: Sound) -> Loudspeaker | None:
    try:
        import sounddevice

        stream = sounddevice.RawOutputStream(
            samplerate=sound.rate, channels=sound.channels, dtype="int16"
        )
        stream.start()
    except Exception:  # noqa: BLE001 - not installed, no PortAudio, no device: another way is tried
        return None
    return _Device(stream)


class _Device:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, samples: bytes) -> None:
        self._stream.write(samples)

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self._stream.abort()
        else:
            self._stream.stop()
        self._stream.close()


class _Program:
    """A program that reads samples; Ctrl-C is for us, not for it."""

    def __init__(self, command: list[str]) -> None:
        self._name = command[0]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def write(self, samples: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(samples)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            _, told = self._process.communicate()
            why = told.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it ended"]
            raise EnvironmentProblem(f"{self._name} cannot play: {why[0]}", help=_HELP) from error

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_ENDS_S)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()

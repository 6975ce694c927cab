"""A loudspeaker for `tap --play`: `sounddevice` where it is installed, else a program."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from rtpipe import EnvironmentProblem
from rtpipe.errors import on_one_line

if TYPE_CHECKING:
    from rtpipe_control.commands.wav import Sound

_HELP = "install `sounddevice` (pip) or one of paplay, aplay, ffplay; or write a file: `-o a.wav`"
_ENDS_S = 5.0
_MOST_WORDS = 4096


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
    device = _by_sounddevice(sound)
    if device is not None:
        return device
    rate, channels = f"{sound.rate}", f"{sound.channels}"
    layout = ("-ch_layout", f"{channels}c", "-i", "-")
    programs = (
        ("paplay", "--raw", "--format=s16le", f"--rate={rate}", f"--channels={channels}"),
        ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", rate, "-c", channels),
        ("ffplay", "-v", "error", "-nodisp", "-autoexit", "-f", "s16le", "-ar", rate, *layout),
    )
    found = [[path, *rest] for name, *rest in programs if (path := shutil.which(name))]
    if not found:
        raise EnvironmentProblem("nothing here can play sound", help=_HELP)
    return _Programs(found)


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
            name = self._commands.pop(0)[0]
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
            said = stderr.read(_MOST_WORDS).decode("utf-8", "replace").split("\n")
        process.wait()
        return next((on_one_line(line, 200) for line in reversed(said) if line.strip()), "it ended")

    def close(self, *, at_once: bool) -> None:
        if self._process.returncode is not None:  # and its last words have been told
            return
        if at_once:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_ENDS_S)
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            self._process.communicate()

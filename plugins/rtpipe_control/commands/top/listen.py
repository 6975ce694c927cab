"""Listens to a stage: its sound is played here, by a program of the system's."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from rtpipe import RtpipeError
from rtpipe_control.client import Client

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

_PLAYERS = {
    "paplay": ("--client-name=rtpipe top",),
    "aplay": ("-q", "-"),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"),
}
_PIECE = 1920
"""Bytes: 20 ms at 48 kHz. More would be heard later."""
_LAST_S = 2.0
"""So long a program may play what it has when nothing more comes."""


def player() -> str:
    """Return which program plays here; "" where there is none."""
    return next((name for name in _PLAYERS if shutil.which(name)), "")


class Listening:
    """Plays what a stage gives out, until it is stopped.

    Args:
        run: The run's name.
        stage: Which.
        program: One of those that `player` returns.
        over: Called from a thread when nothing more is heard, with the reason.
    """

    def __init__(self, run: str, stage: str, program: str, over: Callable[[str], None]) -> None:
        self._run = run
        self._stage = stage
        self._program = program
        self._over = over
        self._stopped = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._play, name="top listens", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Play no more."""
        self._stopped.set()
        if self._child is not None:
            self._child.terminate()

    def _play(self) -> None:
        reason = ""
        path = f"/api/stages/{quote(self._stage, safe='')}/listen"
        try:
            with Client.of(self._run).streamed(path) as sound:
                self._child = subprocess.Popen(  # noqa: S603 - one of ours, by its own name
                    [self._program, *_PLAYERS[self._program]],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                reason = self._pass_on(sound)
        except RtpipeError as error:
            reason = f"{error}"
        except OSError as error:
            reason = f"{self._program}: {error}"
        finally:
            self._end()
        if not self._stopped.is_set():
            self._over(reason or f"`{self._stage}` gives nothing more out")

    def _pass_on(self, sound: http.client.HTTPResponse) -> str:
        """Give the program what is heard; returns what it complains about, if it has ended."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        with suppress(OSError):  # it has ended; it says why
            while not self._stopped.is_set() and (piece := sound.read1(_PIECE)):
                child.stdin.write(piece)
                child.stdin.flush()
        if self._stopped.is_set():
            return ""
        try:
            complaint = child.communicate(timeout=_LAST_S)[1].decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            return ""
        last = complaint.rpartition("\n")[2]
        return f"{self._program} plays no more: {last}" if child.returncode else ""

    def _end(self) -> None:
        child = self._child
        if child is None:
            return
        child.terminate()
        for end in (child.stdin, child.stderr):
            with suppress(OSError):
                if end is not None:
                    end.close()
        child.wait()

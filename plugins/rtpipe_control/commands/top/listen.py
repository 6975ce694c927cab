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
    from collections.abc import Callable

_PLAYERS = {
    "paplay": ("--client-name=rtpipe top",),
    "aplay": ("-q", "-"),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"),
}
_PIECE = 1920
"""Bytes: 20 ms at 48 kHz. More would be heard later."""


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
                    stderr=subprocess.DEVNULL,
                )
                assert self._child.stdin is not None
                while not self._stopped.is_set() and (piece := sound.read1(_PIECE)):
                    self._child.stdin.write(piece)
                    self._child.stdin.flush()
        except RtpipeError as error:
            reason = f"{error}"
        except OSError as error:
            reason = f"{self._program}: {error}"
        finally:
            self._end()
        if not self._stopped.is_set():
            self._over(reason or f"`{self._stage}` gives nothing more out")

    def _end(self) -> None:
        child = self._child
        if child is None:
            return
        child.terminate()
        with suppress(OSError):
            if child.stdin is not None:
                child.stdin.close()
        child.wait()

"""Listens to a stage: its sound is played here, by a program of the system's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

from rtpipe import RtpipeError
from rtpipe_control.client import Client
from rtpipe_control.commands.playing import by_program
from rtpipe_control.commands.wav import read_header

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 1920
"""Bytes: 20 ms at 48 kHz. More would be heard later."""


class Listening:
    """Plays what a stage gives out, until it is stopped.

    Args:
        run: The run's name.
        stage: Which.
        over: Called from a thread when nothing more is heard, with the reason.
    """

    def __init__(self, run: str, stage: str, over: Callable[[str], None]) -> None:
        self._run = run
        self._stage = stage
        self._over = over
        self._stopped = threading.Event()
        threading.Thread(target=self._listen, name="top listens", daemon=True).start()

    def stop(self) -> None:
        """Play no more."""
        self._stopped.set()

    def _listen(self) -> None:
        reason = f"`{self._stage}` gives nothing more out"
        try:
            self._play()
        except (RtpipeError, ValueError, OSError) as error:
            reason = f"{error}"
        if not self._stopped.is_set():
            self._over(reason)

    def _play(self) -> None:
        """Play to the end.

        Raises:
            RtpipeError: The run ends, or nothing here plays.
            ValueError: What comes is no sound.
        """
        path = f"/api/stages/{quote(self._stage, safe='')}/listen"
        with Client.of(self._run).streamed(path) as stream:
            loudspeaker = by_program(read_header(stream))
            try:
                while not self._stopped.is_set() and (samples := stream.read1(_PIECE)):
                    loudspeaker.write(samples)
            finally:
                loudspeaker.close(at_once=self._stopped.is_set())

"""Output that may go away: a pipe without a reader, a full disk, a closed or stopped terminal."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from contextlib import suppress
from typing import IO

import click

_MOST_WAITING = 1000
_AT_ONCE = 4000
"""Characters; a pipe that says it has room takes as many (PIPE_BUF) without blocking."""
_FINAL_S = 1.0


class Output:
    """A stream of this process that is written to from the event loop: it never raises or blocks.

    What it cannot encode is escaped. What a reader is too slow for waits, up to 1000 pieces; what
    is lost, then or because the stream is gone, is counted.

    Args:
        stream: The stream; None where the process was started without it.

    Attributes:
        lost: How many pieces of text were lost.
        reason: Why the stream is gone; "" while it is not.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self.lost = 0
        self.reason = "" if stream is not None else "closed"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._waiting

    def write(self, text: str) -> None:
        """Write `text`, a line feed included if it is to end there."""
        self._waiting.extend(text[at : at + _AT_ONCE] for at in range(0, len(text), _AT_ONCE))
        self._go_on()
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1

    def finish(self) -> None:
        """Write what still waits, for a second at the most."""
        deadline = time.monotonic() + _FINAL_S
        while self._waiting and time.monotonic() < deadline:
            self._go_on(0.05)
        self.lost += len(self._waiting)
        self._waiting.clear()

    def _go_on(self, wait_s: float = 0.0) -> None:
        while self._waiting and (self.reason or self._has_room(wait_s)):
            text = self._waiting.popleft()
            if self.reason:
                self.lost += 1
                continue
            try:
                click.echo(self._encodable(text), file=self._stream, nl=False)
            except (OSError, ValueError) as error:
                self.lost += 1
                self.reason = getattr(error, "strerror", None) or f"{error}"
                self._divert()

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _has_room(self, wait_s: float) -> bool:
        assert self._stream is not None
        try:
            ready = select.poll()
            ready.register(self._stream, select.POLLOUT)
            return bool(ready.poll(wait_s * 1000))
        except (OSError, ValueError):  # no file, as in a test; or closed, which writing will tell
            return True

    def _divert(self) -> None:
        """Let what the stream still buffers go nowhere: Python's exit would fail on it again."""
        assert self._stream is not None
        with suppress(OSError, ValueError):
            number = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)

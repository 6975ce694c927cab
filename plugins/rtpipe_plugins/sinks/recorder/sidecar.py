"""What happened, beside what was said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.json_text import json_text

if TYPE_CHECKING:
    from collections import deque
    from pathlib import Path

    from rtpipe_plugins.disk.records import Tellable


class Sidecar:
    """Writes the pipeline's events to a file beside a recording, in the recording's time.

    Args:
        path: Of the sidecar.
        events: Where the event loop puts them; written ones are taken out.
        zero_s: The pipeline second that is 0 in the recording.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path, events: deque[Tellable], zero_s: float) -> None:
        self._events = events
        self._zero_s = zero_s
        self._file = path.open("wb", buffering=0)
        self._paused_s: float | None = None

    def pause(self, at_s: float) -> None:
        """Let the recording's time stand still from a pipeline second on."""
        self._paused_s = at_s

    def resume(self, at_s: float) -> None:
        """Let it go on."""
        if self._paused_s is not None:
            self._zero_s += at_s - self._paused_s
            self._paused_s = None

    def write(self, until_s: float, *last: Tellable) -> None:
        """Write what happened before a pipeline second; the rest may belong to another file.

        Args:
            until_s: The pipeline second.
            last: Written after them.

        Raises:
            OSError: It cannot be written; what was not is left for the next file.
        """
        taken: list[Tellable] = []
        while self._events and self._events[0].at < until_s:
            taken.append(self._events.popleft())
        try:
            self._write("".join(map(self._line, (*taken, *last))).encode())
        except OSError:
            self._events.extendleft(reversed(taken))
            raise

    def duplicate(self) -> int:
        """Return a file descriptor of it that the caller closes."""
        return os.dup(self._file.fileno())

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _line(self, event: Tellable) -> str:
        line = event.as_dict()
        at_s = line["at"] if self._paused_s is None else min(line["at"], self._paused_s)
        line["at"] = round(at_s - self._zero_s, 4)
        return json_text(line) + "\n"

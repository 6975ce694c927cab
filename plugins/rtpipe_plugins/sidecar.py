"""What happened, beside what was said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event
    from rtpipe_plugins.encoding import Writer


class WithSidecar:
    """Writes the pipeline's events to a file beside the audio, as often as the audio.

    Args:
        audio: The recording.
        path: Of the recording.
        events: Where the loop puts them.
        zero_s: The pipeline second that is 0 in the recording.
    """

    def __init__(self, audio: Writer, path: Path, events: deque[Event], zero_s: float) -> None:
        self._audio = audio
        self._events = events
        self._zero_s = zero_s
        self._file = path.with_suffix(".events.jsonl").open("w", encoding="utf-8")

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append to the audio, and the events that have passed since."""
        self._audio.write(tracks)
        self._write_events()

    def close(self) -> None:
        """Complete both files."""
        try:
            self._write_events()
        finally:
            self._file.close()
            self._audio.close()

    def _write_events(self) -> None:
        while self._events:
            line = self._events.popleft().as_dict()
            line["at"] = round(line["at"] - self._zero_s, 4)
            self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()

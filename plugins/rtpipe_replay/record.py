"""What a record is: a folder with a line for each thing that came, and the sound in WAV files.

`record.json` says what was run. `record.jsonl` has a line for each event and each frame, in the
order in which they came, all on the pipeline's clock. `ID.wav` is what stage ID gave out; where its
format changed, `ID.2.wav` goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import ExitCode, RtpipeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
HEADER_BYTES = 44
"""Of a WAV file; what follows is PCM, also where a killed run left the lengths at 0."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a record.

    Attributes:
        at: When it came (pipeline s).
        time_s: Its own time stamp (s).
        file: The WAV file that it is in.
        offset: How many samples are before it there.
        samples: Its length.
        rate: Samples per second.
        layout: Its channels, as FFmpeg calls them.
    """

    at: float
    time_s: float
    file: str
    offset: int
    samples: int
    rate: int
    layout: str


class Record:
    """A record that is there.

    Args:
        folder: Its folder.

    Attributes:
        head: What `record.json` says: `file`, `name`, `families` of the stages in it.

    Raises:
        RtpipeError: It is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.head: dict[str, Any] = json.loads((folder / "record.json").read_text("utf-8"))
            version = self.head["version"]
        except (OSError, ValueError, KeyError, TypeError):
            raise RtpipeError(
                f"{folder} holds no record",
                help="`rtpipe run --record FOLDER FILE` makes one",
                exit_code=ExitCode.USAGE,
            ) from None
        if version != VERSION:
            raise RtpipeError(f"{folder} was recorded by another version ({version})")

    def frames(self, id: str) -> Iterator[Frame]:
        """Yield what stage `id` gave out."""
        for line in self._lines():
            if line.get("audio") == id:
                yield Frame(
                    line["at"],
                    line["time_s"],
                    line["file"],
                    line["offset"],
                    line["samples"],
                    line["rate"],
                    line["layout"],
                )

    def events(self, id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the events in order; those of stage `id` if it is given."""
        for line in self._lines():
            event = line.get("event")
            if isinstance(event, dict) and id in {None, event.get("source")}:
                yield event

    @property
    def ended_at(self) -> float:
        """When its last line was written (pipeline s)."""
        return max((float(line["at"]) for line in self._lines()), default=0.0)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with (self.folder / "record.jsonl").open(encoding="utf-8") as file:
            for text in file:
                try:
                    yield json.loads(text)
                except ValueError:  # a killed run wrote half of it
                    return

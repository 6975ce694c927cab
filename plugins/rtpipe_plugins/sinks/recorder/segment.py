"""One file of a recording: its name, its audio, its sidecar, and its way to the disk."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.durability import Syncing, sync_folder
from rtpipe_plugins.disk.output_path import claim, free_name
from rtpipe_plugins.media.encoding import Encoding, Writer, open_writer, write_errors
from rtpipe_plugins.sinks.recorder.sidecar import Sidecar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event

_EVENTS = ".events.jsonl"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What the files of a recording look like.

    Attributes:
        encoding: Container and codec.
        sample_rate: Hz.
        layout: Of each track.
        titles: One for each track.
        overwrite: Whether a file that exists is replaced.
        durable: Whether it must survive a power cut: names are put on the disk at once.
    """

    encoding: Encoding
    sample_rate: int
    layout: str
    titles: Sequence[str]
    overwrite: bool
    durable: bool


class Segment:
    """An open file, with a sidecar beside it if there are events to write; blocking.

    Args:
        wanted: The name, if it is free; else `name-2`, `name-3`, …
        format: How it is written.
        events: For the sidecar; None for none.
        zero_s: The pipeline second that is 0 in this file.
        own: Names that this recording has used: those are never overwritten.

    Raises:
        OSError: The disk does not take it.
        av.FFmpegError, ValueError: FFmpeg does not, on any disk.
    """

    def __init__(
        self,
        wanted: Path,
        format: FileFormat,
        events: deque[Event] | None,
        zero_s: float,
        own: set[Path],
    ) -> None:
        self._audio: Writer | None = None
        self._sidecar: Sidecar | None = None
        self._durable = format.durable
        self._syncing: Syncing | None = None
        wanted.parent.mkdir(parents=True, exist_ok=True)
        self.path = self._claimed(wanted, format, own, sidecar=events is not None)
        try:
            self._audio = open_writer(
                self.path, format.encoding, format.sample_rate, format.layout, format.titles
            )
            if events is not None:
                self._sidecar = Sidecar(self.path.with_suffix(_EVENTS), events, zero_s)
                assert self._syncing is not None
                self._syncing.add(self._sidecar.duplicate())
            if format.durable:
                sync_folder(self.path.parent)
        except BaseException:
            self.abandon(empty=True)
            raise
        own.add(self.path)

    @property
    def size(self) -> int:
        """How many bytes of audio the file has."""
        assert self._syncing is not None
        return self._syncing.size

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append the same number of samples to every track."""
        assert self._audio is not None
        self._audio.write(tracks)

    def write_events(self, until_s: float) -> None:
        """Append the events that happened before a pipeline second."""
        if self._sidecar is not None:
            self._sidecar.write(until_s)

    def sync(self) -> None:
        """Begin to put what was written on the disk itself."""
        assert self._syncing is not None
        self._syncing.start()

    def close(self) -> None:
        """Complete the files; a durable one is on the disk then."""
        audio, self._audio = self._audio, None
        sidecar, self._sidecar = self._sidecar, None
        syncing, self._syncing = self._syncing, None
        try:
            if audio is not None:
                audio.close()
            if syncing is not None and self._durable:
                syncing.finish()
        finally:
            if sidecar is not None:
                sidecar.close()
            if syncing is not None:
                syncing.close()

    def abandon(self, *, empty: bool) -> None:
        """Close the files after an error; remove them if there is nothing in them."""
        with suppress(*write_errors()):  # what made them useless makes closing fail, too
            self.close()
        if empty:
            for path in (self.path, self.path.with_suffix(_EVENTS)):
                path.unlink(missing_ok=True)

    def _claimed(self, wanted: Path, format: FileFormat, own: set[Path], *, sidecar: bool) -> Path:
        def taken(path: Path) -> bool:
            beside = sidecar and not format.overwrite and path.with_suffix(_EVENTS).exists()
            if path in own or beside:
                return True
            descriptor = claim(path, overwrite=format.overwrite)
            if descriptor is None:
                return True
            self._syncing = Syncing(descriptor)
            return False

        return free_name(wanted, taken)

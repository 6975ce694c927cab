"""One file of a recording: its name, its audio, its sidecar, and its way to the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.durability import Syncing, sync_folder
from rtpipe_plugins.disk.output_file import OutputFile, claim
from rtpipe_plugins.disk.output_path import free_name
from rtpipe_plugins.disk.path_pattern import EVENTS
from rtpipe_plugins.media.encoding import Encoding, Writer, open_writer, write_errors
from rtpipe_plugins.sinks.recorder.events import RecorderLeftoverKept
from rtpipe_plugins.sinks.recorder.sidecar import Sidecar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.disk.records import Tellable


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

    Attributes:
        path: The name.
        leftovers: What became of what a kill had left where this one is written.

    Raises:
        OSError: The disk does not take it.
        av.FFmpegError, ValueError: FFmpeg does not, on any disk.
    """

    def __init__(
        self,
        wanted: Path,
        format: FileFormat,
        events: deque[Tellable] | None,
        zero_s: float,
        own: set[Path],
    ) -> None:
        self._audio: Writer | None = None
        self._sidecar: Sidecar | None = None
        self._durable = format.durable
        self._syncing: Syncing | None = None
        self._files: list[OutputFile] = []
        wanted.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path = free_name(wanted, lambda path: not self._claim(path, format, own, events))
            self.leftovers = [
                RecorderLeftoverKept(path=str(file.written_to), kept=str(file.kept))
                for file in self._files
                if file.kept is not None
            ]
            self._syncing = Syncing(os.dup(self._files[0].descriptor))
            self._audio = open_writer(
                self._files[0].written_to,
                format.encoding,
                format.sample_rate,
                format.layout,
                format.titles,
            )
            if events is not None:
                self._sidecar = Sidecar(self._files[1].written_to, events, zero_s)
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

    def write_events(self, until_s: float, *last: Tellable) -> None:
        """Append the events that happened before a pipeline second, and `last`."""
        if self._sidecar is not None:
            self._sidecar.write(until_s, *last)

    def pause(self, at_s: float) -> None:
        """Let the sidecar's time stand still from a pipeline second on."""
        if self._sidecar is not None:
            self._sidecar.pause(at_s)

    def resume(self, at_s: float) -> None:
        """Let it go on."""
        if self._sidecar is not None:
            self._sidecar.resume(at_s)

    def sync(self) -> None:
        """Begin to put what was written on the disk itself."""
        assert self._syncing is not None
        self._syncing.start()

    def close(self) -> None:
        """Complete the files, each in its place; a durable one is on the disk then."""
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
            self._release()

    def abandon(self, *, empty: bool) -> None:
        """Close the files after an error; remove them if there is nothing in them."""
        if empty:
            for file in self._files:
                file.remove()
                file.close()
            self._files.clear()
        with suppress(*write_errors()):  # what made them useless makes closing fail, too
            self.close()

    def _release(self) -> None:
        """Give the files their names, whatever could be written: those are what was told."""
        files, self._files = self._files, []
        try:
            for file in files:
                file.complete(durable=self._durable)
        finally:
            for file in files:
                file.close()

    def _claim(
        self, path: Path, format: FileFormat, own: set[Path], events: deque[Tellable] | None
    ) -> bool:
        """Take a name, and that of the sidecar; return whether both were free."""
        names = [(path, path.suffix)]
        if events is not None:
            names.append((path.with_suffix(EVENTS), EVENTS))
        if path in own:
            return False
        # A recording and its sidecar replace what is there together.
        aside = format.overwrite and any(os.path.lexists(name) for name, _ in names)
        for name, suffix in names:
            file = claim(name, overwrite=format.overwrite, suffix=suffix, aside=aside)
            if file is None:
                self.abandon(empty=True)
                return False
            self._files.append(file)
        return True

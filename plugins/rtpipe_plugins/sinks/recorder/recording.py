"""A recording on the disk: file after file, and on again after a disk was full."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from rtpipe import audio, reason_of
from rtpipe_plugins.disk.output_path import dated
from rtpipe_plugins.sinks.recorder.events import (
    RecorderFailed,
    RecorderResumed,
    RecorderSegmentStarted,
    RecorderStarted,
)
from rtpipe_plugins.sinks.recorder.segment import FileFormat, Segment

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event

_RETRY_S = 5
_ROOM_S = 1
"""Free space, as seconds of plain samples, with which it is worth the while to try again."""

Layout: TypeAlias = Literal["stereo", "tracks", "mix"]


class Clips(Protocol):
    """What else is made of the same audio."""

    def write(self, block: NDArray[np.int16], folder: Path) -> None:
        """Take what the recording takes, whether or not it could write it."""

    def close(self) -> None:
        """Complete what is open."""


@dataclass(frozen=True, slots=True)
class RecordingShape:
    """What a recording is.

    Attributes:
        template: The path, with strftime fields.
        started_at: When the pipeline started.
        zero_s: The pipeline second that is 0 in the recording.
        inputs: Ids of what is recorded.
        layout: How the inputs become tracks.
        format: Of each file.
        segment_samples: How long a file becomes; None: as long as it takes.
        segment_bytes: How large a file becomes, about; None: as large as it takes.
    """

    template: Path
    started_at: datetime
    zero_s: float
    inputs: tuple[str, ...]
    layout: Layout
    format: FileFormat
    segment_samples: int | None = None
    segment_bytes: int | None = None


class Recording:
    """Writes blocks of aligned inputs; a `Writer` for a thread of its own.

    Where a disk fails, a live recording says so once, counts what it loses, and goes on in a new
    file as soon as it can: a container that met an error never recovers. One that is not live
    raises, since nothing but the recording is at stake.

    Args:
        shape: What it is.
        events: For the sidecars; None for none.
        announce: Called in this thread with what happens.
        clips: What else is made of the audio.
    """

    def __init__(
        self,
        shape: RecordingShape,
        events: deque[Event] | None,
        announce: Callable[[Event], None],
        clips: Clips | None = None,
    ) -> None:
        self._shape = shape
        self._events = events
        self._announce = announce
        self._clips = clips
        self._rate = shape.format.sample_rate
        self._live = shape.format.durable
        self._segment: Segment | None = None
        self._segment_start = self._position = self._synced = 0
        self._retry_at: int | None = None
        self._lost_told = 0
        self._names: set[Path] = set()
        self.path = dated(shape.template, shape.started_at)
        self.segments = 0
        self.lost = 0
        """How many samples went into no file."""

    def opened(self) -> Recording:
        """Open the first file; returns the recording."""
        self._open()
        return self

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append a block of all inputs, shape (samples, inputs), the only item of `tracks`."""
        (block,) = tracks
        rest = block
        while len(rest):
            if self._segment is not None and not self._room():
                self._complete(until_s=self._pipeline_s(self._position))
            count = min(len(rest), self._room())
            self._write(rest[:count])
            rest = rest[count:]
        if self._clips is not None:
            self._clips.write(block, self.path.with_suffix(".turns"))

    def close(self) -> None:
        """Complete the last file, with every event that is left."""
        if self._clips is not None:
            self._clips.close()
        if self._segment is not None:
            self._complete(until_s=float("inf"))

    def _room(self) -> int:
        """Return how many samples the open file still takes; it ends with a whole block."""
        longest, block = self._shape.segment_samples, self._shape.format.encoding.block
        if self._segment is None:
            return self._rate
        written = self._position - self._segment_start
        if self._is_full(self._segment):
            return -written % block
        return self._rate if longest is None else -(-longest // block) * block - written

    def _write(self, block: NDArray[np.int16]) -> None:
        if self._segment is None:
            self._open()
        begin, self._position = self._position, self._position + len(block)
        if self._segment is None:
            self.lost += len(block)
            return
        try:
            self._segment.write(tracks_of(block, self._shape.layout))
            self._segment.write_events(self._pipeline_s(self._position))
            if self._live and self._position - self._synced >= self._rate:
                self._segment.sync()
                self._synced = self._position
        except OSError as error:
            self._fail(self._segment, error, begin)

    def _is_full(self, segment: Segment) -> bool:
        longest, largest = self._shape.segment_samples, self._shape.segment_bytes
        return (longest is not None and self._position - self._segment_start >= longest) or (
            largest is not None and segment.size >= largest
        )

    def _open(self) -> None:
        """Open a file, unless that failed a moment ago."""
        if self._retry_at is not None and self._position < self._retry_at:
            return
        shape, zero_s = self._shape, self._pipeline_s(self._position)
        # The first file is dated like everything else that the pipeline makes: by its start.
        since_s = zero_s if self.segments else 0.0
        wanted = dated(shape.template, shape.started_at + timedelta(seconds=since_s))
        needed = _ROOM_S * self._rate * 2 * len(shape.inputs)
        if self._retry_at is not None and not _has_room(wanted, needed):
            self._retry_at = self._position + _RETRY_S * self._rate
            return
        try:
            self._segment = Segment(wanted, shape.format, self._events, zero_s, self._names)
        except OSError as error:
            self._failed(wanted, error)
            return
        self._segment_start = self._synced = self._position
        self.path = self._segment.path
        self.segments += 1
        self._tell_of_file()

    def _tell_of_file(self) -> None:
        if self.segments == 1:
            self._announce(
                RecorderStarted(
                    path=str(self.path),
                    tracks=self._shape.inputs,
                    zero_s=round(self._shape.zero_s, 4),
                    started_at=datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"),
                )
            )
        if self._retry_at is not None:
            lost_s = round((self.lost - self._lost_told) / self._rate, 3)
            self._lost_told = self.lost
            self._announce(RecorderResumed(path=str(self.path), lost_s=lost_s))
        if self.segments > 1:
            start_s = round(self._position / self._rate, 4)
            self._announce(RecorderSegmentStarted(path=str(self.path), start_s=start_s))
        assert self._segment is not None
        for leftover in self._segment.leftovers:
            self._announce(leftover)
        self._retry_at = None

    def _complete(self, until_s: float) -> None:
        segment, self._segment = self._segment, None
        assert segment is not None
        try:
            try:
                segment.write_events(until_s)
            finally:
                segment.close()
        except OSError as error:
            self._failed(segment.path, error)

    def _fail(self, segment: Segment, error: OSError, begin: int) -> None:
        """Give up a file that could not take what begins at `begin`."""
        self._segment = None
        self.lost += self._position - begin
        segment.abandon(empty=begin == self._segment_start)
        self._failed(segment.path, error)

    def _failed(self, path: Path, error: OSError) -> None:
        """Say that a disk fails, once until it works again; raise where nobody is live."""
        if not self._live:
            raise error
        if self._retry_at is None:
            self._announce(RecorderFailed(path=str(path), error=reason_of(error)))
        self._retry_at = self._position + _RETRY_S * self._rate

    def _pipeline_s(self, position: int) -> float:
        return self._shape.zero_s + position / self._rate


def tracks_of(block: NDArray[np.int16], layout: Layout) -> list[NDArray[np.int16]]:
    """Return a file's tracks, shape (samples, channels) each, of the inputs in `block`."""
    import numpy as np

    if layout == "tracks":
        return [np.ascontiguousarray(block[:, [n]]) for n in range(block.shape[1])]
    if layout == "stereo":
        return [block[:, [0, -1]]]  # a single input is heard on both sides
    return [audio.to_s16(block.sum(axis=1, dtype=np.int32))[:, None]]


def _has_room(path: Path, size: int) -> bool:
    """Return whether a disk that failed has space again: a try that fails is not free."""
    folder = next((f for f in path.parents if f.exists()), path.parent)
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize >= size

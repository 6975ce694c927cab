"""A recording on the disk: file after file, by orders, by length, and after a disk was full."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from rtpipe import audio, local_time, reason_of
from rtpipe_plugins.disk.output_path import dated
from rtpipe_plugins.sinks.recorder.events import (
    RecorderFailed,
    RecorderRecovered,
    RecorderSegmentStarted,
    RecorderSplit,
    RecorderStarted,
    RecorderStartedByAction,
    RecorderStopped,
)
from rtpipe_plugins.sinks.recorder.segment import FileFormat, Segment

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event
    from rtpipe_plugins.disk.output_path import StartTime
    from rtpipe_plugins.disk.records import Tellable

_RETRY_S = 5
_ROOM_S = 1
"""Free space, as seconds of plain samples, with which it is worth the while to try again."""

Layout: TypeAlias = Literal["stereo", "tracks", "mix"]


@dataclass(frozen=True, slots=True)
class RecordingShape:
    """What a recording is.

    Attributes:
        source: Id of the recorder.
        template: The path, with strftime fields.
        started_at: When the pipeline started.
        zero_s: The pipeline second of the first sample that comes.
        inputs: Ids of what is recorded.
        layout: How the inputs become tracks.
        format: Of each file.
        segment_samples: How long a file becomes; None: as long as it takes.
        segment_bytes: How large a file becomes, about; None: as large as it takes.
    """

    source: str
    template: Path
    started_at: StartTime
    zero_s: float
    inputs: tuple[str, ...]
    layout: Layout
    format: FileFormat
    segment_samples: int | None = None
    segment_bytes: int | None = None


class Recording:
    """Files of aligned inputs, one after another; blocking.

    Where a disk fails, a live recording says so once, counts what it loses, and goes on in a new
    file as soon as it can: a container that met an error never recovers. One that is not live
    raises, since nothing but the recording is at stake.

    Args:
        shape: What it is.
        events: For the sidecars; None for none.
        announce: Called with what happens.
        by_itself: Whether nobody had to ask for it.

    Attributes:
        path: The file that is written, or was last.
        position: How many samples of the timeline are over, recorded or not.
        recorded: How many samples it has, with those that were lost.
        lost: How many went into no file.
        segments: How many files it has.
    """

    def __init__(
        self,
        shape: RecordingShape,
        events: deque[Tellable] | None,
        announce: Callable[[Event], None],
        *,
        by_itself: bool = True,
    ) -> None:
        self._shape = shape
        self._events = events
        self._announce = announce
        self._rate = shape.format.sample_rate
        self._live = shape.format.durable
        self._by_itself = by_itself
        self._segment: Segment | None = None
        self._in_segment = self._begin = self._synced = 0
        self._split_due = False
        self._retry_at: int | None = None
        self._lost_told = 0
        self._names: set[Path] = set()
        self.path = dated(shape.template, shape.started_at.plus(0))
        self.position = self.recorded = self.lost = self.segments = 0

    @property
    def fails(self) -> bool:
        """Whether the disk takes nothing."""
        return self._retry_at is not None

    def write(self, block: NDArray[np.int16]) -> None:
        """Append a block of all inputs, shape (samples, inputs)."""
        rest = block
        while len(rest):
            if self._segment is not None and not self._room():
                self._complete(until_s=self._here_s)
            count = min(len(rest), self._room())
            if self._segment is None:
                self.open()
            self._write(rest[:count], passed=count)
            rest = rest[count:]
            if self._split_due and not self._room():
                self._split()

    def skip(self, samples: int) -> None:
        """Pass over what is not recorded."""
        self._write(None, passed=samples)

    def pause(self) -> None:
        """Let the file's time stand still, until `resume`; what is skipped is not in it."""
        if self._segment is not None:
            self._write(None, passed=0)
        if self._segment is not None:
            self._segment.pause(self._here_s)

    def resume(self) -> None:
        """Let it go on."""
        if not self.recorded:
            self._begin = self.position
        if self._segment is not None:
            self._write(None, passed=0)
        if self._segment is not None:
            self._segment.resume(self._here_s)

    def split(self, *, at_once: bool) -> None:
        """Go on in another file, as soon as no block of the codec is open, or at once."""
        self._split_due = self._segment is not None and self._in_segment > 0
        if self._split_due and (at_once or not self._room()):
            self._split()

    def move(self, shape: RecordingShape, *, at_once: bool) -> None:
        """Go on in files of another shape, as `split` does in another file of the same."""
        self._shape = shape
        if self._segment is not None and not self._in_segment:
            self._complete(until_s=self._here_s)  # nothing is in it: it goes
            self.segments -= 1
        self.split(at_once=at_once)

    def start(self) -> None:
        """Begin another recording; its file is opened when there is something for it."""
        while self._events and self._events[0].at < self._here_s:
            self._events.popleft()  # of the time between
        self._by_itself = False
        self._begin = self.position
        self.recorded = self.lost = self.segments = self._lost_told = 0
        self._retry_at = None

    def stop(self, until_s: float) -> None:
        """Complete the recording, with what happened before a pipeline second; say so then."""
        if not self.recorded and not self.segments:
            return
        stopped = RecorderStopped(
            source=self._shape.source,
            path=str(self.path),
            duration_s=round(self.recorded / self._rate, 3),
            segments=self.segments,
            lost_s=round(self.lost / self._rate, 3),
        )
        try:
            if self._segment is not None:
                self._complete(until_s, replace(stopped, at=self._here_s))
        finally:
            self._announce(stopped)

    def _split(self) -> None:
        path, duration_s = str(self.path), round(self._in_segment / self._rate, 3)
        if self._complete(until_s=self._here_s):
            self._announce(RecorderSplit(path=path, duration_s=duration_s))

    def _room(self) -> int:
        """Return how many samples the open file still takes; it ends with a whole block."""
        longest, block = self._shape.segment_samples, self._shape.format.encoding.block
        if self._segment is None:
            return self._rate
        written = self._in_segment
        if self._split_due or self._is_full(self._segment):
            return -written % block
        return self._rate if longest is None else -(-longest // block) * block - written

    def _write(self, block: NDArray[np.int16] | None, passed: int) -> None:
        """Write a block, if any, and the events, while so many samples of the timeline pass."""
        count = 0 if block is None else len(block)
        self.position += passed
        self.recorded += count
        if self._segment is None:
            self.lost += count
            return
        empty = not self._in_segment
        try:
            if block is not None:
                self._segment.write(tracks_of(block, self._shape.layout))
                self._in_segment += count
            self._segment.write_events(self._here_s)
            if self._live and self.position - self._synced >= self._rate:
                self._segment.sync()
                self._synced = self.position
        except OSError as error:
            self._fail(self._segment, error, lost=count, empty=empty)

    def _is_full(self, segment: Segment) -> bool:
        longest, largest = self._shape.segment_samples, self._shape.segment_bytes
        return (longest is not None and self._in_segment >= longest) or (
            largest is not None and segment.size >= largest
        )

    def open(self) -> None:
        """Open a file, unless that failed a moment ago."""
        if self._retry_at is not None and self.position < self._retry_at:
            return
        shape, zero_s = self._shape, self._here_s
        # The first file is dated like everything else that the pipeline makes: by its start.
        since_s = 0.0 if self._by_itself and not self.segments else zero_s
        wanted = dated(shape.template, shape.started_at.plus(since_s))
        needed = _ROOM_S * self._rate * 2 * len(shape.inputs)
        if self._retry_at is not None and not _has_room(wanted, needed):
            self._retry_at = self.position + _RETRY_S * self._rate
            return
        try:
            self._segment = Segment(wanted, shape.format, self._events, zero_s, self._names)
        except OSError as error:
            self._failed(wanted, error)
            return
        self._synced = self.position
        self._in_segment = 0
        self.path = self._segment.path
        self.segments += 1
        self._tell_of_file()

    def _tell_of_file(self) -> None:
        if self.segments == 1:
            event_type = RecorderStarted if self._by_itself else RecorderStartedByAction
            begun = self._shape.started_at.plus(self._pipeline_s(self._begin)) or local_time()
            self._announce(
                event_type(
                    path=str(self.path),
                    tracks=self._shape.inputs,
                    zero_s=round(self._pipeline_s(self._begin), 4),
                    started_at=begun.isoformat(timespec="milliseconds"),
                )
            )
        if self._retry_at is not None:
            lost_s = round((self.lost - self._lost_told) / self._rate, 3)
            self._lost_told = self.lost
            self._announce(RecorderRecovered(path=str(self.path), lost_s=lost_s))
        if self.segments > 1:
            start_s = round(self.recorded / self._rate, 4)
            self._announce(RecorderSegmentStarted(path=str(self.path), start_s=start_s))
        assert self._segment is not None
        for leftover in self._segment.leftovers:
            self._announce(leftover)
        self._retry_at = None

    def _complete(self, until_s: float, *last: Tellable) -> bool:
        """Close the file, which is removed if nothing is in it; returns whether the disk did."""
        segment, self._segment = self._segment, None
        self._split_due = False
        assert segment is not None
        if not self._in_segment:
            segment.abandon(empty=True)
            return True
        try:
            try:
                segment.write_events(until_s, *last)
            finally:
                segment.close()
        except OSError as error:
            self._failed(segment.path, error)
            return False
        return True

    def _fail(self, segment: Segment, error: OSError, *, lost: int, empty: bool = False) -> None:
        """Give up a file that could not take the last samples, or their events."""
        self._segment = None
        self._split_due = False
        self.lost += lost
        segment.abandon(empty=empty)
        self._failed(segment.path, error)

    def _failed(self, path: Path, error: OSError) -> None:
        """Say that a disk fails, once until it works again; raise where nobody is live."""
        if not self._live:
            raise error
        if self._retry_at is None:
            self._announce(RecorderFailed(path=str(path), error=reason_of(error)))
        self._retry_at = self.position + _RETRY_S * self._rate

    @property
    def _here_s(self) -> float:
        return self._pipeline_s(self.position)

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

"""`recorder`: several voices into one file, aligned, safe against a kill."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from typing import TYPE_CHECKING

from rtpipe import (
    CANONICAL,
    EnvironmentProblem,
    Event,
    QueuePolicy,
    Sink,
    StageContext,
    WhenFull,
    audio,
)
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.disk.locks import is_locked
from rtpipe_plugins.disk.output_path import blocked_output, dated, free_name, reserve, started_at
from rtpipe_plugins.media.encoding import find_encoding
from rtpipe_plugins.sinks.recorder.events import (
    RecorderFailed,
    RecorderLeftoverKept,
    RecorderResumed,
    RecorderSegmentStarted,
    RecorderStarted,
    RecorderStopped,
    RecorderTurnRecorded,
)
from rtpipe_plugins.sinks.recorder.options import RecorderOptions
from rtpipe_plugins.sinks.recorder.placement import Placement, began_at
from rtpipe_plugins.sinks.recorder.recording import Layout, Recording, RecordingShape
from rtpipe_plugins.sinks.recorder.segment import EVENTS, FileFormat
from rtpipe_plugins.sinks.recorder.turn_clips import TURN_EVENTS, TurnClips
from rtpipe_plugins.sound.time_stamps import JumpGuard, TimestampsRebased

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Finding

_RATE = 48_000
_LIVE_BATCH = _RATE // 10
_BATCH = 2 * _RATE
"""Samples that go to the disk at once; lost to a kill, when live."""
_LIVE_PATIENCE = _RATE // 2
"""Held back, and lost to a kill, while one of the voices is late or silent."""
_BATCH_PATIENCE = 60 * _RATE
"""Files arrive as fast as each can be read: no haste, but no hour of audio in memory either."""
_MOST_EVENTS = 10_000
"""Kept for the sidecar while no audio moves."""
_DISK_STATES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What may pass, while a wrong path does not."""


class Recorder(Sink[RecorderOptions]):
    """Records its inputs in time with each other; where one has no audio there is silence.

    - recorder: {path: out/%Y%m%d-%H%M%S.mka}
      from: [tone]
    """

    kind = "recorder"
    accepts = CANONICAL
    many_inlets = True
    inlet_policy = QueuePolicy(max_ms=10_000, when_full=WhenFull.DROP_OLDEST, trim=False)
    flushable = False
    publishes = (
        RecorderStarted,
        RecorderSegmentStarted,
        RecorderFailed,
        RecorderResumed,
        RecorderLeftoverKept,
        RecorderTurnRecorded,
        RecorderStopped,
        TimestampsRebased,
    )

    @classmethod
    def examine(cls, options: RecorderOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        return blocked_output(options.path)

    @classmethod
    def claims(cls, options: RecorderOptions) -> tuple[str, ...]:
        """Return the file, and its sidecar."""
        path = options.path.absolute()
        names = (path, path.with_suffix(EVENTS)) if options.sidecar else (path,)
        return tuple(f"file:{name}" for name in names)

    def __init__(self, options: RecorderOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._out: BackgroundWriter | None = None
        self._zero_s = 0.0
        self._late: set[int] = set()
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._turn_events: deque[Event] = deque(maxlen=_MOST_EVENTS)

    async def open(self) -> None:
        """See that the file can be written.

        Raises:
            StageError: The layout does not hold that many inputs.
            EnvironmentProblem: The file cannot be written. A full or read-only disk is none where
                the pipeline is live: the recording begins when there is space.
        """
        options = self.options
        self._inputs = self.ctx.inputs
        self._encoding = find_encoding(options.path, codec=options.codec)
        self._layout: Layout = options.layout_for(len(self._inputs))
        self._started_at = started_at(self.ctx)
        path = dated(options.path, self._started_at)
        try:
            taken = _is_held if options.overwrite else os.path.lexists
            reserve(free_name(path, taken), overwrite=options.overwrite)
        except EnvironmentProblem as problem:
            cause = problem.__cause__
            if not (self.ctx.live and isinstance(cause, OSError) and cause.errno in _DISK_STATES):
                raise
        if options.sidecar:
            self.ctx.on("*", self._events.append)
        if options.turns:
            self.ctx.on(TURN_EVENTS, self._turn_events.append)

    async def consume(self, frame: AudioFrame) -> None:
        """Record a frame of the only input."""
        await self.consume_at(frame, 0)

    async def consume_at(self, frame: AudioFrame, inlet: int) -> None:
        """Record a frame of the `inlet`-th input."""
        now_s = self.ctx.now()
        if self._out is None:
            await self._start(began_at(frame, now_s))
        assert self._out is not None
        self._aligner.patience = self._aligner.grace = self._patience
        data = audio.pcm(frame)[:, 0]
        at = self._placements[inlet].place(frame, now_s, quiet=_is_quiet(data))
        if at < 0:  # heard before the recording began
            data, at = data[-at:], 0
        data, at = self._caught_up(data, at, inlet)
        if len(data):
            for block in self._aligner.add(inlet, at, data):
                await self._out.write(block)

    async def drain(self) -> None:
        """Complete the recording."""
        await self._finish()

    async def close(self) -> None:
        """Complete the recording."""
        await self._finish()

    async def _finish(self) -> None:
        if self._out is None:
            return
        out, self._out = self._out, None
        try:
            if not out.ended:
                for block in self._aligner.rest():
                    await out.write(block)
                await out.flush()
        finally:
            self.ctx.publish(
                RecorderStopped(
                    path=str(self._recording.path),
                    duration_s=round(self._aligner.given / _RATE, 3),
                    segments=self._recording.segments,
                    lost_s=round(self._recording.lost / _RATE, 3),
                )
            )
            await out.close()

    def _caught_up(
        self, data: NDArray[np.int16], at: int, inlet: int
    ) -> tuple[NDArray[np.int16], int]:
        """Return where what comes too late goes: after what is there, and without its pauses.

        So no word is lost, and the next pause puts the voice back into its place in time.
        """
        late = self._aligner.earliest(inlet) - at
        if late <= 0:
            self._late.discard(inlet)
            return data, at
        if inlet not in self._late:
            self._late.add(inlet)
            self.ctx.log.warning(
                "%s came %.0f ms too late and is recorded later until its next pause",
                self._inputs[inlet],
                late * 1000 / _RATE,
            )
        if _is_quiet(data):
            data = data[late:]
        return data, at + late

    @property
    def _patience(self) -> int:
        return _LIVE_PATIENCE if self.ctx.live else _BATCH_PATIENCE

    async def _start(self, zero_s: float) -> None:
        from rtpipe_plugins.sound.alignment import Aligner

        self._zero_s = zero_s
        live = self.ctx.live
        self._placements = [Placement(zero_s, JumpGuard(self.ctx), live=live) for _ in self._inputs]
        self._aligner = Aligner(len(self._inputs), patience=self._patience, grace=self._patience)
        self._recording = self._new_recording(durable=live)
        self._out = BackgroundWriter(
            self._recording.path,
            self._recording.opened,
            batch=_LIVE_BATCH if live else _BATCH,
        )
        await self._out.flush()  # so that `recorder.started` comes before what happens in it

    def _new_recording(self, *, durable: bool) -> Recording:
        options, encoding = self.options, self._encoding
        seconds, largest = options.segment_s, encoding.max_bytes
        format = FileFormat(
            encoding,
            _RATE,
            layout="stereo" if self._layout == "stereo" else "mono",
            titles=self._inputs if self._layout == "tracks" else ("",),
            overwrite=options.overwrite,
            durable=durable,
        )
        if options.segment_mb is not None:
            asked = round(options.segment_mb * 1_000_000)
            largest = asked if largest is None else min(asked, largest)
        shape = RecordingShape(
            options.path,
            self._started_at,
            self._zero_s,
            self._inputs,
            self._layout,
            format,
            segment_samples=None if seconds is None else round(seconds * _RATE),
            segment_bytes=largest,
        )
        loop = asyncio.get_running_loop()

        def announce(event: Event) -> None:
            loop.call_soon_threadsafe(self.ctx.publish, event)

        clips = None
        if options.turns:
            ending = options.path.suffix
            clips = TurnClips(
                self._inputs, format, ending, self._zero_s, self._turn_events, announce
            )
        events = self._events if options.sidecar else None
        return Recording(shape, events, announce, clips)


def _is_held(path: Path) -> bool:
    """Return whether a file may not be overwritten: it is in use, or a link, which none follows."""
    return path.is_symlink() or is_locked(path)


def _is_quiet(data: NDArray[np.int16]) -> bool:
    return not len(data) or audio.peak(data) < audio.AUDIBLE

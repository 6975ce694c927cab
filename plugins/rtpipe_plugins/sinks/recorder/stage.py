"""`recorder`: several voices into one file, aligned, safe against a kill."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from rtpipe import (
    CANONICAL,
    EnvironmentProblem,
    Event,
    QueuePolicy,
    Sink,
    Specimen,
    StageContext,
    WhenFull,
    action,
)
from rtpipe_plugins.disk.keeping import FilesExpired, FilesSpaceLow, Keeping
from rtpipe_plugins.disk.locks import is_locked
from rtpipe_plugins.disk.output_path import StartTime, blocked_output, dated, free_name, reserve
from rtpipe_plugins.disk.path_pattern import EVENTS
from rtpipe_plugins.disk.records import Records
from rtpipe_plugins.disk.retention import useless_keep
from rtpipe_plugins.media.encoding import find_encoding
from rtpipe_plugins.sinks.recorder.events import (
    RecorderFailed,
    RecorderLeftoverKept,
    RecorderPaused,
    RecorderRecovered,
    RecorderResumed,
    RecorderSegmentStarted,
    RecorderSplit,
    RecorderStarted,
    RecorderStartedByAction,
    RecorderStopped,
    RecorderTurnRecorded,
)
from rtpipe_plugins.sinks.recorder.intake import RATE, Intake
from rtpipe_plugins.sinks.recorder.options import RecorderOptions
from rtpipe_plugins.sinks.recorder.ordered import OrderedRecording
from rtpipe_plugins.sinks.recorder.placement import began_at
from rtpipe_plugins.sinks.recorder.recording import Layout, Recording, RecordingShape
from rtpipe_plugins.sinks.recorder.segment import FileFormat
from rtpipe_plugins.sinks.recorder.switch import ORDERS, Switch
from rtpipe_plugins.sinks.recorder.turn_clips import TURN_BEGINS, TURN_EVENTS, TurnClips
from rtpipe_plugins.sound.time_stamps import TimestampsRebased

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe import AudioFrame, Finding
    from rtpipe.field_types import Place
    from rtpipe_plugins.disk.records import Tellable
    from rtpipe_plugins.sinks.recorder.switch import Order, State

_MOST_EVENTS = 10_000
"""Kept for the sidecar while no audio moves."""
_DISK_STATES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What may pass, while a wrong path does not."""
_NEW_FILE = (RecorderStarted, RecorderSegmentStarted)


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
    live = frozenset({"path", "segment_s", "segment_mb", "keep"})
    publishes = (
        RecorderStarted,
        RecorderStartedByAction,
        RecorderPaused,
        RecorderResumed,
        RecorderSplit,
        RecorderSegmentStarted,
        RecorderFailed,
        RecorderRecovered,
        RecorderLeftoverKept,
        RecorderTurnRecorded,
        RecorderStopped,
        TimestampsRebased,
        FilesExpired,
        FilesSpaceLow,
    )

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a name that is never taken."""
        yield Specimen({"path": folder / "%H%M%S-%f.mka"})

    @classmethod
    def examine(cls, options: RecorderOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        yield from blocked_output(options.path)
        yield from useless_keep(options.pattern, options.keep)

    @classmethod
    def claims(cls, options: RecorderOptions) -> tuple[str, ...]:
        """Return the file, and its sidecar."""
        path = options.path.absolute()
        names = (path, path.with_suffix(EVENTS)) if options.sidecar else (path,)
        return tuple(f"file:{name}" for name in names)

    _states: ClassVar[WeakKeyDictionary[Place, State]] = WeakKeyDictionary()
    """How each stood last: what was paused must not go on because another instance stands there."""

    @classmethod
    def change_heard(cls, options: RecorderOptions, to: RecorderOptions) -> str | None:
        """Return that a file is split where the other is of the same sort."""
        same = options.path.suffix == to.path.suffix
        return super().change_heard(options, to) if same else None

    def __init__(self, options: RecorderOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        first: State = "recording" if options.autostart else "stopped"
        self._switch = Switch(self._states.setdefault(ctx.place, first))
        self._intake: Intake | None = None
        self._recording: Recording | None = None
        self._paused_at_s = self._zero_s = 0.0
        self._keeping = Keeping(ctx, options.keep, options.pattern, self._written_to)
        self._records = Records(ctx, words=options.words)
        self._events: deque[Tellable] = deque(maxlen=_MOST_EVENTS)
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
        self._started_at = StartTime(self.ctx)
        self._reserve(options)
        if options.sidecar:
            self._records.listen()
            self.ctx.on("*", self._note)
        if options.turns:
            self.ctx.on(TURN_EVENTS, self._note_turn)
        self._keeping.start()

    def _reserve(self, options: RecorderOptions) -> None:
        path = dated(options.path, self._started_at.plus(0))
        try:
            taken = _is_held if options.overwrite else os.path.lexists
            reserve(free_name(path, taken), overwrite=options.overwrite)
        except EnvironmentProblem as problem:
            cause = problem.__cause__
            if not (self.ctx.live and isinstance(cause, OSError) and cause.errno in _DISK_STATES):
                raise

    def change(self, options: RecorderOptions) -> None:
        """Go on in another file, with no sample lost between the two; keep files by another rule.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        if options.path != self.options.path:
            self._reserve(options)
        keeps = self.options.model_copy(update={"keep": options.keep}) == options
        self.options = options
        self._keeping.change(options.keep, options.pattern)
        if self._intake is not None and not keeps:
            here = max(self._intake.here("split"), self._switch.turned_at)
            self._switch.turn("move", here)
            self._intake.move(self._shape(self._zero_s), here)

    @action
    def start(self) -> None:
        """Begin a recording, in a new file."""
        self._order("start")

    @action
    def stop(self) -> None:
        """Complete the recording, and take no more until `start`."""
        self._order("stop")

    @action
    def split(self) -> None:
        """Complete the file and go on in another, with no sample lost between them."""
        self._order("split")

    @action
    def pause(self) -> None:
        """Write nothing until `resume`: the file's time stands still, and nothing of it is kept."""
        if self._order("pause"):
            self._paused_at_s = self.ctx.now()
            self.ctx.publish(RecorderPaused(path=self._path))

    @action
    def resume(self) -> None:
        """Go on after `pause`, in the same file."""
        if self._order("resume"):
            paused_s = round(self.ctx.now() - self._paused_at_s, 3)
            self.ctx.publish(RecorderResumed(path=self._path, paused_s=paused_s))

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        return self._switch.why_not(action) if action in ORDERS else ""

    def gauge(self) -> str:
        """Return the recording's length and layout, or what keeps it."""
        if self._switch.state != "recording":
            return self._switch.state
        recording = self._recording
        if recording is not None and recording.fails:
            return "cannot write"
        seconds = 0.0 if recording is None else recording.recorded / RATE
        tracks = {"tracks": f"{len(self._inputs)} tracks"}.get(self._layout, self._layout)
        return f"● {seconds:.1f} s" + (f"  {tracks}" if len(self._inputs) > 1 else "")

    async def consume(self, frame: AudioFrame) -> None:
        """Record a frame of the only input."""
        await self.consume_at(frame, 0)

    async def consume_at(self, frame: AudioFrame, inlet: int) -> None:
        """Record a frame of the `inlet`-th input."""
        if self._intake is None:
            await self._begin(began_at(frame, self.ctx.now()))
        assert self._intake is not None
        await self._intake.take(frame, inlet)

    async def drain(self) -> None:
        """Complete the recording."""
        await self._finish()

    async def close(self) -> None:
        """Complete the recording."""
        try:
            await self._finish()
        finally:
            await self._keeping.close()

    async def _finish(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            await intake.finish()

    def _order(self, order: Order) -> bool:
        """Follow an order from here on; returns False where that is how it stands already."""
        intake = self._intake
        here = 0 if intake is None else max(intake.here(order), self._switch.turned_at)
        if not self._switch.turn(order, here):
            return False
        self._states[self.ctx.place] = self._switch.state
        if intake is not None:
            intake.order(order, here)
        return True

    @property
    def _path(self) -> str:
        if self._recording is None:
            return str(dated(self.options.path, self._started_at.plus(0)))
        return str(self._recording.path)

    def _written_to(self) -> Path | None:
        return None if self._recording is None else self._recording.path

    def _announce(self, event: Event) -> None:
        """Publish what the thread says."""
        self.ctx.publish(event)
        if isinstance(event, _NEW_FILE):
            self._keeping.look()

    def _note(self, event: Event) -> None:
        """Keep an event for the sidecar: none of a pause, and of its own all but the last."""
        own = event.source == self.ctx.id
        if own and event.type == RecorderStopped.type:
            return  # the thread writes it, before it closes the file and says so
        if own or self._switch.state == "recording":
            self._events.append(self._records.of(event))

    def _note_turn(self, event: Event) -> None:
        if self._switch.state == "recording" or event.type not in TURN_BEGINS:
            self._turn_events.append(event)

    async def _begin(self, zero_s: float) -> None:
        """Begin the timeline with the first audio."""
        loop = asyncio.get_running_loop()

        def announce(event: Event) -> None:
            loop.call_soon_threadsafe(self._announce, event)

        options, state = self.options, self._switch.state
        self._zero_s = zero_s
        shape = self._shape(zero_s)
        events = self._events if options.sidecar else None
        self._recording = Recording(shape, events, announce, by_itself=state == "recording")
        clips = None
        if options.turns:
            ending, turn_events = options.path.suffix, self._turn_events
            clips = TurnClips(self._inputs, shape.format, ending, zero_s, turn_events, announce)
        recording = OrderedRecording(self._recording, clips, state)
        self._intake = Intake(self.ctx, zero_s, self._switch, recording, self._recording.path)
        await self._intake.open()

    def _shape(self, zero_s: float) -> RecordingShape:
        options, encoding = self.options, self._encoding
        seconds, largest = options.segment_s, encoding.max_bytes
        format = FileFormat(
            encoding,
            RATE,
            layout="stereo" if self._layout == "stereo" else "mono",
            titles=self._inputs if self._layout == "tracks" else ("",),
            overwrite=options.overwrite,
            durable=self.ctx.live,
        )
        if options.segment_mb is not None:
            asked = round(options.segment_mb * 1_000_000)
            largest = asked if largest is None else min(asked, largest)
        return RecordingShape(
            self.ctx.id,
            options.path,
            self._started_at,
            zero_s,
            self._inputs,
            self._layout,
            format,
            segment_samples=None if seconds is None else round(seconds * RATE),
            segment_bytes=largest,
        )


def _is_held(path: Path) -> bool:
    """Return whether a file may not be overwritten: it is in use, or a link, which none follows."""
    return path.is_symlink() or is_locked(path)

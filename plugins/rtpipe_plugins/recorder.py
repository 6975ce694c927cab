"""`recorder`: several voices into one file, aligned, safe against a kill."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from rtpipe import (
    CANONICAL,
    AudioFrame,
    Event,
    ExitCode,
    Options,
    OutputPath,
    QueuePolicy,
    Sink,
    StageContext,
    StageError,
    WhenFull,
    audio,
)
from rtpipe_plugins.alignment import Aligner
from rtpipe_plugins.background_writer import BackgroundWriter
from rtpipe_plugins.encoding import Encoding, Writer, find_encoding, open_writer
from rtpipe_plugins.output_path import dated, free_name, reserve
from rtpipe_plugins.sidecar import WithSidecar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_RATE = 48_000
_FRAMES_A_BATCH = 10
_LIVE_PATIENCE = 2 * _RATE
_LIVE_GRACE = 2 * _RATE // 5
"""Held back, and lost to a kill, while one of the voices is silent."""
_BATCH_PATIENCE = 60 * _RATE
"""Files arrive as fast as each can be read: no haste, but no hour of audio in memory either."""
_MOST_EVENTS = 10_000
"""Kept for the sidecar while no audio moves."""

Layout = Literal["stereo", "tracks", "mix"]


@dataclass(frozen=True, kw_only=True)
class RecorderStarted(Event):
    """The first audio has arrived; the recording's time 0 is pipeline second `zero_s`."""

    type: str = "recorder.started"
    path: str
    tracks: tuple[str, ...]
    zero_s: float
    started_at: str


@dataclass(frozen=True, kw_only=True)
class RecorderStopped(Event):
    """The recording is complete."""

    type: str = "recorder.stopped"
    path: str
    duration_s: float


class RecorderOptions(Options):
    """A recording."""

    main: ClassVar[str | None] = "path"

    path: OutputPath
    """Where, with strftime fields (`%Y%m%d-%H%M%S`); .mka survives a kill best. If the file exists,
    the recording goes to `name-2`, `name-3`, …"""
    layout: Layout | None = None
    """tracks: a track for each input. stereo: the first input left, the second right. mix: all in
    one. By default tracks where the file can hold them (.mka, .mkv, .webm), else stereo for two
    inputs and mix for any other number."""
    codec: str | None = None
    """opus, flac, pcm, or any encoder of FFmpeg; by default what suits the file's ending."""
    overwrite: bool = False
    """Replace a file that exists."""
    sidecar: bool = True
    """Write the pipeline's events beside the recording, to `name.events.jsonl`, in its time."""

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        encoding = find_encoding(self.path, codec=self.codec)
        rates = encoding.sample_rates()
        if rates and _RATE not in rates:
            raise ValueError(f"{encoding.codec} does not take {_RATE} Hz")
        if self.layout == "tracks" and not encoding.many_tracks:
            raise ValueError(f"a {self.path.suffix} file holds one track; use .mka, or stereo")
        return self


class Recorder(Sink[RecorderOptions]):
    """Records its inputs in time with each other; where one has no audio there is silence."""

    kind = "recorder"
    accepts = CANONICAL
    many_inlets = True
    inlet_policy = QueuePolicy(max_ms=10_000, when_full=WhenFull.DROP_OLDEST, trim=False)
    flushable = False
    publishes = (RecorderStarted, RecorderStopped)

    @classmethod
    def claims(cls, options: RecorderOptions) -> str:
        """Return the file."""
        return f"file:{options.path.absolute()}"

    def __init__(self, options: RecorderOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._out: BackgroundWriter | None = None
        self._zero_s = 0.0
        self._origins: dict[int, int] = {}
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)

    async def open(self) -> None:
        """Find a name for the file and see that it can be written.

        Raises:
            StageError: The layout does not hold that many inputs.
            EnvironmentProblem: The file cannot be written.
        """
        options = self.options
        self._inputs = self.ctx.inputs
        self._encoding = find_encoding(options.path, codec=options.codec)
        self._layout: Layout = options.layout or _default_layout(self._encoding, len(self._inputs))
        if self._layout == "stereo" and len(self._inputs) > 2:
            raise StageError(
                f"stereo holds two inputs, not {len(self._inputs)}",
                help="use `layout: tracks` (with .mka) or `layout: mix`",
                exit_code=ExitCode.CONFIGURATION,
            )
        path = dated(options.path, self.ctx)
        if not options.overwrite:
            path = free_name(path)
        self._path = reserve(path, overwrite=options.overwrite)
        if options.sidecar:
            self.ctx.on("*", self._events.append)

    async def consume(self, frame: AudioFrame) -> None:
        """Record a frame of the only input."""
        await self.consume_at(frame, 0)

    async def consume_at(self, frame: AudioFrame, inlet: int) -> None:
        """Record a frame of the `inlet`-th input."""
        if inlet not in self._origins:
            self._begin(frame, inlet)
        assert self._out is not None
        data = audio.pcm(frame)[:, 0]
        at = self._origins[inlet] + (frame.pts or 0)
        if at < 0:  # heard before the recording began
            data, at = data[-at:], 0
        late = self._aligner.earliest(inlet) - at
        if late > 0:
            self.ctx.log.warning(
                "%s came %.0f ms too late and is recorded later from here on",
                self._inputs[inlet],
                late * 1000 / _RATE,
            )
            self._origins[inlet] += late
            at += late
        if len(data):
            for block in self._aligner.add(inlet, at, data):
                await self._out.write(*_tracks(block, self._layout))

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
        for block in () if out.ended else self._aligner.rest():
            await out.write(*_tracks(block, self._layout))
        duration_s = round(self._aligner.given / _RATE, 3)
        self.ctx.publish(RecorderStopped(path=str(self._path), duration_s=duration_s))
        await out.close()

    def _begin(self, frame: AudioFrame, inlet: int) -> None:
        """Find the place of an input's pts 0 on the recording's timeline."""
        live = self.ctx.frame_ms == 20
        pts = frame.pts or 0
        start_s = audio.meta(frame).captured_at
        if start_s is None:
            start_s = self.ctx.now() if live else pts / _RATE
        if self._out is None:
            self._start(start_s if live else 0.0, live=live)
        self._origins[inlet] = round((start_s - self._zero_s) * _RATE) - pts

    def _start(self, zero_s: float, *, live: bool) -> None:
        self._zero_s = zero_s
        self._aligner = Aligner(
            len(self._inputs),
            patience=_LIVE_PATIENCE if live else _BATCH_PATIENCE,
            grace=_LIVE_GRACE if live else _BATCH_PATIENCE,
        )
        names = self._inputs if self._layout == "tracks" else ("",)
        layout = "stereo" if self._layout == "stereo" else "mono"
        self._out = BackgroundWriter(
            self._path,
            partial(self._opened, layout, names),
            batch=_RATE * self.ctx.frame_ms // 1000 * _FRAMES_A_BATCH,
        )
        self.ctx.publish(
            RecorderStarted(
                path=str(self._path),
                tracks=self._inputs,
                zero_s=round(zero_s, 4),
                started_at=datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"),
            )
        )

    def _opened(self, layout: str, names: Sequence[str]) -> Writer:
        writer = open_writer(self._path, self._encoding, _RATE, layout, names)
        if not self.options.sidecar:
            return writer
        return WithSidecar(writer, self._path, self._events, self._zero_s)


def _default_layout(encoding: Encoding, inputs: int) -> Layout:
    if encoding.many_tracks:
        return "tracks"
    return "stereo" if inputs == 2 else "mix"


def _tracks(block: NDArray[np.int16], layout: Layout) -> list[NDArray[np.int16]]:
    """Return the file's tracks, shape (samples, channels) each, of the inputs in `block`."""
    if layout == "tracks":
        return list(np.hsplit(block, block.shape[1]))
    if layout == "stereo":
        return [block[:, [0, -1]]]  # a single input is heard on both sides
    total = block.sum(axis=1, dtype=np.int32)
    return [np.clip(total, -32768, 32767).astype(np.int16)[:, None]]

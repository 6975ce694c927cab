"""`mix`: several streams become one, each at its own level, one of them softer under another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rtpipe import CANONICAL, ExitCode, Options, StageContext, StageError, Transform, audio
from rtpipe_plugins.sound.limiter import limit
from rtpipe_plugins.sound.time_stamps import JumpGuard, TimestampsRebased
from rtpipe_plugins.transforms.mix.ducking import Duck, Ducker

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame
    from rtpipe_plugins.sound.alignment import Aligner

_RATE = 48_000
_PATIENCE = 60 * _RATE // 1000
_GRACE = 40 * _RATE // 1000
"""Held back while one of the live inputs is silent, so that it can come back in its place."""
_BATCH_PATIENCE = 600 * _RATE
"""Files arrive as fast as each can be read, and none of them is late."""

Decibels = Annotated[float, Field(ge=-120, le=60)]


class MixOptions(Options):
    """How loud each input is."""

    gains: dict[str, Decibels] = Field(default={})
    """By id of the input (dB); one that is not named keeps its level."""
    duck: Duck | None = None
    """Make the other inputs softer while one is heard: music under speech."""


class Mix(Transform[MixOptions]):
    """Mixes its inputs; a soft-knee limiter bends peaks above -3 dBFS.

    - mix: {gains: {music: -6}, duck: {by: realtime, gain_db: -18}}
      from: [realtime, music]

    Inputs are aligned by the time at which they were heard (files: from their beginnings). A live
    input that lags by more than 60 ms is silence from there on until it comes back. The mix is as
    long as the longest input; where none has audio it has a hole.
    """

    kind = "mix"
    publishes = (TimestampsRebased,)
    accepts = CANONICAL
    many_inlets = True

    def __init__(self, options: MixOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._ended: set[int] = set()
        self._origins: dict[int, int] = {}
        self._ends: dict[int, int] = {}  # where each input's latest frame ended
        self._guards = [JumpGuard(ctx) for _ in ctx.inputs]
        self._zero: tuple[float, int] | None = None  # the first frame's second, and its pts
        self._by_clock = False  # whether that second is the pipeline's
        self._floor = 0
        self._line: _Line | None = None

    async def open(self) -> None:
        """See that every id is one of an input.

        Raises:
            StageError: One is not.
        """
        inputs, duck = self.ctx.inputs, self.options.duck
        for id in [*self.options.gains, *([duck.by] if duck else [])]:
            if id not in inputs:
                raise StageError(
                    f"the mix has no input `{id}`",
                    help=f"its inputs are {', '.join(inputs)}",
                    exit_code=ExitCode.CONFIGURATION,
                )
        self._gains = [10 ** (self.options.gains.get(id, 0.0) / 20) for id in inputs]
        self._ducker = None if duck is None else Ducker(duck)
        self._ducked_by = None if duck is None else inputs.index(duck.by)

    def reset(self) -> None:
        """Forget what is held; the timeline goes on."""
        if self._line is not None:
            self._floor = max(self._floor, self._line.given)
            self._line = None

    def process(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what a frame of the only input makes complete."""
        return self.process_at(frame, 0)

    def process_at(self, frame: AudioFrame, inlet: int) -> Iterator[AudioFrame]:
        """Yield what a frame of an input makes complete."""
        from rtpipe_plugins.sound.alignment import Aligner

        data = audio.pcm(frame)[:, 0]
        at = self._place(frame, inlet)
        live = self.ctx.live
        patience, grace = (_PATIENCE, _GRACE) if live else (_BATCH_PATIENCE, _BATCH_PATIENCE)
        if self._line is None:
            self._floor = max(self._floor, at if live else 0)
            self._line = _Line(
                Aligner(len(self.ctx.inputs), patience=patience, grace=grace), self._floor
            )
        self._line.wait(patience, grace)
        early = min(self._floor - at, len(data))
        if early > 0:  # heard before the mix began
            data, at = data[early:], at + early
        late = self._line.earliest(inlet) - at
        if late > 0:
            self._origins[inlet] += late
            at += late
        if len(data):
            for pts, block in self._line.add(inlet, at, data):
                yield self._mixed(pts, block)
            yield from self._without_the_ended()

    def ended_at(self, inlet: int) -> Iterator[AudioFrame]:
        """Yield what need not wait for that input any more."""
        self._ended.add(inlet)
        return self._without_the_ended()

    def finish(self) -> Iterator[AudioFrame]:
        """Yield the rest."""
        if self._line is not None:
            for pts, block in self._line.rest():
                yield self._mixed(pts, block)

    def _without_the_ended(self) -> Iterator[AudioFrame]:
        for inlet in self._ended if self._line is not None else ():
            assert self._line is not None
            for pts, block in self._line.silence(inlet):
                yield self._mixed(pts, block)

    def _origin(self, frame: AudioFrame, inlet: int) -> int:
        """Return the place of an input's pts 0 on the timeline, which is the first input's pts."""
        if inlet not in self._origins:
            pts = frame.pts or 0
            if self._zero is None:
                self._by_clock = self.ctx.live
            heard_s = audio.meta(frame).captured_at
            if heard_s is None:
                heard_s = self.ctx.now() if self._by_clock else pts / _RATE
            zero_s, zero_pts = self._zero = self._zero or (heard_s, pts)
            self._origins[inlet] = round((heard_s - zero_s) * _RATE) + zero_pts - pts
        return self._origins[inlet]

    def _place(self, frame: AudioFrame, inlet: int) -> int:
        at = self._origin(frame, inlet) + (frame.pts or 0)
        jump = at - self._ends.get(inlet, at)
        unreal = jump - self._guards[inlet].hole(jump, frame) if jump > 0 else 0
        self._origins[inlet] -= unreal
        self._ends[inlet] = at - unreal + frame.samples
        return at - unreal

    def _mixed(self, pts: int, block: NDArray[np.int16]) -> AudioFrame:
        """Return the sum of what the inputs hold at a place, shape (samples, inputs)."""
        import numpy as np

        total = np.zeros(len(block), np.float32)
        ducked: NDArray[np.float32] | None = None
        if self._ducker is not None:
            ducked = self._ducker.factors(pts, block[:, self._ducked_by])
        for number, gain in enumerate(self._gains):
            part = block[:, number] * np.float32(gain)
            if ducked is not None and number != self._ducked_by:
                part *= ducked
            total += part
        limit(total, sum(self._gains))
        made = audio.from_pcm(audio.to_s16(total), sample_rate=_RATE, pts=pts)
        if self._zero is not None and self._by_clock and self.ctx.live:
            zero_s, zero_pts = self._zero
            audio.meta(made).captured_at = zero_s + (pts - zero_pts) / _RATE
        return made


class _Line:
    """An aligner whose timeline begins somewhere, and which tells holes from silence."""

    def __init__(self, aligner: Aligner, begin: int) -> None:
        self._aligner = aligner
        self._begin = begin
        self._furthest = 0
        self._heard: list[tuple[int, int]] = []  # from, to: where some input has audio

    @property
    def given(self) -> int:
        return self._begin + self._aligner.given

    def earliest(self, track: int) -> int:
        return self._begin + self._aligner.earliest(track)

    def add(
        self, track: int, at: int, data: NDArray[np.int16]
    ) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """Put samples at their place; yield what is complete, with its place."""
        start = at - self._begin
        self._hear(start, start + len(data))
        yield from self._audible(self._aligner.add(track, start, data))

    def wait(self, patience: int, grace: int) -> None:
        """Wait that long from now on for who is late (samples)."""
        self._aligner.patience, self._aligner.grace = patience, grace

    def silence(self, track: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """Let a track that has ended reach as far as any; yield what that makes complete."""
        import numpy as np

        at = self._aligner.earliest(track)
        if at < self._furthest:
            quiet = np.zeros(self._furthest - at, np.int16)
            yield from self._audible(self._aligner.add(track, at, quiet))

    def rest(self) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """Yield what is held."""
        yield from self._audible(self._aligner.rest())

    def _hear(self, start: int, end: int) -> None:
        self._furthest = max(self._furthest, end)
        touching = [(a, b) for a, b in self._heard if a <= end and b >= start]
        apart = [(a, b) for a, b in self._heard if a > end or b < start]
        joined = (min([start, *(a for a, _ in touching)]), max([end, *(b for _, b in touching)]))
        self._heard = sorted([*apart, joined])

    def _audible(
        self, blocks: Iterator[NDArray[np.int16]]
    ) -> Iterator[tuple[int, NDArray[np.int16]]]:
        for block in blocks:
            end = self._aligner.given
            begin = end - len(block)
            for start, stop in self._heard:
                first, last = max(start, begin), min(stop, end)
                if first < last:
                    yield self._begin + first, block[first - begin : last - begin]
            self._heard = [(a, b) for a, b in self._heard if b > end]

"""`level`: a level meter (peak, RMS, clipping); changes nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import Field

from rtpipe import AudioFormat, Event, Importance, Options, StageContext, Transform, audio

if TYPE_CHECKING:
    import numpy as np

    from rtpipe import AudioFrame

_FLOOR_DBFS = -120.0
_FULL_SCALE = 32768
_LOUDEST = 32767


class LevelOptions(Options):
    """How often to measure."""

    main: ClassVar[str | None] = "interval_ms"

    interval_ms: Annotated[float, Field(ge=10, le=3_600_000)] = 100.0
    """How much audio a measurement is taken over (ms)."""
    ebur128: bool = False
    """Measure the loudness after EBU R 128, too (LUFS); costs ten times as much."""


@dataclass(frozen=True, kw_only=True)
class LevelMeasured(Event):
    """How loud the last interval was.

    Attributes:
        at_ms: Media time at which the interval ended.
        peak_dbfs: Of the loudest sample; -120 for silence.
        rms_dbfs: As `audio.level_dbfs`: a full-scale sine has -3 dBFS.
        clips: How many samples stand at full scale.
        lufs: Momentary loudness (the last 400 ms) with `ebur128`, else None.
        lufs_integrated: Loudness since the stream began with `ebur128`, else None.
    """

    importance = Importance.DETAIL
    type: str = "level"
    at_ms: int
    peak_dbfs: float
    rms_dbfs: float
    clips: int
    lufs: float | None = None
    lufs_integrated: float | None = None


class Level(Transform[LevelOptions]):
    """Publishes the peak, the RMS level and the clipped samples of each interval; changes nothing.

    - level: 500
    - level: {interval_ms: 1000, ebur128: true}

    Intervals are counted in media time from pts 0, and one in which nothing came is not told of.
    """

    kind = "level"
    accepts = AudioFormat(format="s16")
    publishes = (LevelMeasured,)
    live = frozenset({"interval_ms", "ebur128"})

    def __init__(self, options: LevelOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._format: AudioFormat | None = None
        self._interval: _Interval | None = None
        self._loudness: _Loudness | None = None

    def change(self, options: LevelOptions) -> None:
        """Tell of the interval that is going on, and measure otherwise from there on."""
        self.finish()
        self._format = None
        self.options = options

    def reset(self) -> None:
        """Forget what was measured."""
        self._format = self._interval = self._loudness = None

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame` as it is."""
        if self._format is None or not self._format.admits(frame):
            self.finish()
            self._format = AudioFormat.of(frame)
            self._loudness = _Loudness(self._format) if self.options.ebur128 else None
        if self._loudness is not None:
            self._loudness.hear(frame)
        samples, pts, rate = audio.pcm(frame), frame.pts or 0, frame.sample_rate
        at = 0
        while at < len(samples):
            number = int((pts + at) * 1000 / (rate * self.options.interval_ms))
            if self._interval is None or self._interval.number != number:
                self.finish()
                end_ms = (number + 1) * self.options.interval_ms
                self._interval = _Interval(number, -int(-end_ms * rate // 1000), round(end_ms))
            upto = max(at + 1, min(self._interval.end - pts, len(samples)))
            self._interval.hear(samples[at:upto])
            at = upto
            if pts + at >= self._interval.end:
                self.finish()
        return frame

    def finish(self) -> None:
        """Tell of the interval that is going on."""
        interval, self._interval = self._interval, None
        if interval is None:
            return
        loudness = _Reading() if self._loudness is None else self._loudness.until(interval.end)
        self.ctx.publish(
            LevelMeasured(
                at_ms=interval.end_ms,
                peak_dbfs=_dbfs((interval.peak / _FULL_SCALE) ** 2),
                rms_dbfs=_dbfs(interval.energy / interval.count / _FULL_SCALE**2),
                clips=interval.clips,
                lufs=loudness.momentary,
                lufs_integrated=loudness.integrated,
            )
        )


class _Interval:
    """What was heard in one interval; whole numbers, so that their order makes no difference."""

    def __init__(self, number: int, end: int, end_ms: int) -> None:
        self.number = number
        self.end = end
        self.end_ms = end_ms
        self.peak = self.energy = self.clips = self.count = 0

    def hear(self, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> None:
        import numpy as np

        flat = samples.ravel()
        peak = audio.peak(flat)
        exact = flat.astype(np.float64)  # as whole numbers are, up to 2**53: 20 s in one frame
        self.peak = max(self.peak, peak)
        self.energy += int(np.dot(exact, exact))
        if peak >= _LOUDEST:
            self.clips += int(np.count_nonzero((flat >= _LOUDEST) | (flat <= -_FULL_SCALE)))
        self.count += len(flat)


class _Reading(NamedTuple):
    """What EBU R 128's meter shows (LUFS).

    Attributes:
        end: The pts at which it showed that.
        momentary: Over 400 ms.
        integrated: Since the stream began.
    """

    end: int = 0
    momentary: float | None = None
    integrated: float | None = None


class _Loudness:
    """FFmpeg's meter, which reads ten times a second; holes are left out."""

    def __init__(self, format: AudioFormat) -> None:
        from rtpipe_plugins.sound.filtergraph import Filtergraph

        self._graph = Filtergraph("ebur128=metadata=1", format)
        self._heard = 0
        self._read = 0
        self._readings: deque[_Reading] = deque()
        self._latest = _Reading()

    def hear(self, frame: AudioFrame) -> None:
        shift = (frame.pts or 0) - self._heard
        self._heard += frame.samples
        for made in self._graph.push(frame):
            self._read += made.samples
            shown = made.metadata
            self._readings.append(
                _Reading(
                    shift + self._read,
                    _lufs(shown["lavfi.r128.M"]),
                    _lufs(shown["lavfi.r128.I"]),
                )
            )

    def until(self, pts: int) -> _Reading:
        """Return what the meter showed last up to a place in the stream."""
        while self._readings and self._readings[0].end <= pts:
            self._latest = self._readings.popleft()
        return self._latest


def _lufs(text: str) -> float:
    return max(round(float(text), 1), _FLOOR_DBFS)


def _dbfs(power: float) -> float:
    import numpy as np

    return round(10 * float(np.log10(power)), 2) if power > 1e-12 else _FLOOR_DBFS

"""Levels: how loud each stage is that gives out or takes audio, while somebody looks."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from rtpipe import audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import AudioFrame, Event, Pipeline

FLOOR_DBFS = -120.0
HISTORY_S = 20.0
_STEP_S = 0.25
_FULL_SCALE = 32768.0


class Meter:
    """The RMS level and the peak of what came since they were last asked for."""

    __slots__ = ("_count", "_peak", "_squares")

    def __init__(self) -> None:
        self._squares, self._count, self._peak = 0.0, 0, 0.0

    def take(self, frame: AudioFrame) -> None:
        """Measure a frame, all channels together."""
        import numpy as np

        data = audio.pcm(frame).ravel()
        if not len(data):
            return
        scale = _FULL_SCALE if data.dtype.kind == "i" else 1.0
        values = data.astype(np.float32, copy=False)
        self._squares += float(values.dot(values)) / scale**2
        self._count += len(data)
        highest, lowest = np.maximum.reduce(data), np.minimum.reduce(data)
        self._peak = max(self._peak, float(highest) / scale, -float(lowest) / scale)

    def read(self) -> tuple[float, float] | None:
        """Return RMS and peak (dBFS) since the last time; None where nothing came."""
        if not self._count:
            return None
        rms = math.sqrt(self._squares / self._count)
        peak, self._squares, self._count, self._peak = self._peak, 0.0, 0, 0.0
        return _dbfs(rms), _dbfs(peak)


class Levels:
    """The meters of a pipeline's stages.

    Args:
        pipeline: Whose.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._meters: dict[str, Meter] = {}
        self._ends: list[Callable[[], None]] = []
        self._history: deque[tuple[float, dict[str, float]]] = deque()
        pipeline.bus.subscribe("pipeline.reloaded", self._begin_again)

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return bool(self._ends)

    def start(self) -> None:
        """Listen to every stage."""
        self._meters = {state.id: Meter() for state in self._pipeline.state()}
        tap = self._pipeline.tap_output
        self._ends = [tap(id, meter.take) for id, meter in self._meters.items()]

    def stop(self) -> None:
        """Listen no more."""
        for end in self._ends:
            end()
        self._ends = []

    def _begin_again(self, _: Event) -> None:
        """Listen to the stages that there are now."""
        if self.running:
            self.stop()
            self.start()

    def read(self) -> dict[str, tuple[float, float]]:
        """Return RMS and peak (dBFS) of the stages from which anything came since the last time."""
        read = {id: meter.read() for id, meter in self._meters.items()}
        levels = {id: level for id, level in read.items() if level is not None}
        now = self._pipeline.clock.now()
        if not self._history or now - self._history[-1][0] >= _STEP_S - 0.01:
            self._history.append((round(now, 2), {id: level[0] for id, level in levels.items()}))
        while now - self._history[0][0] > HISTORY_S:
            self._history.popleft()
        return levels

    def history(self) -> list[tuple[float, dict[str, float]]]:
        """Return the RMS levels of the last 20 s, four times a second, as far as they were read."""
        return [*self._history]


def _dbfs(value: float) -> float:
    return round(max(FLOOR_DBFS, 20 * math.log10(value)), 1) if value > 0 else FLOOR_DBFS

"""Ducking: some inputs become softer while another is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rtpipe import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATE = 48_000
_SLICE = _RATE // 100


class Duck(Options):
    """Who is made softer while whom one hears."""

    by: str
    """The id of the input under which the others become softer."""
    gain_db: Annotated[float, Field(ge=-120, le=0)] = -12.0
    """By how much (dB)."""
    threshold_dbfs: Annotated[float, Field(ge=-120, le=0)] = -45.0
    """How loud that input must be to count as heard (dBFS)."""
    attack_ms: Annotated[float, Field(ge=0, le=10_000)] = 30.0
    """How long the others take to become softer (ms)."""
    release_ms: Annotated[float, Field(ge=0, le=60_000)] = 600.0
    """How long they take to come back (ms)."""


class Ducker:
    """Turns the level of one input into factors for the others, 10 ms after it was heard."""

    def __init__(self, duck: Duck) -> None:
        self._slope_db = duck.gain_db
        self._least = _SLICE * (32768 * 10 ** (duck.threshold_dbfs / 20)) ** 2
        self._attack = 1 / max(duck.attack_ms * _RATE / 1000, 1)
        self._release = 1 / max(duck.release_ms * _RATE / 1000, 1)
        self._depth = 0.0  # where the slice began; 1 is ducked
        self._step = 0.0
        self._energy = 0
        self._expected = 0

    def factors(self, pts: int, leader: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return a factor for each sample, the same however the stream is cut."""
        import numpy as np

        hole = pts - self._expected
        if hole > 0:
            self._depth = max(self._depth - hole * self._release, 0.0)
            self._step, self._energy = -self._release, 0
        self._expected = pts + len(leader)
        factors = np.empty(len(leader), np.float32)
        at = 0
        while at < len(leader):
            offset = (pts + at) % _SLICE
            count = min(_SLICE - offset, len(leader) - at)
            factors[at : at + count] = self._slice(offset, count)
            part = leader[at : at + count].astype(np.float64)
            self._energy += int(np.dot(part, part))
            at += count
            if offset + count == _SLICE:
                self._depth = min(max(self._depth + self._step * _SLICE, 0.0), 1.0)
                self._step = self._attack if self._energy >= self._least else -self._release
                self._energy = 0
        return factors

    def _slice(self, offset: int, count: int) -> NDArray[np.float64] | float:
        """Return the factors of a part of the slice that is going on; one, where it is settled."""
        import numpy as np

        if self._depth == 0.0 and self._step <= 0.0:
            return 1.0
        if self._depth == 1.0 and self._step >= 0.0:
            return float(np.power(10.0, self._slope_db / 20))
        places = np.arange(offset + 1, offset + count + 1)
        depths = np.clip(self._depth + self._step * places, 0.0, 1.0)
        factors: NDArray[np.float64] = np.power(10.0, depths * self._slope_db / 20)
        return factors

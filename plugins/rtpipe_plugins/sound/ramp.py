"""Ramps: from one volume to another without a click."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Ramp:
    """A straight way from one factor to another, the same however the stream is cut.

    Args:
        start: Factor.
        target: Factor.
        ramp_ms: How long the way takes (ms).
    """

    def __init__(self, start: float, target: float, ramp_ms: float) -> None:
        self.start = self.reached = start
        self.target = target
        self.done = False
        self._ramp_ms = ramp_ms
        self._passed = 0

    def factors(self, count: int, sample_rate: int) -> NDArray[np.float32]:
        """Return the factors of the next `count` samples, shape (count, 1)."""
        import numpy as np  # here: a stage that is only looked at imports this module at its top

        length = max(1, round(self._ramp_ms * sample_rate / 1000))
        place = np.arange(self._passed + 1, self._passed + count + 1)
        way = self.start + (self.target - self.start) * (place / length)
        way[place >= length] = self.target
        self._passed += count
        self.done = self._passed >= length
        self.reached = float(way[-1])
        return way.astype(np.float32).reshape(-1, 1)


class Fader:
    """Multiplies samples by a factor, and goes to another on a ramp; at 1 they stay as they are.

    Args:
        factor: To begin with.
        ramp_ms: How long a change takes (ms).
    """

    def __init__(self, factor: float, ramp_ms: float) -> None:
        self.target = factor
        """Where to go; may be set in any thread."""
        self._ramp_ms = ramp_ms
        self._ramp = Ramp(factor, factor, 0.0)
        self._ramp.done = True

    def settle(self) -> None:
        """Be at the target without a ramp: what goes by is silence."""
        self._ramp = Ramp(self.target, self.target, 0.0)
        self._ramp.done = True

    def applied(self, data: NDArray[np.int16], sample_rate: int) -> NDArray[np.int16]:
        """Return the next samples, shape (samples, channels), as loud as they are to be."""
        import numpy as np

        target = self.target
        if self._ramp.target != target:
            self._ramp = Ramp(self._ramp.reached, target, self._ramp_ms)
        if not self._ramp.done and len(data):
            return audio.to_s16(data * self._ramp.factors(len(data), sample_rate))
        if target == 1.0:
            return data
        return audio.to_s16(data * target) if target else np.zeros_like(data)

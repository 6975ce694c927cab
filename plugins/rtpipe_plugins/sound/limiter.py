"""Soft-knee limiter: peaks bend below full scale instead of being cut off there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PEAK = 32767.0
KNEE = 10 ** (-3 / 20) * _PEAK
"""-3 dBFS: what is below it stays as it is."""
_ROOM = _PEAK - KNEE


def limit(samples: NDArray[np.float32], loudest: float | NDArray[np.float32]) -> None:
    """Bend what lies above the knee, in place, so that the loudest possible sum ends at full scale.

    The curve leaves the knee with slope 1, so there is no corner to hear, and it straightens as
    `loudest` goes to 1, so a ramp through 0 dB has no step.

    Args:
        samples: On the scale of s16, of any shape.
        loudest: What full scale was multiplied by to get them: one factor, or one for each, in a
            shape that fits. 1 or less: nothing bends.
    """
    import numpy as np  # here: a stage that is only looked at imports this module at its top

    magnitude = np.abs(samples)
    excess = np.maximum(magnitude - KNEE, 0.0)
    above_one = np.maximum(np.asarray(loudest, np.float32), 1.0)
    curvature = 1.0 / _ROOM - 1.0 / (above_one * _PEAK - KNEE)
    np.minimum(magnitude, KNEE, out=magnitude)
    magnitude += excess / (1.0 + excess * curvature)
    np.copysign(magnitude, samples, out=samples)

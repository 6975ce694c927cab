"""Clock drift: how far apart two clocks run, and how much is to be made up for it."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event

_MOST = 1e-3
"""No ear hears a voice 0.1 % too fast or too slow: 1.7 cents."""
_BANDWIDTH = 0.02
"""Of the loop (rad/s): far below the jitter of a network, fast enough for a crystal that warms."""
_SMOOTHING_S = 2.0
_WARM_UP_S = 5.0
_SLOPE_S = 15.0
"""After so long a change that is out of tolerance tells the drift well enough to begin with."""
_KNOWN_S = 60.0
"""After so long any change tells it to some 20 ppm."""

SHORTENED = "shortened"
"""In a frame's extra: by which part of its length it has been made shorter, where it has been."""


@dataclass(frozen=True, kw_only=True)
class DriftMeasured(Event):
    """How much faster the device's clock runs than what it is measured by; told once a minute."""

    type: str = "device.drift_measured"
    ppm: float


def in_words(ppm: float | None) -> str:
    """Return a drift for the status line; "" while it is not known."""
    return "" if ppm is None else f"{ppm:+.0f} ppm"


class DriftControl:
    """Keeps an amount of audio where it is by making what comes a little shorter or longer.

    It learns the amount in the first 5 s, and again after each jump: two clocks that run apart are
    its business; that too much or too little waits is not, since it can wait for a silence. Nothing
    is corrected, so that audio stays bit-exact, until the amount has gone by more than a tolerance:
    clocks that run alike never get there.

    Args:
        tolerance_s: How far it may go before anything is done (s).
    """

    def __init__(self, *, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._target_s = 0.0
        self._smooth_s: float | None = None
        self._elapsed_s = 0.0
        self._drift: float | None = None
        self._engaged = False

    @property
    def ppm(self) -> float | None:
        """How much faster audio comes than it goes, in millionths; None until that is known."""
        return None if self._drift is None else self._drift * 1e6

    @property
    def amount_s(self) -> float:
        """How much there is, without the jitter (s)."""
        return self._smooth_s or 0.0

    def update(self, amount_s: float, passed_s: float) -> float:
        """Return by which part of its length what comes now must be shortened.

        Args:
            amount_s: How much there is (s).
            passed_s: The time since the last update (s).
        """
        if self._smooth_s is None:
            self._smooth_s = amount_s
        self._smooth_s += (amount_s - self._smooth_s) * min(1.0, passed_s / _SMOOTHING_S)
        self._elapsed_s += passed_s
        drift = self._drift or 0.0
        if self._elapsed_s < _WARM_UP_S:
            self._target_s = self._smooth_s
            return drift if self._engaged else 0.0
        error_s = self._smooth_s - self._target_s
        if not self._engaged:
            self._engaged = abs(error_s) > self._tolerance_s
            if self._elapsed_s > (_SLOPE_S if self._engaged else _KNOWN_S):
                slope = error_s / (self._elapsed_s - _WARM_UP_S)
                self._drift = max(-_MOST, min(_MOST, slope))
            return 0.0
        wanted = 2 * _BANDWIDTH * error_s + drift
        correction = max(-_MOST, min(_MOST, wanted))
        if correction == wanted:  # at its limit it learns nothing
            self._drift = drift + _BANDWIDTH**2 * error_s * passed_s
        return correction

    def jumped(self) -> None:
        """Say that the amount has jumped: it is to stay from now on as it then is."""
        self._smooth_s = None
        self._elapsed_s = 0.0

    def moved(self, by_s: float) -> None:
        """Say that so much more (s) has been put there on purpose, and is to stay."""
        if self._smooth_s is not None:
            self._smooth_s += by_s
            self._target_s += by_s

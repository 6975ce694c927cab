"""Gain: louder or softer, without clicks and without wrapping round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

from pydantic import Field

from rtpipe import AudioFormat, Options, StageError, Transform, action, audio
from rtpipe_plugins.sound.limiter import KNEE, limit
from rtpipe_plugins.sound.ramp import Ramp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext

_LEAST_DB, _MOST_DB = -120.0, 60.0
_PEAK = 32767.0

Decibels: TypeAlias = Annotated[float, Field(ge=_LEAST_DB, le=_MOST_DB)]


class GainOptions(Options):
    """Make it louder or softer."""

    main: ClassVar[str | None] = "gain_db"

    gain_db: Decibels = 0.0
    """By how much (dB); negative is softer."""
    mute: bool = False
    """Start muted."""
    ramp_ms: Annotated[float, Field(ge=0, le=10_000)] = 20.0
    """How long a change takes, so that it makes no click (ms)."""
    limiter: bool = True
    """Bend peaks above -3 dBFS so that amplified audio stays below full scale. Without it they
    are cut off there, which sounds harsh."""


class Gain(Transform[GainOptions]):
    """Changes the volume; what was silent stays silent, and nothing is delayed.

    - gain: -6
    """

    kind = "gain"
    accepts = AudioFormat(format="s16")
    mutates = True
    live = frozenset({"gain_db", "mute", "ramp_ms", "limiter"})

    @classmethod
    def change_heard(cls, options: GainOptions, to: GainOptions) -> str | None:
        """Return that the volume fades."""
        same = (options.gain_db, options.mute) == (to.gain_db, to.mute)
        return "nothing" if same else f"a fade of {to.ramp_ms:g} ms"

    def __init__(self, options: GainOptions, ctx: StageContext) -> None:
        import numpy as np

        super().__init__(options, ctx)
        self._gain_db = options.gain_db
        self._muted = options.mute
        self._target = self._wanted()
        self._ramp: Ramp | None = None
        self._steady = np.array(self._target, np.float32)  # 0-d: numpy multiplies by it fastest
        self._scratch: NDArray[np.float32] = np.empty((0, 1), np.float32)

    def change(self, options: GainOptions) -> None:
        """Fade to what is another now; what an action has set else stays."""
        before, self.options = self.options, options
        if options.gain_db != before.gain_db:
            self._gain_db = options.gain_db
        if options.mute != before.mute:
            self._muted = options.mute
        if self._wanted() != self._target:
            self._retarget()

    @action
    def set(self, gain_db: float) -> None:
        """Change the gain (dB)."""
        if not _LEAST_DB <= gain_db <= _MOST_DB:
            raise StageError(f"gain_db must lie between {_LEAST_DB:g} and {_MOST_DB:g}")
        self._gain_db = gain_db
        self._retarget()

    @action
    def mute(self) -> None:
        """Fade to silence."""
        self._muted = True
        self._retarget()

    @action
    def unmute(self) -> None:
        """Fade back to the gain that is set."""
        self._muted = False
        self._retarget()

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        if action == "mute" and self._muted:
            return "it is muted already"
        return "it is not muted" if action == "unmute" and not self._muted else ""

    def gauge(self) -> str:
        """Return what is not as in the file."""
        if self._muted:
            return "muted"
        return f"{self._gain_db:+g} dB" if self._gain_db != self.options.gain_db else ""

    def reset(self) -> None:
        """Be at the gain that is set, without a ramp."""
        self._settle()

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return the frame, its samples changed in place."""
        ramp = self._ramp
        if ramp is None and self._target == 1.0:
            return frame
        samples = audio.pcm(frame)
        if ramp is None and self._target == 0.0:
            samples.fill(0)
            return frame
        if ramp is None:
            self._scale(samples, self._steady, loudest=self._target)
            return frame
        factors = ramp.factors(frame.samples, frame.sample_rate)
        self._scale(samples, factors, loudest=max(ramp.start, ramp.target))
        if ramp.done:
            self._settle()
        return frame

    def _wanted(self) -> float:
        return 0.0 if self._muted else float(10 ** (self._gain_db / 20))

    def _retarget(self) -> None:
        reached = self._target if self._ramp is None else self._ramp.reached
        self._target = self._wanted()
        self._ramp = Ramp(reached, self._target, self.options.ramp_ms)

    def _settle(self) -> None:
        import numpy as np

        self._ramp = None
        self._steady = np.array(self._target, np.float32)

    def _scale(
        self, samples: NDArray[np.int16], factors: NDArray[np.float32], *, loudest: float
    ) -> None:
        import numpy as np

        if self._scratch.shape != samples.shape:
            self._scratch = np.empty(samples.shape, np.float32)
        scaled = self._scratch
        scaled[:] = samples
        scaled *= factors  # in place it is faster than from whole numbers
        if loudest > 1.0:
            peak = loudest * audio.peak(samples)
            if self.options.limiter and peak > KNEE:
                limit(scaled, factors)
            if peak > _PEAK:
                np.clip(scaled, -32768.0, _PEAK, out=scaled)
        np.rint(scaled, out=scaled)
        samples[:] = scaled

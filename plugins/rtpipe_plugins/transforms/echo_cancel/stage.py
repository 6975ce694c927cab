"""Acoustic echo cancellation (AEC): takes what the loudspeaker plays out of what a mic hears."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from rtpipe import (
    CANONICAL,
    EnvironmentProblem,
    Finding,
    Options,
    SinkId,
    Specimen,
    Transform,
    audio,
)
from rtpipe.examination import missing_modules
from rtpipe_plugins.sound.drift import SHORTENED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from pywebrtc_audio import AudioProcessor

    from rtpipe import AudioFrame, StageContext

_RATE = 48_000
_BLOCK = _RATE // 100
"""The engine works on 10 ms at a time."""
_LEARNS = 250
"""Blocks of audible reference until an unknown room is known: 2.5 s."""
_RINGS = 50
"""Blocks for which an echo may follow what was played: 500 ms."""
_AUDIBLE = 100
"""Of 32767: -50 dBFS."""
_INSTALL = "pip install 'rtpipe-media[echo]', or a `fallback: {mute_gate: half_duplex}`"
_GUARD_MS = 40.0
"""The engine looks for the echo behind the reference, so that one must come a little early."""


class EchoCancelOptions(Options):
    """Let the visitor speak while the loudspeaker speaks."""

    main: ClassVar[str | None] = "reference"

    reference: SinkId
    """The sink whose sound the microphone hears too: the loudspeaker's id."""
    delay_ms: Annotated[float, Field(ge=0, le=5000)] | Literal["auto"] = "auto"
    """How long after the sink took a sample its echo is heard (ms). auto: found, up to about
    400 ms; say it for a loudspeaker that is later than that (Bluetooth, a television)."""
    noise_suppression: bool = False
    """Take out about 6 dB of steady noise, a fan's for instance."""
    auto_gain: bool = False
    """Bring quiet and loud visitors to one level; what is left of an echo rises as well."""


class EchoCancel(Transform[EchoCancelOptions]):
    """WebRTC's acoustic echo canceller (AEC3), as in browsers; with its high-pass filter, always.

    Gives out as many samples as it is given, at the same times. Inside a frame the sound lies
    9 ms late (15 ms with `noise_suppression`): the engine's own delay, not compensated.
    A frame leaves once its last 10 ms are complete: those of 20 ms at once. Until it has heard the
    loudspeaker for 2.5 s it does not know the room: it is silent while the loudspeaker is not.

    - mic
    - echo_cancel: speaker
    - realtime
    - speaker
    """

    kind = "echo_cancel"
    accepts = CANONICAL
    mutates = True

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a loudspeaker that is silent."""
        yield Specimen({"reference": "speaker"}, tolerance=0)

    @classmethod
    def examine(cls, options: EchoCancelOptions) -> Iterator[Finding]:  # noqa: ARG003 - the same for all
        """Look for the engine."""
        if missing_modules(["pywebrtc_audio"]):
            yield Finding("missing", "echo_cancel needs pywebrtc-audio", help=_INSTALL)

    def __init__(self, options: EchoCancelOptions, ctx: StageContext) -> None:
        import numpy as np

        from rtpipe_plugins.transforms.echo_cancel.reference import Reference

        super().__init__(options, ctx)
        delay_ms = 0.0 if options.delay_ms == "auto" else options.delay_ms
        self._reference = Reference(max(delay_ms - _GUARD_MS, 0.0))
        self._engine: AudioProcessor | None = None
        self._to_learn = _LEARNS
        self._quiet = _RINGS
        self._waiting: deque[AudioFrame] = deque()
        self._near = np.zeros(0, np.int16)
        self._cleaned = np.zeros(0, np.int16)
        self._next_pts: int | None = None
        self._shortened = 0.0

    async def open(self) -> None:
        """Make the engine and listen to the reference.

        Raises:
            EnvironmentProblem: `pywebrtc-audio` is not installed.
            StageError: The pipeline has no such sink.
        """
        self._engine = _engine(self.options)
        self.ctx.tap(self.options.reference, self._reference.hear)

    def reset(self) -> None:
        """Forget the audio that is held, not the room: its echo is the same afterwards."""
        import numpy as np

        self._forget()
        self._next_pts = None
        if self._engine is not None:
            tail = np.zeros(2 * _BLOCK, np.int16)  # longer than the engine holds back
            self._engine.process(tail, tail)

    def process(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return the frames that are complete, without the echo."""
        import numpy as np

        pts = frame.pts or 0
        due: list[AudioFrame] = []
        if self._next_pts is not None and pts != self._next_pts:
            due = self.finish()
            # Its time passed, too.
            self._reference.take(min(pts - self._next_pts, _RATE), self._shortened)
        self._next_pts = pts + frame.samples
        self._shortened = audio.meta(frame).extra.get(SHORTENED, 0.0)
        self._waiting.append(frame)
        self._near = np.concatenate([self._near, audio.pcm(frame)[:, 0]])
        self._clean(len(self._near) - len(self._near) % _BLOCK)
        return due + self._complete()

    def finish(self) -> list[AudioFrame]:
        """Return what is held, its last 10 ms filled up with silence."""
        import numpy as np

        if not self._waiting:
            return []
        self._near = np.concatenate([self._near, np.zeros(-len(self._near) % _BLOCK, np.int16)])
        self._clean(len(self._near))
        due = self._complete()
        self._forget()
        return due

    def _clean(self, count: int) -> None:
        import numpy as np

        if not count:
            return
        assert self._engine is not None
        played = self._reference.take(count, self._shortened)
        cleaned = self._engine.process(self._near[:count], played)
        if self._to_learn:
            self._hide(cleaned, played)
        self._near = self._near[count:]
        self._cleaned = np.concatenate([self._cleaned, cleaned])

    def _hide(self, cleaned: NDArray[np.int16], played: NDArray[np.int16]) -> None:
        """Silence the blocks that may hold an echo which the engine has not learnt yet."""
        import numpy as np

        for start in range(0, len(played), _BLOCK):
            audible = bool(np.any(np.abs(played[start : start + _BLOCK]) > _AUDIBLE))
            self._quiet = 0 if audible else self._quiet + 1
            if self._quiet < _RINGS and self._to_learn:
                cleaned[start : start + _BLOCK] = 0
            if audible and self._to_learn:
                self._to_learn -= 1

    def _complete(self) -> list[AudioFrame]:
        due: list[AudioFrame] = []
        while self._waiting and self._waiting[0].samples <= len(self._cleaned):
            frame = self._waiting.popleft()
            audio.pcm(frame)[:, 0] = self._cleaned[: frame.samples]
            self._cleaned = self._cleaned[frame.samples :]
            due.append(frame)
        return due

    def _forget(self) -> None:
        import numpy as np

        self._waiting.clear()
        self._near = self._cleaned = np.zeros(0, np.int16)


def _engine(options: EchoCancelOptions) -> AudioProcessor:
    try:
        from pywebrtc_audio import AudioProcessor
    except ImportError as error:
        raise EnvironmentProblem(
            f"echo_cancel needs pywebrtc-audio: {error}",
            help=_INSTALL,
        ) from error
    return AudioProcessor(
        sample_rate=_RATE,
        echo_cancellation=True,
        noise_suppression=options.noise_suppression,
        auto_gain_control=options.auto_gain,
    )

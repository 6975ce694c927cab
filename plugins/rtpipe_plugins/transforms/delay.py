"""`delay`: a delay line, exact to the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rtpipe import AudioFormat, Options, Specimen, StageContext, Transform, audio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame


class DelayOptions(Options):
    """How late."""

    main: ClassVar[str | None] = "delay_ms"

    delay_ms: Annotated[float, Field(ge=0, le=60_000)]
    """By how much (ms)."""


class Delay(Transform[DelayOptions]):
    """Lets everything be heard later.

    - delay: 120

    Each frame that comes in lets one of the same length and time out, which holds what came in
    `delay_ms` earlier: the stream begins with that much silence, what plays it never waits, and
    what is held at the end comes out last. A hole in the input is heard as late as all else.
    Marks of speech do not pass: put `vad` behind it.
    """

    kind = "delay"
    accepts = AudioFormat(format="s16")
    live = frozenset({"delay_ms"})

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a delay that is no whole frame."""
        yield Specimen({"delay_ms": 125.5}, tolerance=0)

    @classmethod
    def change_heard(cls, options: DelayOptions, to: DelayOptions) -> str | None:
        """Return how much is left out or put in."""
        more_ms = to.delay_ms - options.delay_ms
        return f"a gap of {more_ms:g} ms" if more_ms > 0 else f"{-more_ms:g} ms are left out"

    def __init__(self, options: DelayOptions, ctx: StageContext) -> None:
        import numpy as np

        super().__init__(options, ctx)
        self._format: AudioFormat | None = None
        self._line: NDArray[np.int16] = np.zeros((0, 1), np.int16)
        self._next_pts = 0

    def change(self, options: DelayOptions) -> None:
        """Hold more, which begins with silence, or less: the oldest is left out."""
        import numpy as np

        self.options = options
        if self._format is None:
            return
        wanted = round(options.delay_ms * (self._format.sample_rate or 0) / 1000)
        if (more := wanted - len(self._line)) > 0:
            self._line = np.concatenate([self._quiet(more), self._line])
        else:
            self._line = self._line[-more:]

    def reset(self) -> None:
        """Hold silence."""
        self._format = None

    def process(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what was heard `delay_ms` before `frame`."""
        import numpy as np

        if self._format is None or not self._format.admits(frame):
            yield from self.finish()
            self._begin(frame)
        hole = min((frame.pts or 0) - self._next_pts, len(self._line))
        if hole > 0:
            yield from self._out(self._line[:hole])
            self._line = np.concatenate([self._line[hole:], self._quiet(hole)])
        held = np.concatenate([self._line, audio.pcm(frame)])
        heard, self._line = held[: frame.samples], held[frame.samples :]
        made = audio.copy(frame)
        audio.meta(made).speech = None
        audio.pcm(made)[:] = heard
        self._next_pts = (frame.pts or 0) + frame.samples
        yield made

    def finish(self) -> Iterator[AudioFrame]:
        """Yield what is held."""
        if self._format is not None:
            yield from self._out(self._line)
            self._format = None

    def _begin(self, frame: AudioFrame) -> None:
        import numpy as np

        self._format = AudioFormat.of(frame)
        self._line = np.zeros((0, frame.layout.nb_channels), np.int16)
        self._line = self._quiet(round(self.options.delay_ms * frame.sample_rate / 1000))
        self._next_pts = frame.pts or 0

    def _quiet(self, samples: int) -> NDArray[np.int16]:
        import numpy as np

        return np.zeros((samples, self._line.shape[1]), np.int16)

    def _out(self, data: NDArray[np.int16]) -> Iterator[AudioFrame]:
        """Yield what is due with no frame coming in, in frames of the pipeline's length."""
        assert self._format is not None
        rate, layout = self._format.sample_rate or 0, self._format.layout or ""
        size = max(1, rate * self.ctx.frame_ms // 1000)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            at = self._next_pts + start
            yield audio.from_pcm(piece, sample_rate=rate, pts=at, layout=layout)

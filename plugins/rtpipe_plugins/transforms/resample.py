"""`resample`: another sample rate, layout or sample format, or frames of another length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rtpipe import ANY, AudioFormat, Options, StageContext, Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import AudioFrame


class ResampleOptions(Options):
    """What the audio should look like; what is not said stays as it comes."""

    main: ClassVar[str | None] = "sample_rate"

    sample_rate: Annotated[int, Field(gt=0, le=768_000)] | None = None
    """Samples a second (Hz)."""
    layout: str | None = None
    """Channel layout by FFmpeg's name: mono, stereo, 5.1."""
    format: str | None = None
    """Sample format by FFmpeg's name: s16, s32, flt. Default: as it comes, s16 with `frame_ms`."""
    frame_ms: Annotated[float, Field(gt=0, le=1000)] | None = None
    """The length of a frame (ms). The last one, and one before a hole, is filled with silence."""

    @model_validator(mode="after")
    def _can_be_cut(self) -> Self:
        if self.frame_ms is not None and (self.format or "").endswith("p"):
            raise ValueError(f"`frame_ms` needs a packed format: {(self.format or '')[:-1]}")
        return self


class Resample(Transform[ResampleOptions]):
    """Converts the audio to a format.

    - resample: 16000
    - resample: {sample_rate: 8000, layout: mono, frame_ms: 20}

    Stages that need a format get it without this; it is for what leaves the pipeline (a process, a
    file of a given rate) or for a stage that should work at a lower rate.
    """

    kind = "resample"

    @classmethod
    def accepts_for(cls, options: ResampleOptions) -> AudioFormat:
        """Return the format wanted, which the runtime's converter before this stage gives."""
        format = options.format or ("s16" if options.frame_ms is not None else None)
        return AudioFormat(options.sample_rate, options.layout, format)

    def __init__(self, options: ResampleOptions, ctx: StageContext) -> None:
        from rtpipe import Converter

        super().__init__(options, ctx)
        self._cutter = Converter(ANY, frame_ms=options.frame_ms)

    def reset(self) -> None:
        """Forget the frame that is not full yet."""
        self._cutter.reset()

    def process(self, frame: AudioFrame) -> Iterable[AudioFrame]:
        """Return the frames that `frame` makes full."""
        return self._cutter.process(frame)

    def finish(self) -> Iterable[AudioFrame]:
        """Return the last frame."""
        return self._cutter.finish()

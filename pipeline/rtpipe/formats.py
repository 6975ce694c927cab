"""Audio formats: sample rate, channel layout and sample format, without the libraries of sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe.audio import AudioFrame


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a frame's samples look like; None stands for anything.

    Attributes:
        sample_rate: Samples a second (Hz).
        layout: Channel layout by FFmpeg's name (`mono`, `stereo`).
        format: Sample format by FFmpeg's name (`s16`, `fltp`).
    """

    sample_rate: int | None = None
    layout: str | None = None
    format: str | None = None

    @classmethod
    def of(cls, frame: AudioFrame) -> AudioFormat:
        """Return the format of `frame`."""
        return cls(frame.sample_rate, frame.layout.name, frame.format.name)

    def admits(self, frame: AudioFrame) -> bool:
        """Return whether `frame` can be taken as it is."""
        return (
            (self.sample_rate is None or self.sample_rate == frame.sample_rate)
            and (self.layout is None or self.layout == frame.layout.name)
            and (self.format is None or self.format == frame.format.name)
        )

    def completed(self, other: AudioFormat) -> AudioFormat:
        """Return this format with its open fields taken from `other`."""
        return AudioFormat(
            self.sample_rate or other.sample_rate,
            self.layout or other.layout,
            self.format or other.format,
        )

    def __str__(self) -> str:
        rate = "any rate" if self.sample_rate is None else f"{self.sample_rate} Hz"
        return f"{self.format or 'any format'}, {self.layout or 'any layout'}, {rate}"


CANONICAL = AudioFormat(48_000, "mono", "s16")
"""What travels between stages unless a file or a stage says otherwise."""

ANY = AudioFormat()
"""Any format: nothing is converted."""

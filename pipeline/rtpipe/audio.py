"""Audio frames: their formats, their samples as numpy arrays, and the rules every link holds.

Every frame is an `av.AudioFrame` whose `pts` counts samples since its stream began and whose
`time_base` is `1 / sample_rate`.

Importing this module loads neither av nor numpy: what needs them does so when it is first used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rtpipe.errors import FormatError
from rtpipe.formats import ANY, CANONICAL, AudioFormat

__all__ = [
    "ANY",
    "AUDIBLE",
    "CANONICAL",
    "AudioFormat",
    "AudioFrame",
    "Meta",
    "check_frame",
    "copy",
    "copy_meta",
    "duration_ms",
    "from_bytes",
    "from_pcm",
    "level_dbfs",
    "like",
    "meta",
    "pcm",
    "peak",
    "reaches",
    "samples",
    "silence",
    "silence_like",
    "slice_ends",
    "slice_numbers",
    "stamp",
    "to_s16",
]

__provisional__ = frozenset({"AUDIBLE", "reaches", "slice_ends", "slice_numbers"})
"""What may still change at any time."""

if TYPE_CHECKING:
    from rtpipe.waveform import (
        AudioFrame,
        copy,
        from_bytes,
        from_pcm,
        level_dbfs,
        like,
        pcm,
        peak,
        reaches,
        samples,
        silence,
        silence_like,
        to_s16,
    )
else:

    def __getattr__(name: str) -> Any:
        """Return what works on samples, from now on a name of this module like the others."""
        if name not in __all__:
            raise AttributeError(f"module 'rtpipe.audio' has no attribute {name!r}")
        found = globals()[name] = getattr(import_module("rtpipe.waveform"), name)
        return found

    def __dir__() -> list[str]:
        """Return the public names, whether they were used yet or not."""
        return sorted({*globals(), *__all__})


AUDIBLE = 33
"""Peak of s16 samples below which nobody hears anything: -60 dBFS."""


@dataclass(slots=True)
class Meta:
    """What stages know about a frame; it travels with the frame.

    Attributes:
        captured_at: Pipeline second at which the frame's first sample was heard, if live.
        read_at: Pipeline second at which its source gave it, if live and on its way to a peer.
        queued_at: Pipeline second at which it entered the queue that a peer reads, if live.
        speech: From a `vad` upstream, one verdict for each of `slice_ends(frame)`: was somebody
            speaking then? None where no `vad` saw the frame.
        extra: For plugins, under names of their own.
    """

    captured_at: float | None = None
    read_at: float | None = None
    queued_at: float | None = None
    speech: tuple[bool, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def meta(frame: AudioFrame) -> Meta:
    """Return the frame's own `Meta`, made on first use.

    PyAV keeps `frame.opaque` by the object's identity without a count, so an object must never be
    given to two frames: this function is the only place that sets it.
    """
    known = frame.opaque
    if isinstance(known, Meta):
        return known
    fresh = Meta()
    frame.opaque = fresh
    return fresh


def slice_ends(frame: AudioFrame) -> list[int]:
    """Return where the 20 ms slices of media time end in `frame`, in samples from its start.

    Slices are counted from pts 0, so a stream has the same ones however it is cut into frames; a
    frame shorter than a slice may have none.
    """
    rate, pts = frame.sample_rate, frame.pts or 0
    return [-(-number * rate // 50) - pts for number in slice_numbers(frame)]


def slice_numbers(frame: AudioFrame) -> range:
    """Return the numbers of the slices in `slice_ends(frame)`; the first one of a stream is 1."""
    rate, pts = frame.sample_rate, frame.pts or 0
    return range(pts * 50 // rate + 1, (pts + frame.samples) * 50 // rate + 1)


def copy_meta(source: AudioFrame, target: AudioFrame) -> None:
    """Give `target` a copy of what is known about `source`."""
    known = source.opaque
    if isinstance(known, Meta):
        target.opaque = replace(known, extra=dict(known.extra))


def stamp(frame: AudioFrame, *, sample_rate: int, pts: int) -> AudioFrame:
    """Set the frame's rate and time; returns the frame.

    Args:
        frame: The frame.
        sample_rate: Samples a second (Hz).
        pts: Where it lies: samples since its stream began.
    """
    frame.sample_rate = sample_rate
    frame.time_base = _one_sample(sample_rate)
    frame.pts = pts
    return frame


@lru_cache(maxsize=256)
def _one_sample(sample_rate: int) -> Fraction:
    return Fraction(1, sample_rate)


def duration_ms(frame: AudioFrame) -> float:
    """Return how long the frame plays (ms)."""
    return frame.samples * 1000 / frame.sample_rate


def end_s(frame: AudioFrame) -> float:
    """Return the media time at which a frame ends (s)."""
    return ((frame.pts or 0) + frame.samples) / frame.sample_rate


def check_frame(frame: AudioFrame, previous: AudioFrame | None = None) -> None:
    """Assert the rules that every link holds.

    Raises:
        FormatError: The frame has no samples or no time, its time base is not one sample, or it
            overlaps `previous`.
    """
    pts, rate = frame.pts, frame.sample_rate
    if frame.samples <= 0 or rate <= 0:
        raise FormatError(f"a frame needs samples and a rate: {frame!r}")
    if not pts or frame.time != pts / rate:  # to read the time base itself makes a Fraction
        _check_time_base(frame)
    if previous is None or previous.pts is None or previous.sample_rate != rate:
        return
    end = previous.pts + previous.samples
    if pts is not None and pts < end:
        raise FormatError(f"pts {pts} overlaps the frame before it, which ends at {end}")


def _check_time_base(frame: AudioFrame) -> None:
    base = frame.time_base
    if frame.pts is None or base is None:
        raise FormatError(f"a frame needs pts and time_base: {frame!r}")
    if (base.numerator, base.denominator) != (1, frame.sample_rate):
        raise FormatError(f"time_base is {base}, not 1/{frame.sample_rate}")

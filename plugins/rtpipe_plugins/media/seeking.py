"""Seeking to the sample, in containers that round their time stamps too; blocking."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

from rtpipe_plugins.media.damage import Damage
from rtpipe_plugins.media.decoding import raw_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from rtpipe import AudioFrame

_SEEK_EARLIER_S = 0.1
"""What decoders need before they are right; and a seek to the very place may land behind it."""
_SEEK_FROM_S = 1.0
"""What lies before costs less to decode than to jump over."""
_VARIABLE = frozenset({"vorbis"})
"""Codecs whose frames differ in length as a matter of course."""


def sought(container: InputContainer, stream: AudioStream, start_s: float) -> Fraction | None:
    """Move to a little before `start_s`; return the time stamp that is 0, to the sample.

    Some containers round time stamps to a millisecond (Matroska) or more. There a frame's place is
    known from its number, if all are as long; if not, nothing is skipped, and None returned, which
    stands for the first frame's.

    Args:
        container: What was opened, at its beginning.
        stream: One of its audio streams.
        start_s: Where (s).

    Raises:
        av.FFmpegError: What was opened cannot be sought in.
    """
    base, rate, zero = stream.time_base, stream.sample_rate, stream.start_time or 0
    if start_s <= _SEEK_FROM_S or base is None:
        return None
    tick = base * rate
    target = zero + round((start_s - _SEEK_EARLIER_S) / base)
    if tick <= 1:
        container.seek(target, stream=stream)
        return Fraction(zero)
    head = list(islice(_whole(container, stream), 8))
    lengths = {frame.samples for frame in head[1:]}
    block = max(lengths, default=0)
    if len(lengths) == 1 and block > 4 * tick and stream.codec_context.name not in _VARIABLE:
        container.seek(target, stream=stream)
        there = next(_whole(container, stream), None)
        container.seek(target, stream=stream)
        if there is None or there.pts is None or head[0].pts is None:
            return Fraction(zero)
        stamped, begins = (there.pts - head[0].pts) * tick, head[0].samples
        place = begins + round((stamped - begins) / block) * block
        if there.samples == block and abs(place - stamped) <= 2 * tick:
            return there.pts - place / tick
    container.seek(zero, stream=stream)
    return None


def _whole(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yield what can be decoded, as it is."""
    for frame, _ in raw_frames(container, stream, Damage()):
        if frame is not None:
            yield frame

"""Reading audio out of whatever FFmpeg opens; blocking, for worker threads."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError, InvalidDataError, PatchWelcomeError

from rtpipe import AudioFormat, AudioFrame, Converter, ExitCode, FormatError, StageError, audio
from rtpipe_plugins.media.chained_ogg import next_link
from rtpipe_plugins.media.damage import Damage
from rtpipe_plugins.sound.time_stamps import LONGEST_HOLES_S, HoleBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""FFmpeg's native layouts, by number of channels."""
_JITTER_S = 0.1
"""Containers round their time stamps; only a larger jump is a hole."""
_RESTART_S = 1.0
"""Time stamps that go back by more have begun anew."""
_LEAST_STEP_S = 0.005
_LONGEST_PACKET_S = 1.0
_DECLARING = ("aiff", "flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "ogg", "wav")
"""Demuxers whose files say how long they are; others' estimate it."""
_ROUNDED_END_S = 1.0
"""They may be wrong by as much."""
_MOST_READ_ERRORS = 10
"""In a row: a demuxer that is asked again mostly finds the next packet that is whole."""


def open_media(
    name: str,
    *,
    format: str | None = None,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open what FFmpeg reads; tags in an encoding that is not UTF-8 keep nobody from listening.

    Args:
        name: A path or an address.
        format: FFmpeg's name of what it is, where that does not show.
        options: FFmpeg's own.
        timeout: How long it may take to open, and to read (s).

    Raises:
        FFmpegError: It cannot be opened.
        OSError: As before, for PyAV's own reasons.
        ValueError: As before.
    """
    return av.open(name, format=format, metadata_errors="replace", options=options, timeout=timeout)


def pick_stream(container: InputContainer, index: int, name: str) -> AudioStream:
    """Return the `index`-th audio stream.

    Args:
        container: What was opened.
        index: From 0, counted among the audio streams only.
        name: How to call the container in an error.

    Raises:
        StageError: There is no such stream.
    """
    streams = container.streams.audio
    if index < len(streams):
        stream = streams[index]
        if is_pcm(stream):  # whose decoder takes the layout as it is told: nothing to convert later
            stream.codec_context.layout = layout_of(stream)
        return stream
    if not streams:
        others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise StageError(
            f"{name} has no audio: it holds {others}",
            help="name a file or an address that carries sound",
            exit_code=ExitCode.CONFIGURATION,
        )
    known = "; ".join(f"{i}: {_described(stream)}" for i, stream in enumerate(streams))
    raise StageError(
        f"{name} has no audio stream {index}",
        help=f"`stream` can be {known}",
        exit_code=ExitCode.CONFIGURATION,
    )


def is_pcm(stream: AudioStream) -> bool:
    """Return whether a stream's samples stand in it as they are."""
    return stream.codec_context.name.startswith("pcm_")


def layout_of(stream: AudioStream) -> str:
    """Return the name of a stream's layout; many a WAV says only how many channels it has."""
    layout = stream.layout
    unnamed = layout.name.endswith(" channels") and layout.nb_channels <= len(_LAYOUTS)
    return _LAYOUTS[layout.nb_channels - 1] if unnamed else layout.name


def decoded(
    container: InputContainer,
    stream: AudioStream,
    *,
    origin: Fraction | int | None = None,
    begin_s: float = 0.0,
    damage: Damage | None = None,
    longest_holes_s: float = LONGEST_HOLES_S,
) -> Iterator[AudioFrame]:
    """Yield the stream's audio as packed s16 in its own rate and layout.

    `pts` counts samples from `origin`, a hole in the container's time stamps is a hole in them, and
    what cannot be decoded is a hole, too. Whatever the stream becomes later, a chained Ogg of
    another format say, goes on as it began.

    Args:
        container: What was opened; it may have been sought in.
        stream: One of its audio streams.
        origin: The time stamp that is 0; None: the first frame's.
        begin_s: Where it was sought to (s): what is not there before it, is not lost.
        damage: Counts what is lost.
        longest_holes_s: How much the holes may add up to, beside the audio (s).

    Raises:
        FFmpegError: The container cannot be read any further.
        FormatError: The stream's format cannot be converted.
    """
    damage = Damage() if damage is None else damage
    converter = Converter(AudioFormat(None, layout_of(stream), "s16"), locked=True)
    chained = container.format.name == "ogg"
    time = _StreamTime(origin, damage, HoleBudget(longest_holes_s), chained=chained)
    for frame, missing_s in raw_frames(container, stream, damage):
        if frame is None:
            time.end(missing_s, begin_s, _declared_s(container, stream))
            break
        began = time.began
        pts = time.place(frame, missing_s)
        try:
            made = converter.process(audio.stamp(frame, sample_rate=frame.sample_rate, pts=pts))
        except FormatError:
            if not began:
                raise
            damage.packets += 1  # decoded into a format that nothing has
            continue
        yield from made
    yield from converter.finish()


def raw_frames(
    container: InputContainer, stream: AudioStream, damage: Damage
) -> Iterator[tuple[AudioFrame | None, float]]:
    """Yield what can be decoded, and how much before it could not (s); None is the end."""
    missing_s = 0.0
    for packet in _packets(container, stream, damage):
        try:
            frames = packet.decode()
        except FFmpegError:  # whatever it is: what comes after it may be whole
            if packet.size:
                damage.packets += 1
                missing_s += _duration_s(packet)
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.samples and frame.sample_rate:
                yield frame, missing_s
                missing_s = 0.0
    yield None, missing_s


def _packets(
    container: InputContainer, stream: AudioStream, damage: Damage
) -> Iterator[Packet[AudioStream]]:
    """Yield the stream's packets; of a chained Ogg those of all its links."""
    path, number = container.name, container.streams.audio.index(stream)
    start = position = failures = 0
    with ExitStack() as opened:
        while True:
            try:
                for packet in container.demux(stream):
                    position = start + max(packet.pos or 0, 0)
                    failures = 0
                    yield packet
            except PatchWelcomeError:
                link = next_link(path, position)
                if link is None:
                    raise
                opened.close()
                address, start = link
                position = start + 1
                container = opened.enter_context(closing(open_media(address)))
                stream = pick_stream(container, number, path)
            except InvalidDataError:
                failures += 1
                damage.packets += 1
                if failures == _MOST_READ_ERRORS:
                    raise
            else:
                return


def _duration_s(packet: Packet[AudioStream]) -> float:
    if packet.duration and packet.time_base:
        return min(float(packet.duration * packet.time_base), _LONGEST_PACKET_S)
    context = packet.stream.codec_context
    return context.frame_size / context.sample_rate if context.sample_rate else 0.0


def _declared_s(container: InputContainer, stream: AudioStream) -> float:
    """Return how long the file itself says that the stream is; 0 where it does not (s)."""
    if container.format.name not in _DECLARING:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # else it is the longest stream's
    return (container.duration or 0) / av.time_base if alone else 0.0


class _StreamTime:
    """Where frames stand: by their count and, where packets are missing, by their time stamps.

    Time stamps are believed in steps of packets: what creeps is rounding, a clock that is slightly
    wrong or, after a change of the sample rate, a demuxer that goes on counting in the old one.
    """

    def __init__(
        self, origin: Fraction | int | None, damage: Damage, budget: HoleBudget, *, chained: bool
    ) -> None:
        self._origin = origin
        self._chained = chained  # and so may begin anew
        self._damage = damage
        self._budget = budget
        self._end_s: float | None = None
        self._stamped_end_s: float | None = None
        self._shift_s = 0.0  # by which the stamps are ahead, in steps of packets
        self._heard_s = 0.0
        self._latest_s = 0.0

    @property
    def began(self) -> bool:
        """Whether there was a frame."""
        return self._end_s is not None

    def place(self, frame: AudioFrame, missing_s: float) -> int:
        """Return the sample at which `frame` begins.

        Args:
            frame: As it was decoded.
            missing_s: How much before it could not be decoded (s).
        """
        stamp_s = self._stamp_s(frame)
        if self._end_s is None:
            self._damage.lost_s += missing_s
            at_s = stamp_s or 0.0
        else:
            hole_s = self._hole_s(stamp_s, missing_s)
            self._damage.lost_s += hole_s
            at_s = self._end_s + hole_s
        pts = round(at_s * frame.sample_rate)
        self._latest_s = frame.samples / frame.sample_rate
        self._heard_s += self._latest_s
        self._end_s = (pts + frame.samples) / frame.sample_rate
        if stamp_s is None and self._stamped_end_s is not None:
            stamp_s = self._stamped_end_s + missing_s
        self._stamped_end_s = None if stamp_s is None else stamp_s + self._latest_s
        return pts

    def end(self, missing_s: float, begin_s: float, declared_s: float) -> None:
        """Count what is missing at the end: what could not be decoded, or never came."""
        rest_s = declared_s - (self._end_s or begin_s)
        if rest_s > _ROUNDED_END_S and self._budget.believes(rest_s, self._heard_s):
            missing_s = max(missing_s, rest_s)
        self._damage.lost_s += missing_s

    def _stamp_s(self, frame: AudioFrame) -> float | None:
        pts, base = frame.pts, frame.time_base
        if pts is None or base is None:
            return None
        if self._origin is None:
            self._origin = pts
        return float((pts - self._origin) * base.numerator / base.denominator)

    def _hole_s(self, stamp_s: float | None, missing_s: float) -> float:
        hole_s = missing_s
        if stamp_s is not None and self._stamped_end_s is not None:
            step_s = stamp_s - self._stamped_end_s
            if abs(step_s) >= max(self._latest_s / 2, _LEAST_STEP_S):
                self._shift_s += step_s
            if -_RESTART_S <= self._shift_s <= _JITTER_S and not missing_s:
                return 0.0
            hole_s, self._shift_s = self._shift_s, 0.0
            if hole_s < -_RESTART_S:
                self._damage.jumps += not self._chained
                hole_s = missing_s
        if self._budget.believes(hole_s, self._heard_s):
            return max(hole_s, 0.0)
        self._damage.jumps += 1
        return 0.0


def _described(stream: AudioStream) -> str:
    context = stream.codec_context
    language = stream.metadata.get("language")
    words = (context.name, layout_of(stream), f"{context.sample_rate} Hz", language)
    return " ".join(word for word in words if word)

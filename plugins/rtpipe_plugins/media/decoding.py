"""Reading audio out of whatever FFmpeg opens; blocking, for worker threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.error import InvalidDataError

from rtpipe import AudioFormat, AudioFrame, Converter, ExitCode, StageError, audio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer

_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""FFmpeg's native layouts, by number of channels."""
_JITTER_S = 0.1
"""Containers round their time stamps; only a larger jump is a hole."""


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
        return streams[index]
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


def layout_of(stream: AudioStream) -> str:
    """Return the name of a stream's layout; many a WAV says only how many channels it has."""
    layout = stream.layout
    unnamed = layout.name.endswith(" channels") and layout.nb_channels <= len(_LAYOUTS)
    return _LAYOUTS[layout.nb_channels - 1] if unnamed else layout.name


def decoded(
    container: InputContainer, stream: AudioStream, *, origin: int | None = None
) -> Iterator[AudioFrame]:
    """Yield the stream's audio as packed s16 in its own rate and layout.

    `pts` counts samples from `origin`, a hole in the container's time stamps is a hole in them, and
    what cannot be decoded is a hole, too.

    Args:
        container: What was opened; it may have been sought in.
        stream: One of its audio streams.
        origin: The time stamp that is 0; None: the first frame's.
    """
    converter = Converter(AudioFormat(None, layout_of(stream), "s16"), locked=True)
    end_s: float | None = None
    for frame in _raw(container, stream):
        at_s = end_s or 0.0
        if frame.pts is not None and frame.time_base is not None:
            if origin is None:
                origin = frame.pts
            stamped_s = float((frame.pts - origin) * frame.time_base)
            if end_s is None or stamped_s - end_s > _JITTER_S:
                at_s = stamped_s
        pts = round(at_s * frame.sample_rate)
        end_s = (pts + frame.samples) / frame.sample_rate
        yield from converter.process(audio.stamp(frame, sample_rate=frame.sample_rate, pts=pts))
    yield from converter.finish()


def _raw(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except InvalidDataError:
            continue  # one broken packet: what comes after it may be whole
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.samples:
                yield frame


def _described(stream: AudioStream) -> str:
    context = stream.codec_context
    language = stream.metadata.get("language")
    words = (context.name, layout_of(stream), f"{context.sample_rate} Hz", language)
    return " ".join(word for word in words if word)

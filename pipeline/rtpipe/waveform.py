"""Waveforms: the samples of audio frames as numpy arrays.

The part of `rtpipe.audio` that needs av and numpy, imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

from rtpipe.audio import copy_meta, stamp
from rtpipe.errors import FormatError
from rtpipe.formats import AudioFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

AudioFrame = av.AudioFrame
"""PyAV's frame: its samples, their rate, layout and format, and its time (`pts`, `time_base`)."""

_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "flt": np.float32,
    "dbl": np.float64,
}
_MOST_PLANES = 8
_FULL_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "flt": 1.0, "dbl": 1.0}


def pcm(frame: AudioFrame) -> NDArray[Any]:
    """Return a writable view of a packed frame's samples, shape (samples, channels).

    The view shares memory with the frame, and a frame may be shared by several stages: write only
    into a frame of your own (`mutates = True` gives you one).

    Raises:
        FormatError: The frame is planar with several channels.
    """
    format, channels = frame.format, frame.layout.nb_channels
    name = format.name
    if format.is_planar:
        if channels > 1:
            raise FormatError(f"{name} keeps each channel in a plane of its own: no single view")
        name = name.removesuffix("p")
    plane: Any = frame.planes[0]
    view = np.frombuffer(plane, _DTYPES[name], frame.samples * channels)  # planes are padded
    return view.reshape(-1, channels)


def _plane(plane: Any, name: str) -> NDArray[Any]:
    return np.frombuffer(plane, _DTYPES[name])


def listed(frame: AudioFrame) -> AudioFrame:
    """Return `frame`, or packed what PyAV cannot list: planes from the ninth on."""
    if not frame.format.is_planar or frame.layout.nb_channels < _MOST_PLANES:
        return frame
    packer = av.AudioResampler(frame.format.packed, frame.layout.name, frame.sample_rate)
    (out,) = packer.resample(frame)
    stamp(out, sample_rate=frame.sample_rate, pts=frame.pts or 0)
    copy_meta(frame, out)
    return out


def samples(frame: AudioFrame) -> NDArray[np.float32]:
    """Return the frame's samples as float32, shape (samples, channels), full scale 1.0; a copy."""
    frame = listed(frame)
    name = frame.format.name.removesuffix("p")
    if frame.format.is_planar:
        channels = [_plane(plane, name) for plane in frame.planes]
        packed: NDArray[Any] = np.stack([c[: frame.samples] for c in channels], axis=1)
    else:
        packed = pcm(frame)
    floats = packed.astype(np.float32)
    if name == "u8":
        floats -= 128.0
    if _FULL_SCALE[name] != 1.0:
        floats /= _FULL_SCALE[name]
    return floats


def like(
    frame: AudioFrame, x: NDArray[np.floating[Any]], *, layout: str | None = None
) -> AudioFrame:
    """Return a frame of the same format, time and meta as `frame` that holds `x`.

    Args:
        frame: The model.
        x: Samples, shape (samples, channels) or (samples,), full scale 1.0; louder is clipped.
        layout: Where it is not the model's: one of as many channels as `x` has.
    """
    values = x.reshape(len(x), -1)
    name = frame.format.name
    kind = name.removesuffix("p")
    if kind in {"s16", "s32"}:
        scale = _FULL_SCALE[kind]
        exact = values.astype(np.float64) if kind == "s32" else values
        data: NDArray[Any] = np.clip(np.rint(exact * scale), -scale, scale - 1)
    elif kind == "u8":
        data = np.clip(np.rint(values * 128.0) + 128.0, 0, 255)
    else:
        data = values
    shaped = data.T if frame.format.is_planar else data.reshape(1, -1)
    ready: Any = np.ascontiguousarray(shaped, dtype=_DTYPES[kind])
    out = AudioFrame.from_ndarray(ready, format=name, layout=layout or frame.layout.name)
    stamp(out, sample_rate=frame.sample_rate, pts=frame.pts or 0)
    copy_meta(frame, out)
    return out


def from_pcm(
    data: NDArray[np.int16], *, sample_rate: int, pts: int, layout: str | None = None
) -> AudioFrame:
    """Return an s16 frame.

    Args:
        data: Its samples, shape (samples,) or (samples, channels).
        sample_rate: Samples a second (Hz).
        pts: Where it lies: samples since its stream began.
        layout: By FFmpeg's name; more than two channels need it.
    """
    mono = data.ndim == 1 or data.shape[1] == 1
    format = AudioFormat(sample_rate, layout or ("mono" if mono else "stereo"), "s16")
    return from_bytes(data.tobytes(), len(data), format, pts=pts)


def from_bytes(data: bytes, samples: int, format: AudioFormat, *, pts: int) -> AudioFrame:
    """Return a frame of packed samples.

    Args:
        data: Its bytes.
        samples: How many samples a channel has.
        format: What they are, without an open field.
        pts: Where it lies: samples since its stream began.
    """
    frame = AudioFrame(format=format.format or "", layout=format.layout or "", samples=samples)
    _fill(frame.planes[0], data)
    return stamp(frame, sample_rate=format.sample_rate or 0, pts=pts)


def _fill(plane: Any, data: bytes) -> None:
    """Fill a plane, which FFmpeg makes longer than its samples are."""
    plane.update(data.ljust(plane.buffer_size, b"\x00"))


def silence(
    samples: int,
    *,
    pts: int,
    sample_rate: int = 48_000,
    layout: str = "mono",
    format: str = "s16",
) -> AudioFrame:
    """Return a frame of silence.

    Args:
        samples: Its length in samples.
        pts: Where it lies: samples since its stream began.
        sample_rate: Samples a second (Hz).
        layout: By FFmpeg's name.
        format: Sample format by FFmpeg's name.
    """
    frame = AudioFrame(format=format, layout=layout, samples=samples)
    quiet = b"\x80" if format.startswith("u8") else b"\x00"
    for plane in frame.planes:
        plane.update(quiet * plane.buffer_size)
    return stamp(frame, sample_rate=sample_rate, pts=pts)


def silence_like(frame: AudioFrame, samples: int, *, pts: int) -> AudioFrame:
    """Return a frame of silence in the format of another.

    Args:
        frame: The other.
        samples: Its length in samples.
        pts: Where it lies: samples since its stream began.
    """
    return silence(
        samples,
        pts=pts,
        sample_rate=frame.sample_rate,
        layout=frame.layout.name,
        format=frame.format.name,
    )


def copy(frame: AudioFrame) -> AudioFrame:
    """Return a frame with the same samples, time and meta in memory of its own."""
    return relabelled(frame, frame.layout.name)


def relabelled(frame: AudioFrame, layout: str) -> AudioFrame:
    """Return a `copy` whose channels, as many and in the same order, are called otherwise."""
    twin = AudioFrame(format=frame.format.name, layout=layout, samples=frame.samples)
    for source, target in zip(frame.planes, twin.planes, strict=True):
        _fill(target, bytes(source)[: target.buffer_size])
    stamp(twin, sample_rate=frame.sample_rate, pts=frame.pts or 0)
    copy_meta(frame, twin)
    return twin


def to_s16(values: NDArray[Any]) -> NDArray[np.int16]:
    """Return `values`, on the scale of s16, rounded; what is louder is clipped, never wrapped."""
    exact: NDArray[np.int16] = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    return exact


def peak(data: NDArray[np.signedinteger[Any]]) -> int:
    """Return the largest absolute value of some samples, at least one; s16: up to 32768."""
    return max(int(data.max()), -int(data.min()))


def reaches(data: NDArray[np.signedinteger[Any]], level: int) -> bool:
    """Return whether `peak` is at least `level`; half the work where the sound is loud."""
    return int(data.max()) >= level or -int(data.min()) >= level


def level_dbfs(frame: AudioFrame) -> float:
    """Return the frame's RMS level (dBFS); -120 for silence."""
    if frame.format.name == "s16":
        flat = pcm(frame).astype(np.float32).ravel() / 32768.0
    else:
        flat = samples(frame).ravel()
    power = float(np.dot(flat, flat)) / max(len(flat), 1)
    return 10.0 * float(np.log10(power)) if power > 1e-12 else -120.0

"""The converter that the runtime puts where formats differ: resampling and re-framing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from av import AudioLayout

from rtpipe.audio import (
    ANY,
    AudioFormat,
    AudioFrame,
    copy_meta,
    from_bytes,
    pcm,
    silence_like,
    stamp,
)
from rtpipe.errors import FormatError
from rtpipe.waveform import like, listed, relabelled, samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ASIDE = 0.5**0.5
"""What a channel weighs that goes to another place: 3 dB down."""


class Converter:
    """Brings frames to a format and, if asked, to an exact length, and keeps pts honest.

    Frames that already fit pass through as they are. A hole in the input's pts stays a hole of the
    same duration: what was held before it comes out first, padded with silence to a whole frame.

    Args:
        target: The format wanted; its open fields follow the input.
        frame_ms: Exact length of every frame that comes out. None: as they come.
        locked: Keep the open fields as the first frame had them, for what cannot change format
            in mid-stream (a file).
        on_downmix: Told of every layout of more than two channels that becomes another, and of
            that one.
    """

    __slots__ = (
        "_expected_in",
        "_input",
        "_latest",
        "_locked",
        "_next_out",
        "_on_downmix",
        "_resampler",
        "_slicer",
        "_target",
        "_told",
    )

    def __init__(
        self,
        target: AudioFormat = ANY,
        *,
        frame_ms: float | None = None,
        locked: bool = False,
        on_downmix: Callable[[AudioLayout, AudioLayout], None] | None = None,
    ) -> None:
        self._target = target
        self._locked = locked
        self._on_downmix = on_downmix
        self._told: set[str] = set()
        self._input: AudioFormat | None = None
        self._resampler: av.AudioResampler | None = None
        self._expected_in = 0
        self._latest: AudioFrame | None = None
        self._next_out = 0
        self._slicer = None if frame_ms is None else Slicer(frame_ms)

    def fit(self, frame: AudioFrame) -> AudioFrame | list[AudioFrame]:
        """Return `frame` itself where it comes through as it is, else as `process`."""
        passes = self._resampler is None and self._slicer is None and not self._locked
        return frame if passes and self._target.admits(frame) else self.process(frame)

    def process(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return what `frame` makes complete.

        Raises:
            FormatError: FFmpeg knows no way from the frame's format to the target.
        """
        if self._locked:
            self._target = self._target.completed(AudioFormat.of(frame))
            self._locked = False  # it is complete from now on
        if self._target.admits(frame) and self._resampler is None:
            return self._sliced([frame])
        out = self._resampled(self._mixed(frame))
        return self._sliced(out)

    def finish(self) -> list[AudioFrame]:
        """Return what is still held: the stream ended."""
        out = self._sliced(self._drained())
        if self._slicer is not None:
            out += self._slicer.finish()
        return out

    def reset(self) -> None:
        """Forget what is held."""
        self._resampler = None
        self._input = None
        if self._slicer is not None:
            self._slicer.reset()

    def _mixed(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame` in the layout wanted, if it has more than two channels of another."""
        wanted, layout = self._target.layout, frame.layout
        if wanted is None or layout.nb_channels <= 2 or layout.name == wanted:
            return frame
        try:
            target = AudioLayout(wanted)
        except ValueError as error:
            raise FormatError(f"cannot convert {layout.name} to {wanted}: {error}") from error
        if self._on_downmix is not None and layout.name not in self._told:
            self._told.add(layout.name)
            self._on_downmix(layout, target)
        return to_layout(frame, wanted)

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        arriving = AudioFormat.of(frame)
        pts = frame.pts or 0
        out: list[AudioFrame] = []
        if self._resampler is None or arriving != self._input or pts != self._expected_in:
            out += self._drained()
            if self._target.admits(frame):
                return [*out, frame]
            self._start(frame, arriving)
        self._expected_in = pts + frame.samples
        self._latest = frame
        assert self._resampler is not None
        try:
            made = self._resampler.resample(frame)
        except (ValueError, OSError) as error:
            raise FormatError(f"cannot convert {arriving} to {self._target}: {error}") from error
        return out + self._stamped(made)

    def _start(self, frame: AudioFrame, arriving: AudioFormat) -> None:
        wanted = self._target.completed(arriving)
        try:
            self._resampler = av.AudioResampler(
                format=wanted.format, layout=wanted.layout, rate=wanted.sample_rate
            )
        except ValueError as error:
            raise FormatError(f"cannot convert {arriving} to {wanted}: {error}") from error
        self._input = arriving
        rate_out = wanted.sample_rate or frame.sample_rate
        self._next_out = max(self._next_out, round((frame.pts or 0) * rate_out / frame.sample_rate))

    def _drained(self) -> list[AudioFrame]:
        if self._resampler is None:
            return []
        made = self._resampler.resample(None)
        self._resampler = None
        return self._stamped(made)

    def _stamped(self, made: list[AudioFrame]) -> list[AudioFrame]:
        for frame in made:
            stamp(frame, sample_rate=frame.sample_rate, pts=self._next_out)
            self._next_out += frame.samples
            if self._latest is not None:
                copy_meta(self._latest, frame)
        return made

    def _sliced(self, frames: list[AudioFrame]) -> list[AudioFrame]:
        if self._slicer is None:
            return frames
        return [made for frame in frames for made in self._slicer.process(frame)]


class Slicer:
    """Re-frames a stream of packed samples: cuts it into frames of exactly one length.

    Args:
        frame_ms: The length of every frame that comes out (ms).
        pad: Fill a frame that a hole or the end leaves short with silence, and bridge a hole that
            lies within one. False: let it be short.
    """

    def __init__(self, frame_ms: float, *, pad: bool = True) -> None:
        self._frame_ms = frame_ms
        self._pad = pad
        self._size = 0
        self._held: list[AudioFrame] = []
        self._held_samples = 0

    def process(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return what `frame` makes complete."""
        out: list[AudioFrame] = []
        if self._held:
            last = self._held[-1]
            hole = (frame.pts or 0) - (last.pts or 0) - last.samples
            same = AudioFormat.of(last).admits(frame)
            if same and self._pad and 0 < hole < self._size - self._held_samples:
                self._hold(silence_like(frame, hole, pts=(frame.pts or 0) - hole))
            elif hole or not same:
                out += self.finish()
        self._size = round(frame.sample_rate * self._frame_ms / 1000)
        if not self._held and frame.samples == self._size:
            return [*out, frame]
        self._hold(frame)
        if self._held_samples >= self._size:
            out += self._cut()
        return out

    def finish(self) -> list[AudioFrame]:
        """Return what is held."""
        if not self._held:
            return []
        if self._pad:
            last = self._held[-1]
            missing = self._size - self._held_samples
            quiet = silence_like(last, missing, pts=(last.pts or 0) + last.samples)
            copy_meta(last, quiet)
            self._hold(quiet)
        return self._cut(to_the_end=True)

    def reset(self) -> None:
        """Forget what is held."""
        self._held.clear()
        self._held_samples = 0

    def _hold(self, frame: AudioFrame) -> None:
        self._held.append(frame)
        self._held_samples += frame.samples

    def _cut(self, *, to_the_end: bool = False) -> list[AudioFrame]:
        last = self._held[-1]
        pts = self._held[0].pts or 0
        format = AudioFormat.of(last)
        data = np.concatenate([pcm(held) for held in self._held])
        pieces: list[AudioFrame] = []
        for start in range(0, len(data), self._size):
            piece = data[start : start + self._size]
            made = from_bytes(piece.tobytes(), len(piece), format, pts=pts + start)
            copy_meta(last, made)
            pieces.append(made)
        short = not to_the_end and len(data) % self._size
        self._held = [pieces.pop()] if short else []
        self._held_samples = self._held[0].samples if self._held else 0
        return pieces


def to_layout(frame: AudioFrame, layout: str) -> AudioFrame:
    """Return `frame`'s audio, time and meta in another layout, in its rate and sample format.

    FFmpeg's own way leaves the LFE channel out, which in a recording that was named by its number
    of channels is somebody's microphone, and refuses layouts that it has no name for. As many
    channels keep their order and every bit; any other number gets a mix that cannot clip.
    """
    frame = listed(frame)
    if av.AudioLayout(layout).nb_channels != frame.layout.nb_channels:
        matrix = downmix_matrix(frame.layout.name, layout)
        return like(frame, samples(frame) @ matrix, layout=layout)
    return relabelled(frame, layout)


def downmix_matrix(source: str, target: str) -> NDArray[np.float32]:
    """Return the weight of each channel of one layout in each of another.

    A channel that both have stays where it is. Any other goes to the front at its side, or to both
    sides, 3 dB down; so does one that has no name. Then all is turned down so far that full scale
    in every channel does not clip.

    Returns:
        Shape (channels of `source`, channels of `target`).
    """
    wanted = [channel.name for channel in av.AudioLayout(target).channels]
    known = [channel.name for channel in av.AudioLayout(source).channels]
    matrix = np.zeros((len(known), len(wanted)), np.float32)
    for index, name in enumerate(known):
        if name in wanted:
            matrix[index, wanted.index(name)] = 1.0
        else:
            matrix[index, _fronts(name, wanted)] = _ASIDE
    return matrix / max(float(matrix.sum(axis=0).max()), 1.0)


def _fronts(name: str, wanted: list[str]) -> list[int]:
    """Return where a channel goes that the target lacks; never nowhere."""
    sides = {"FL", "FR"}
    if name.endswith(("L", "LC")):
        sides = {"FL"}
    elif name.endswith(("R", "RC")):
        sides = {"FR"}
    return [at for at, front in enumerate(wanted) if front in sides] or list(range(len(wanted)))

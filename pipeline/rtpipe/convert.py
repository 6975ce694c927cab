"""The converter that the runtime puts where formats differ: resampling and re-framing."""

from __future__ import annotations

import av
import numpy as np

from rtpipe.audio import ANY, AudioFormat, AudioFrame, copy_meta, pcm, silence, stamp
from rtpipe.errors import FormatError


class Converter:
    """Brings frames to a format and, if asked, to an exact length, and keeps pts honest.

    Frames that already fit pass through as they are. A hole in the input's pts stays a hole of the
    same duration: what was held before it comes out first, padded with silence to a whole frame.

    Args:
        target: The format wanted; its open fields follow the input.
        frame_ms: Exact length of every frame that comes out. None: as they come.
        locked: Keep the open fields as the first frame had them, for what cannot change format
            in mid-stream (a file).
    """

    def __init__(
        self, target: AudioFormat = ANY, *, frame_ms: float | None = None, locked: bool = False
    ) -> None:
        self._target = target
        self._locked = locked
        self._frame_ms = frame_ms
        self._input: AudioFormat | None = None
        self._resampler: av.AudioResampler | None = None
        self._expected_in = 0
        self._latest: AudioFrame | None = None
        self._next_out = 0
        self._slicer: _Slicer | None = None

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
        out = self._resampled(frame)
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
        self._slicer = None

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
        if self._frame_ms is None:
            return frames
        out: list[AudioFrame] = []
        for frame in frames:
            if self._slicer is None or not self._slicer.format.admits(frame):
                if self._slicer is not None:
                    out += self._slicer.finish()
                self._slicer = _Slicer(AudioFormat.of(frame), self._frame_ms)
            out += self._slicer.process(frame)
        return out


class _Slicer:
    """Cuts one format's stream into frames of exactly `frame_ms`."""

    def __init__(self, format: AudioFormat, frame_ms: float) -> None:
        assert format.sample_rate is not None
        self.format = format
        self._rate = format.sample_rate
        self._size = round(self._rate * frame_ms / 1000)
        self._held: list[AudioFrame] = []
        self._held_samples = 0

    def process(self, frame: AudioFrame) -> list[AudioFrame]:
        if not self._held and frame.samples == self._size:
            return [frame]
        out: list[AudioFrame] = []
        if self._held:
            last = self._held[-1]
            hole = (frame.pts or 0) - (last.pts or 0) - last.samples
            if 0 < hole < self._size - self._held_samples:
                self._hold(self._silence(hole, frame.pts or 0))  # it lies within one frame
            elif hole:
                out += self.finish()
        self._hold(frame)
        if self._held_samples >= self._size:
            out += self._cut()
        return out

    def _hold(self, frame: AudioFrame) -> None:
        self._held.append(frame)
        self._held_samples += frame.samples

    def _silence(self, samples: int, until: int) -> AudioFrame:
        format = self.format
        return silence(
            samples,
            pts=until - samples,
            sample_rate=self._rate,
            layout=format.layout or "mono",
            format=format.format or "s16",
        )

    def finish(self) -> list[AudioFrame]:
        if not self._held:
            return []
        missing = self._size - self._held_samples
        return self._cut(pad=missing)

    def _cut(self, pad: int = 0) -> list[AudioFrame]:
        first, last = self._held[0], self._held[-1]
        data = np.concatenate([pcm(held) for held in self._held])
        if pad:
            data = np.concatenate([data, np.zeros((pad, data.shape[1]), data.dtype)])
        pts = first.pts or 0
        out: list[AudioFrame] = []
        whole = len(data) // self._size * self._size
        for start in range(0, whole, self._size):
            piece = self._frame(data[start : start + self._size], pts + start)
            copy_meta(last, piece)
            out.append(piece)
        self._held.clear()
        self._held_samples = len(data) - whole
        if self._held_samples:
            rest = self._frame(data[whole:], pts + whole)
            copy_meta(last, rest)
            self._held.append(rest)
        return out

    def _frame(self, data: np.ndarray, pts: int) -> AudioFrame:
        made = AudioFrame(
            format=self.format.format or "s16",
            layout=self.format.layout or "mono",
            samples=len(data),
        )
        made.planes[0].update(
            np.ascontiguousarray(data).tobytes().ljust(made.planes[0].buffer_size, b"\x00")
        )
        return stamp(made, sample_rate=self._rate, pts=pts)

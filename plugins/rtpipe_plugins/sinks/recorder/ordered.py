"""What is done with a recording at which sample: the recorder's actions, in its thread."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from rtpipe_plugins.disk.path_pattern import TURNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.sinks.recorder.recording import Recording, RecordingShape
    from rtpipe_plugins.sinks.recorder.switch import Order, State


class Clips(Protocol):
    """What else is made of the same audio."""

    def write(self, block: NDArray[np.int16], folder: Path) -> None:
        """Take what the recording takes, whether or not it could write it."""

    def skip(self, samples: int, folder: Path) -> None:
        """Pass over what is not recorded."""

    def start(self) -> None:
        """Begin another recording."""

    def close(self) -> None:
        """Complete what is open."""


class OrderedRecording:
    """Records what orders leave of the blocks that come; a `Writer` for a thread of its own.

    Args:
        recording: What it is recorded to.
        clips: What else is made of the audio.
        state: How it stands before the first sample.
    """

    def __init__(self, recording: Recording, clips: Clips | None, state: State) -> None:
        self._recording = recording
        self._clips = clips
        self._state = state
        self._orders: deque[tuple[int, Order, float]] = deque()
        self._shapes: deque[RecordingShape] = deque()

    def opened(self) -> OrderedRecording:
        """Open the first file, if it is to record; returns itself."""
        if self._state == "recording":
            self._recording.open()
        return self

    def order(self, order: Order, at: int, now_s: float) -> None:
        """Give an order for a sample that has not been handed over yet; from any thread."""
        self._orders.append((at, order, now_s))

    def move(self, shape: RecordingShape) -> None:
        """Say where the next order `move` leads; from any thread."""
        self._shapes.append(shape)

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Take a block of all inputs, shape (samples, inputs), the only item of `tracks`."""
        (rest,) = tracks
        self._obey()
        while len(rest):
            count = len(rest)
            if self._orders:
                count = min(count, self._orders[0][0] - self._recording.position)
            self._take(rest[:count])
            rest = rest[count:]
            self._obey()

    def close(self) -> None:
        """Complete the recording; orders for what never came hold."""
        while self._orders:
            self._follow(*self._orders.popleft()[1:])
        if self._clips is not None:
            self._clips.close()
        if self._state != "stopped":
            self._recording.stop(until_s=float("inf"))

    def _take(self, block: NDArray[np.int16]) -> None:
        if self._state == "recording":
            self._recording.write(block)
            if self._clips is not None:
                self._clips.write(block, self._folder)
        else:
            self._recording.skip(len(block))
            if self._clips is not None:
                self._clips.skip(len(block), self._folder)

    def _end_clips(self) -> None:
        if self._clips is not None:
            self._clips.skip(0, self._folder)

    @property
    def _folder(self) -> Path:
        return self._recording.path.with_suffix(TURNS)

    def _obey(self) -> None:
        while self._orders and self._orders[0][0] <= self._recording.position:
            self._follow(*self._orders.popleft()[1:])

    def _follow(self, order: Order, now_s: float) -> None:
        recording = self._recording
        match order:
            case "start":
                self._state = "recording"
                recording.start()
                if self._clips is not None:
                    self._clips.start()
            case "stop":
                self._state = "stopped"
                self._end_clips()
                recording.stop(until_s=now_s)
            case "pause":
                self._state = "paused"
                self._end_clips()
                recording.pause()
            case "resume":
                self._state = "recording"
                recording.resume()
            case "split":
                recording.split(at_once=self._state == "paused")
            case "move":
                recording.move(self._shapes.popleft(), at_once=self._state == "paused")

"""What passes at a stage, and what stands in a file in the end: counted without rtpipe."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import InvalidDataError
from numpy.typing import NDArray

from behaviour.seeded_faults.case import Case
from behaviour.seeded_faults.oracle import Account, FileAccount, Passed
from rtpipe import AudioFrame, Event, audio

_BELIEVED_S = 3600
"""Holes up to here are filled."""
_SLACK = {".wav": 0, ".flac": 0, ".mka": 4000, ".ogg": 4000, ".m4a": 4000}
_CLOCK = 960
"""Samples: where time went back, the clock says where what follows stands, read a little late."""
_LEAST_BYTES = 1000
"""A full disk that takes less does not take a header."""


class Tap:
    """Counts what passes at a stage, and the silence that its holes ask for."""

    def __init__(self) -> None:
        self.passed = Passed()
        self.samples = 0
        self.zeros = 0
        self.fills = 0
        self.lead = 0
        self.went_back = False
        self.channels = {0}
        self._next: int | None = None

    def __call__(self, frame: AudioFrame) -> None:
        self.passed.frames += 1
        self.passed.ms += frame.samples / frame.sample_rate * 1000
        self.passed.rates.add(frame.sample_rate)
        self.samples += frame.samples
        self.zeros += silent(audio.pcm(frame))
        self.channels.add(frame.layout.nb_channels)
        if self._next is None:
            self.lead = max(frame.pts or 0, 0)
        hole = 0 if self._next is None else (frame.pts or 0) - self._next
        self.went_back |= hole < 0
        if 0 < hole <= _BELIEVED_S * frame.sample_rate:
            self.fills += hole
        self._next = (frame.pts or 0) + frame.samples


def file_account(
    case: Case, sink: dict[str, Any], tap: Tap, events: list[Event], account: Account
) -> FileAccount:
    name = sink["id"]
    options = sink.get("file_sink") or sink["recorder"]
    path = Path(options["path"])
    made = FileAccount(
        name, taken=tap.samples, zeros_taken=tap.zeros, fills=tap.fills, slack=_SLACK[path.suffix]
    )
    made.failed = name in account.failed or any(fault.startswith("disk") for fault in case.faults)
    if "recorder" in sink and not case.live and tap.lead <= _BELIEVED_S * 48_000:
        made.fills += tap.lead  # it begins where the stream does
    if "recorder" in sink and (tap.went_back or case.live):
        # A clock, or what stands there already, says otherwise: pauses give way, words do not.
        made.uncertain = made.fills + tap.zeros
    if "recorder" in sink and tap.went_back and case.live:
        made.slack = max(made.slack, _CLOCK)
    for event in events:
        if event.source == name and event.type == "recorder.stopped":
            made.lost = round(event.payload()["lost_s"] * 48_000)
            made.slack = max(made.slack, 48) if made.lost else made.slack
    files = sorted(path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    for file in files:
        try:
            full = any(fault.startswith("disk: full") for fault in case.faults)
            _add(made, file, speakers=max(tap.channels) > 2, cut=full)
        except (OSError, ValueError, EOFError, LookupError, wave.Error) as error:
            size = file.stat().st_size
            if size or not made.failed:
                made.unreadable = f"{file.name} ({size} bytes) cannot be read: {error!r}"
    made.slack *= max(len(files), 1)
    if case.largest is not None and case.largest < _LEAST_BYTES:
        made.unreadable, made.wave = "", None
    return made


def _add(made: FileAccount, file: Path, *, speakers: bool, cut: bool) -> None:
    samples, zeros = _samples(file, cut=cut)
    made.samples += samples
    if file.suffix in {".wav", ".flac"}:
        made.zeros = (made.zeros or 0) + zeros
    if file.suffix == ".wav" and not speakers:  # `wave` knows no masks of them
        with wave.open(str(file)) as reader:
            made.wave = (made.wave or 0) + reader.getnframes()


def _samples(path: Path, *, cut: bool) -> tuple[int, int]:
    """Return how many samples are in a file, and how many of them are silent.

    Args:
        path: The file.
        cut: A disk was full: its last packet may be half a one, which players leave out.
    """
    count = zeros = 0
    with av.open(str(path)) as container:
        for frame in _decoded(container, cut=cut):
            count += frame.samples
            channels = frame.layout.nb_channels
            data = frame.to_ndarray()
            zeros += silent(data.reshape(-1, channels) if len(data) == 1 else data.T)
    return count, zeros


def _decoded(container: InputContainer, *, cut: bool) -> Iterator[AudioFrame]:
    packets = list(container.demux(container.streams.audio[0]))
    last = max((at for at, packet in enumerate(packets) if packet.size), default=-1)
    for at, packet in enumerate(packets):
        try:
            yield from packet.decode()
        except InvalidDataError:
            if not (cut and at == last):
                raise


def silent(data: NDArray[Any]) -> int:
    """Return how many samples, shape (samples, channels), are 0 in every channel."""
    return int(np.count_nonzero(~data.any(axis=1)))

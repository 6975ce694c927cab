"""The batch section in Pipecat: the same work in three processors, 20 ms frames.

    python -m benchmarks.subjects.batch_pipecat IN.wav OUT.wav bare|defaults

At most 50 frames are in flight. Printed: the CPU time from the first read to the last write.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from benchmarks.subjects.gated_speech import HEADER, PREROLL, RATE, UNIT, Detector, Gate, softer
from benchmarks.subjects.pipecat_frames import BARE, PassOn, Running, Told  # first: it hushes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_IN_FLIGHT = 50
_HELD = PREROLL // UNIT  # by the gate


def _framed(samples: NDArray[np.int16]) -> InputAudioRawFrame:
    return InputAudioRawFrame(audio=samples.tobytes(), sample_rate=RATE, num_channels=1)


def _writable(frame: InputAudioRawFrame) -> NDArray[np.int16]:
    return np.frombuffer(bytearray(frame.audio), np.int16)


class _Worker(FrameProcessor):  # type: ignore[misc] # of a library without types
    """Hands on what `work` makes of each frame of audio."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)
            return
        for made in self.work(frame):
            await self.push_frame(made, direction)

    def work(self, frame: InputAudioRawFrame) -> Iterable[InputAudioRawFrame]:
        raise NotImplementedError


class _Gain(_Worker):
    def __init__(self) -> None:
        super().__init__()
        self._scratch = np.empty(UNIT, np.float32)

    def work(self, frame: InputAudioRawFrame) -> Iterable[InputAudioRawFrame]:
        samples = _writable(frame)
        softer(samples, self._scratch)
        frame.audio = samples.tobytes()
        return (frame,)


class _Vad(_Worker):
    def __init__(self) -> None:
        super().__init__()
        self._detector = Detector()

    def work(self, frame: InputAudioRawFrame) -> Iterable[InputAudioRawFrame]:
        frame.metadata["speech"] = self._detector.hear(np.frombuffer(frame.audio, np.int16))
        return (frame,)


class _Gate(_Worker):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def work(self, frame: InputAudioRawFrame) -> Iterable[InputAudioRawFrame]:
        due = self.gate.process(_writable(frame), frame.metadata["speech"])
        return [_framed(samples) for samples in due]


async def run(source: Path, target: Path, *, bare: bool) -> None:
    """Do the work, print what it took, and leave the process."""
    room = asyncio.Semaphore(_IN_FLIGHT + _HELD)
    given = came = 0
    with source.open("rb", 1 << 16) as read, target.open("wb", 1 << 16) as write:

        def told(frame: InputAudioRawFrame) -> None:
            nonlocal came
            came += 1
            room.release()
            write.write(frame.audio)

        first, gate = PassOn(), _Gate()
        processors = [first, _Gain(), _Vad(), gate]
        running = Running(processors, Told(told), **(BARE if bare else {}))
        await running.start()
        wall, cpu = time.perf_counter(), time.process_time()
        write.write(read.read(HEADER))
        while len(data := read.read(2 * UNIT)) == 2 * UNIT:
            await room.acquire()
            given += 1
            frame = InputAudioRawFrame(audio=data, sample_rate=RATE, num_channels=1)
            await first.push_frame(frame)
        while came < given - _HELD:  # noqa: ASYNC110 - an event would cost each frame
            await asyncio.sleep(0.001)
        for samples in gate.gate.finish():
            write.write(samples.data)
        spent = {"CPU s": time.process_time() - cpu, "inner wall s": time.perf_counter() - wall}
    print(json.dumps(spent), flush=True)
    os._exit(0)  # its own end may hang, and is not what is measured


def main() -> None:
    """Do what the command line asks for."""
    source, target, kind = sys.argv[1:]
    asyncio.run(run(Path(source), Path(target), bare=kind == "bare"))


if __name__ == "__main__":
    main()

"""How long the model goes on speaking when the visitor begins to.

    PYTHONPATH=tests .venv/bin/python benchmarks/interrupt.py [--turns 30]

A visitor interrupts answers that are long tones, over real WebRTC between two processes, once heard
by a local `vad`, once by the server.
There are no devices: a frame leaves the mouth when its last sample has been spoken, the ear hears a
frame from the moment it comes, and both count samples on the pipeline's clock. Printed: from the
first loud sample of the visitor to the last of the old answer. Each answer has a frequency of its
own; the exit code is 1 when anything sounds between the old answer's silence and the next answer,
when that is missing, or when the local detector takes longer than 120 ms (p95).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scripted import RATE, runs, serving, voice

from rtpipe import CANONICAL, Options, Sink, Source, audio, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe_realtime_server.brains.script import turn_hz

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from scripted import Run

    from rtpipe import AudioFrame

GOAL_MS = 120.0
ANSWER_S = 20.0
SPEAKS_S = 0.9
FIRST_S = 1.0
EVERY_S = 2.537
"""From one interruption to the next: each meets the frames and timers at another phase."""
DIP_MS = 40.0
"""A silence within one answer is shorter; what comes of it after a longer one is stale."""
NEAR_HZ = 20.0
WAYS = {"local VAD": ("  - vad\n", ", interrupt_on: vad.speech_started"), "server VAD": ("", "")}
PIPELINE = """\
version: 1
stages:
  - mouth
{vad}  - realtime:
      {{base_url: "{url}", api_key: sk-local, turn_detection: {{type: server_vad,
        silence_duration_ms: 300}}{interrupt_on}}}
  - ear
"""


class Mouth(Source[Options]):
    """The visitor: speaks every `EVERY_S`, for ever."""

    kind = "mouth"
    began_at: ClassVar[float]
    """Pipeline second of the first sample; of the only one, as all here."""
    period: ClassVar[NDArray[np.int16]] = np.zeros(round(EVERY_S * RATE), np.int16)

    @classmethod
    def has_clock(cls, options: Options) -> bool:  # noqa: ARG003 - a visitor always has one
        """He speaks in real time."""
        return True

    async def open(self) -> None:
        """Prepare what to say."""
        words = voice(SPEAKS_S)
        self.period[: len(words)] = words

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield 20 ms when they have been spoken."""
        Mouth.began_at = self.ctx.now()
        silence, pts = round(FIRST_S * RATE), 0
        while True:
            places = np.arange(pts, pts + 960) - silence
            said = np.where(places < 0, 0, self.period[places % len(self.period)])
            pts += 960
            await self.ctx.clock.sleep_until(self.began_at + pts / RATE)
            yield audio.from_pcm(said.astype(np.int16), sample_rate=RATE, pts=pts - 960)


class Ear(Sink[Options]):
    """Where a loudspeaker would be: notes what comes and when."""

    kind = "ear"
    accepts = CANONICAL
    heard: ClassVar[list[tuple[float, NDArray[np.int16]]]] = []

    async def open(self) -> None:
        """Begin to listen."""
        self.heard.clear()

    async def consume(self, frame: AudioFrame) -> None:
        """Note a frame."""
        self.heard.append((self.ctx.now(), audio.pcm(frame)[:, 0].copy()))

    @classmethod
    def samples(cls, zero_s: float) -> NDArray[np.int16]:
        """Return what was heard from second `zero_s` of the pipeline on."""
        track = np.zeros(round((cls.heard[-1][0] - zero_s + 5) * RATE), np.int16)
        end = 0
        for at_s, pcm in cls.heard:
            at = max(round((at_s - zero_s) * RATE), end)  # one is played after the other
            track[at : at + len(pcm)] = pcm
            end = at + len(pcm)
        return track


class _Plugin:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Mouth, Ear]


@dataclass(frozen=True)
class Interruption:
    """One interruption, as it was heard.

    Attributes:
        late_ms: From the visitor's first loud sample to the last of the answer.
        stale_ms: How much sounded after that and before the next answer.
        answered: Whether the next answer came.
    """

    late_ms: float
    stale_ms: float
    answered: bool


async def converse(path: Path, text: str, seconds: float) -> NDArray[np.int16]:
    """Hold the conversation; returns what was heard since the visitor's first sample."""
    registry = Registry.discover()
    registry.register(_Plugin())
    pipeline = Pipeline(from_text(text, path=path, registry=registry).graph)
    running = asyncio.create_task(pipeline.run())
    await asyncio.wait({running}, timeout=seconds)
    pipeline.stop()
    await running
    return Ear.samples(Mouth.began_at)


def interruptions(pcm: NDArray[np.int16], turns: int) -> list[Interruption]:
    """Return how the model fell silent each time; the visitor's first words interrupt nobody."""
    starts = [round((FIRST_S + n * EVERY_S) * RATE) for n in range(turns + 2)]
    return [
        _interruption(runs(pcm, starts[n], starts[n + 1]), starts[n], turn_hz(n + 1))
        for n in range(1, turns + 1)
    ]


def _interruption(sounds: list[Run], start: int, next_hz: float) -> Interruption:
    """Read one off: `sounds` begin with the old answer, and end with the one of `next_hz`."""
    end, stale = start, 0
    for run in sounds:
        if (run.end - run.begin) * 1000 >= 100 * RATE and abs(run.hz - next_hz) < NEAR_HZ:
            return Interruption((end - start) * 1000 / RATE, stale * 1000 / RATE, answered=True)
        if (run.begin - end) * 1000 < DIP_MS * RATE:
            end = run.end
        else:
            stale += run.end - run.begin
    return Interruption((end - start) * 1000 / RATE, stale * 1000 / RATE, answered=False)


def measured(way: str, turns: int) -> list[Interruption]:
    """Interrupt a model so many times."""
    vad, interrupt_on = WAYS[way]
    with tempfile.TemporaryDirectory() as name, serving(Path(name), [ANSWER_S] * 40) as url:
        text = PIPELINE.format(url=url, vad=vad, interrupt_on=interrupt_on)
        seconds = FIRST_S + (turns + 2) * EVERY_S
        return interruptions(asyncio.run(converse(Path(name) / "call.yaml", text, seconds)), turns)


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description="How long the model goes on when interrupted.")
    parser.add_argument("--turns", type=int, default=30)
    turns = parser.parse_args().turns
    good = True
    print(f"{'heard by':12}  times  p50 ms  p95 ms   most  stale ms  answered")
    for way in WAYS:
        times = measured(way, turns)
        late = [each.late_ms for each in times]
        p50, p95 = np.percentile(late, [50, 95])
        stale = sum(each.stale_ms for each in times)
        answered = sum(each.answered for each in times)
        figures = f"{len(times):7}{p50:8.0f}{p95:8.0f}{max(late):7.0f}{stale:10.0f}{answered:10}"
        print(f"{way:12}{figures}", flush=True)
        good = good and not stale and answered == turns
        good = good and (way != "local VAD" or p95 <= GOAL_MS)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Audio that comes too late, and clocks that run apart."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from helpers.fake_sounddevice import SoundDevice
from plugins.sinks.speaker.listener import BLOCK, consume, listening, sound, stream
from rtpipe import AudioFrame, audio
from rtpipe.testing import cut, joined, noise, run_virtual, tone


def test_audio_that_does_not_come_in_time_is_an_underrun_and_a_pause_is_none(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:

            def underruns() -> list[float]:
                return [count for what, count in listener.told if what == "speaker.underran"]

            await consume(listener, tone(seconds=0.5))
            await asyncio.sleep(0.2)
            await consume(listener, tone(seconds=0.5))
            assert underruns() == [1]
            await consume(listener, cut(np.zeros(24_000, np.int16)))
            await asyncio.sleep(0.3)
            await consume(listener, tone(seconds=0.5))
            await asyncio.sleep(3.0)
            await consume(listener, tone(seconds=0.5))
            listener.stage.reset()
            await asyncio.sleep(0.2)
            await consume(listener, tone(seconds=0.5))
            assert underruns() == [1]

    run_virtual(run())


def test_a_device_that_runs_at_pace_plays_every_sample_as_it_is_however_little_waits(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        frames = noise(seconds=40, level_dbfs=-20)
        async with listening(laptop) as listener:
            await stream(listener, frames[:5])
            taken = [listener.stream.play(BLOCK) for _ in range(3)]  # it fills its own buffer
            listener.blocks += taken
            await stream(listener, frames[5:], jitter_s=0.015)
            assert listener.stage._buffer.held < 1920
            await listener.stage.drain()
            assert np.array_equal(sound(listener.heard)[:, 0], joined(frames)[:, 0])
            assert listener.stage.gauge() == ""

    run_virtual(run())


@pytest.mark.slow
@pytest.mark.parametrize(("ppm", "minutes"), [(200, 60), (-200, 15)])
def test_for_an_hour_a_clock_that_runs_apart_is_followed_and_nothing_is_dropped_or_missing(
    laptop: SoundDevice, ppm: float, minutes: int
) -> None:
    """Unless it is followed, 720 ms. At 8 kHz and in blocks of 100 ms, or it would take minutes."""
    waits_s: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop, sample_rate=8000, prebuffer_ms=300) as listener:
            listener.block, listener.period_s = 800, 0.1 / (1 + ppm * 1e-6)

            def sounds() -> Iterator[AudioFrame]:
                for n in range(minutes * 600):
                    since_s = loop.time() - listener.stage._taken_at
                    waits_s.append(listener.stage._buffer.held / 8000 - since_s)
                    listener.blocks.clear()
                    data = np.full(800, 5000, np.int16)
                    yield audio.from_pcm(data, sample_rate=8000, pts=n * 800)

            await stream(listener, sounds())
            assert not listener.bench.run.of_type("speaker.underran")
            measured = listener.bench.run.of_type("device.drift_measured")[-1].payload()["ppm"]
            assert measured == pytest.approx(ppm, abs=15)
            assert listener.stage.gauge() == f"{measured:+.0f} ppm"

    run_virtual(run())
    assert max(abs(each - waits_s[50]) for each in waits_s[50:]) < 0.04


@pytest.mark.parametrize("moved_ms", [100, -30])
def test_too_much_or_too_little_that_waits_of_a_live_stream_is_put_right_in_a_silence(
    laptop: SoundDevice, moved_ms: int
) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await stream(listener, tone(seconds=0.5))
            if moved_ms > 0:
                await consume(listener, tone(seconds=moved_ms / 1000))  # at once, as after a stall
            else:
                listener.blocks += [listener.stream.play(BLOCK) for _ in range(-moved_ms // 10)]
            await stream(listener, tone(seconds=1))
            held = listener.stage._buffer.held
            assert held / 48 == pytest.approx(60 + moved_ms, abs=20), "no sound is touched"
            await stream(listener, cut(np.zeros(4 * 48_000, np.int16)))
            assert listener.stage._buffer.held / 48 == pytest.approx(60, abs=20)
            spoken = 1.5 + max(moved_ms, 0) / 1000
            assert len(sound(listener.heard)) / 48_000 == pytest.approx(spoken, abs=0.001)

    run_virtual(run())


def test_underflows_in_every_block_are_told_once_a_second(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            listener.plays = False
            listener.block = 0
            for frame in tone(seconds=2.5):
                await listener.stage.consume(frame)
                listener.stream.play(2 * BLOCK, underflow=True)
                await asyncio.sleep(0.02)
            counts = [event.payload()["count"] for event in listener.bench.run.events
                      if event.type == "speaker.underran"]  # fmt: skip
            assert len(counts) == 3
            assert counts[-1] > 90

    run_virtual(run())


def test_an_underflow_that_the_device_reports_is_told(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.2))
            listener.stream.play(BLOCK, underflow=True)
            await asyncio.sleep(0.001)
            assert listener.bench.run.of_type("speaker.underran")

    run_virtual(run())

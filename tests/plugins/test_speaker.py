"""speaker: it plays all and only what it gets, at the device's pace, and tells what was heard."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fake_sounddevice
from fake_sounddevice import SoundDevice
from rtpipe import AudioFrame, EnvironmentProblem, NotConnected, audio
from rtpipe.testing import Bench, cut, joined, noise, run_virtual, tone
from rtpipe_plugins.playback import PlaybackBuffer
from rtpipe_plugins.speaker import Speaker

BLOCK = 480


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    return fake_sounddevice.install(monkeypatch)


class Listener:
    """An opened speaker and the ear in front of it: the device takes 10 ms every 10 ms."""

    def __init__(self, bench: Bench, laptop: SoundDevice) -> None:
        self.bench = bench
        self.stage = bench.stage
        self.stream = laptop.streams[-1]
        self.blocks: list[NDArray[np.int16]] = []
        self.plays = True

    async def run_device(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            if self.plays:
                self.blocks.append(self.stream.play(BLOCK))

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.blocks)

    @property
    def told(self) -> list[tuple[str, float]]:
        return [
            (event.type, next(iter(event.payload().values()))) for event in self.bench.run.events
        ]


@asynccontextmanager
async def listening(laptop: SoundDevice, **options: Any) -> AsyncIterator[Listener]:
    bench = Bench(Speaker, options)
    async with bench.opened():
        listener = Listener(bench, laptop)
        device = asyncio.create_task(listener.run_device())
        try:
            yield listener
        finally:
            device.cancel()


async def consume(listener: Listener, frames: list[AudioFrame]) -> None:
    for frame in frames:
        await listener.stage.consume(frame)


def sound(data: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return `data` without the silence around it."""
    loud = np.nonzero(data.any(axis=1))[0]
    return data[loud[0] : loud[-1] + 1]


def test_all_of_it_is_played_on_both_sides_and_nothing_else(laptop: SoundDevice) -> None:
    async def run() -> None:
        frames = noise(seconds=1.0, level_dbfs=-20)
        async with listening(laptop) as listener:
            await consume(listener, frames)
            await listener.stage.drain()
            heard = sound(listener.heard)
            assert np.array_equal(heard[:, 0], joined(frames)[:, 0])
            assert np.array_equal(heard[:, 1], heard[:, 0])
            # The device holds 20 ms: what follows has pushed the last sample out of it.
            assert not np.concatenate(listener.blocks[-2:]).any()
        assert listener.stream.state == "closed"

    run_virtual(run())


def test_stereo_is_not_mixed_unless_the_device_is_mono(
    laptop: SoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.tile(np.int16([1000, 3000]), (4800, 1))

    async def run(laptop: SoundDevice) -> NDArray[np.int16]:
        async with listening(laptop) as listener:
            await consume(listener, cut(data))
            await listener.stage.drain()
            return sound(listener.heard)

    assert np.array_equal(run_virtual(run(laptop)), data)
    mono = fake_sounddevice.install(monkeypatch, (("Buzzer", 0, 1),))
    assert set(run_virtual(run(mono))[:, 0]) == {2000}


def test_the_device_paces_and_little_waits(laptop: SoundDevice) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop, prebuffer_ms=60) as listener:
            for n, frame in enumerate(tone(seconds=2)):
                await listener.stage.consume(frame)
                ahead_s = (n + 1) * 0.02 - loop.time()
                assert ahead_s <= 0.101  # 60 ms that wait, and the frame that found no room
        assert loop.time() == pytest.approx(2.0, abs=0.1)

    run_virtual(run())


def test_nothing_is_played_before_enough_is_there(laptop: SoundDevice) -> None:
    async def run() -> None:
        frames = tone(seconds=0.06)
        async with listening(laptop) as listener:
            listener.plays = False
            await consume(listener, frames[:2])
            assert not listener.stream.play(BLOCK).any()
            await consume(listener, frames[2:])
            assert listener.stream.play(BLOCK).any()

    run_virtual(run())


def test_a_sound_shorter_than_the_prebuffer_is_played_all_the_same(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.02))
            await asyncio.sleep(0.2)
            assert len(sound(listener.heard)) == pytest.approx(960, abs=5)

    run_virtual(run())


def test_volume(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, volume=2.0) as listener:
            await consume(listener, cut(np.full(4800, 20_000, np.int16)))
            await listener.stage.drain()
            assert set(sound(listener.heard)[:, 0]) == {32_767}
        async with listening(laptop, volume=0.5) as listener:
            await consume(listener, cut(np.full(4800, 20_000, np.int16)))
            await listener.stage.drain()
            assert set(sound(listener.heard)[:, 0]) == {10_000}

    run_virtual(run())


def test_it_tells_when_sound_begins_and_ends_and_how_far_it_was_heard(laptop: SoundDevice) -> None:
    def stream() -> list[AudioFrame]:
        data = np.concatenate(
            [
                np.zeros(48_000, np.int16),
                np.full(24_000, 5000, np.int16),
                np.zeros(4800, np.int16),  # a pause between two words
                np.full(24_000, 5000, np.int16),
                np.zeros(48_000, np.int16),
            ]
        )
        return cut(data, pts=480_000)

    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, stream())
            assert listener.told == [("playback.started", 11.0), ("playback.stopped", 12.1)]
            began, ended = (event.at for event in listener.bench.run.events)
            assert began == pytest.approx(1.05, abs=0.06)
            assert ended - began == pytest.approx(1.1 + 0.2, abs=0.02)

    run_virtual(run())


def test_the_end_of_the_stream_is_the_end_of_the_sound_at_once(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            await listener.stage.drain()
            assert listener.told == [("playback.started", 0.0), ("playback.stopped", 0.5)]

    run_virtual(run())


def test_a_flush_fades_out_without_a_click_and_tells_how_far_it_was_heard(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop, fade_ms=10) as listener:
            await consume(listener, cut(np.full(48_000, 20_000, np.int16)))
            position = listener.stage._buffer.taken
            listener.stage.reset()
            await asyncio.sleep(0.05)
            heard = sound(listener.heard)[:, 0].astype(int)
            assert len(heard) == pytest.approx(position + 480, abs=2)
            assert np.abs(np.diff(heard)).max() < 50
            assert listener.told[-1] == ("playback.stopped", round((position + 480) / 48_000, 3))

    run_virtual(run())


def test_a_flush_while_nothing_sounds_drops_everything(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.04))
            listener.stage.reset()
            await asyncio.sleep(0.3)
            assert not listener.heard.any()
            assert listener.told == []
            await consume(listener, tone(seconds=0.5))
            assert listener.told[0] == ("playback.started", 0.0)

    run_virtual(run())


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


def test_a_device_that_vanishes_or_hangs(laptop: SoundDevice) -> None:
    async def vanishes() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.stream.vanish()
            with pytest.raises(NotConnected, match="is gone"):
                await consume(listener, tone(seconds=0.5))

    async def hangs() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.plays = False
            with pytest.raises(NotConnected, match="hangs"):
                await consume(listener, tone(seconds=0.5))

    run_virtual(vanishes())
    run_virtual(hangs())


def test_the_device_is_the_one_that_is_meant(laptop: SoundDevice) -> None:
    seen: list[str | None] = []

    async def opened(device: str) -> Any:
        async with Bench(Speaker, {"device": device, "sample_rate": 44_100}).opened():
            return laptop.streams[-1].options

    assert run_virtual(opened("headset"))["device"] == 1
    laptop.when_opened = lambda: seen.append(os.environ.get("PULSE_SINK"))
    assert run_virtual(opened("pulse:hall"))["samplerate"] == 44_100
    assert seen == ["hall"]
    assert "PULSE_SINK" not in os.environ
    with pytest.raises(EnvironmentProblem, match="no output device matches `camera`"):
        run_virtual(opened("camera"))


def test_the_buffer_loses_nothing_between_two_threads() -> None:
    """The loop pushes while the device takes; what comes out is what went in, in order."""
    import threading

    buffer = PlaybackBuffer(1, 960)
    data = np.arange(200_000, dtype=np.int32).astype(np.int16)
    taken: list[bytes] = []

    def device() -> None:
        while sum(map(len, taken)) < data.nbytes:
            taken.append(buffer.take(480))

    thread = threading.Thread(target=device)
    thread.start()
    for start in range(0, len(data), 777):
        buffer.push(data[start : start + 777, None])
    buffer.end()
    thread.join(timeout=30)
    assert b"".join(taken) == data.tobytes()


def test_frames_say_what_they_are(laptop: SoundDevice) -> None:
    accepted = Speaker.accepts_for(Speaker.options_type())  # type: ignore[arg-type]
    assert accepted == audio.AudioFormat(48_000, None, "s16")
    assert Speaker.has_clock(Speaker.options_type())  # type: ignore[arg-type]

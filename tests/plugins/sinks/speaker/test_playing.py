"""speaker plays all and only what it gets, at the device's pace."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import fake_sounddevice
from helpers.fake_sounddevice import SoundDevice
from plugins.sinks.speaker.listener import BLOCK, consume, listening, sound
from rtpipe import AudioFrame, audio
from rtpipe.testing import cut, joined, noise, run_virtual, tone
from rtpipe_plugins.sinks.speaker.playback import PlaybackBuffer
from rtpipe_plugins.sinks.speaker.stage import Speaker


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


def test_who_listens_hears_what_the_device_takes_silence_too(laptop: SoundDevice) -> None:
    async def run() -> None:
        taken: list[AudioFrame] = []
        async with listening(laptop) as listener:
            listener.bench.context.taps.append(taken.append)
            await consume(listener, noise(seconds=0.3, level_dbfs=-20))
            await listener.stage.drain()
            heard = listener.heard
            told = joined(taken)[:, 0]
            assert len(told) > 0.3 * 48_000
            assert np.array_equal(told, heard[: len(told), 0])

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

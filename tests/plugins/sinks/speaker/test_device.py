"""The device that is meant, and what happens when it is gone."""

import asyncio
import os
from typing import Any

import pytest

from helpers.fake_sounddevice import PortAudioError, SoundDevice
from plugins.sinks.speaker.listener import consume, listening, sound
from rtpipe import EnvironmentProblem, StageError
from rtpipe.testing import Bench, run_virtual, tone
from rtpipe_plugins.sinks.speaker.stage import Speaker


def test_while_the_device_is_gone_time_passes_unheard_and_then_it_is_heard_again(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop) as listener:
            frames = tone(seconds=10.5)
            await consume(listener, frames[:25])
            laptop.refusal = PortAudioError("No such device", -9996)
            listener.plays = False
            listener.stream.vanish()
            at = loop.time()
            await consume(listener, frames[25:])
            assert loop.time() - at == pytest.approx(10, abs=0.2)
            [stopped] = listener.bench.run.of_type("playback.stopped")
            assert stopped.payload()["position_s"] == pytest.approx(0.44, abs=0.03)
            laptop.refusal = None
            await consume(listener, tone(seconds=2.1))
            listener.stream, listener.plays = laptop.streams[1], True
            listener.blocks.clear()
            await asyncio.sleep(0.1)
            assert listener.bench.run.of_type("device.returned")
            await consume(listener, tone(seconds=1))
            await listener.stage.drain()
            assert len(sound(listener.heard)) == pytest.approx(48_000, abs=100)

    run_virtual(run())


def test_a_device_that_hangs_holds_nobody_up(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.plays = False
            await consume(listener, tone(seconds=3))
            [lost] = listener.bench.run.of_type("device.lost")
            assert "hangs" in lost.payload()["reason"]
            await listener.stage.drain()

    run_virtual(run())


def test_who_does_not_want_to_wait_is_told(laptop: SoundDevice) -> None:
    async def run(on_lost: str, error: type[Exception]) -> None:
        async with listening(laptop, on_lost=on_lost) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.stream.vanish()
            with pytest.raises(error, match="is gone") as caught:
                await consume(listener, tone(seconds=0.5))
            assert type(caught.value) is error

    run_virtual(run("fallback", EnvironmentProblem))
    run_virtual(run("fail", StageError))


def test_the_device_is_the_one_that_is_meant(laptop: SoundDevice) -> None:
    seen: list[str | None] = []

    async def opened(device: str) -> Any:
        async with Bench(Speaker, {"device": device, "sample_rate": 44_100}).opened():
            return laptop.streams[-1].options

    headset = run_virtual(opened("headset"))
    assert headset["device"] == 1
    assert headset["latency"] <= 0.06
    laptop.when_opened = lambda: seen.append(os.environ.get("PULSE_SINK"))
    assert run_virtual(opened("pulse:hall"))["samplerate"] == 44_100
    assert seen == ["hall"]
    assert "PULSE_SINK" not in os.environ
    with pytest.raises(EnvironmentProblem, match="no output device matches `camera`"):
        run_virtual(opened("camera"))
